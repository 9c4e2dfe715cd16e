//! The catalogue from the other side: a list of where builders leave credentials, written without a
//! look at the rules, and each place has to be named by the default audit.

#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use disinherit_core::pipeline::{self, Job};
use disinherit_core::policy::{Fragment, Settings};
use disinherit_core::report::Mode;
use disinherit_core::root::Root;
use serde::Deserialize;

const HOME: &str = "/srv/people/Ann Lee";

/// A path, or a path with what the file holds.
#[derive(Deserialize)]
#[serde(untagged)]
enum Place {
    Path(String),
    Text(BTreeMap<String, String>),
}

type Topics = BTreeMap<String, BTreeMap<String, Vec<Place>>>;

/// Topic, path and text of every place.
fn places() -> Vec<(String, String, String)> {
    let topics: Topics = serde_yaml::from_str(include_str!("rows.yaml")).unwrap();
    let mut out = Vec::new();
    for (chapter, rows) in topics {
        for (row, places) in rows {
            for place in places {
                let pairs = match place {
                    Place::Path(path) => vec![(path, "secret\n".to_owned())],
                    Place::Text(pairs) => pairs.into_iter().collect(),
                };
                let topic = format!("{chapter}: {row}");
                let home =
                    |path: String| path.replacen('~', HOME, usize::from(path.starts_with('~')));
                out.extend(pairs.into_iter().map(|(p, text)| (topic.clone(), home(p), text)));
            }
        }
    }
    out
}

fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path.trim_start_matches('/'));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

#[test]
fn the_default_audit_names_every_place() {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path();
    let passwd = format!("root:x:0:0::/root:/bin/sh\nann:x:1000:1000::{HOME}:/bin/sh\n");
    write(root, "/etc/passwd", &passwd);
    write(root, "/etc/shadow", "root:*:1::::::\nann:*:1::::::\n");
    write(root, "/etc/group", "root:x:0:\nann:x:1000:\n");
    write(root, "/etc/ssh/sshd_config", "PasswordAuthentication no\n");
    let places = places();
    assert!(places.len() > 450, "only {} places", places.len());
    for (_, path, text) in &places {
        write(root, path, text);
    }
    let settings = Settings::new(Fragment::parse("p", "firstboot: false").unwrap()).unwrap();
    let job = Job { settings: &settings, firstboot: None, mode: Mode::Audit };
    let report = pipeline::run(&Root::offline(root).unwrap(), &job, &mut ()).unwrap().1;
    let named: BTreeSet<String> = report.findings.iter().map(|f| f.path.to_string()).collect();
    let missing: Vec<String> = places
        .iter()
        .filter(|(_, path, _)| !named.contains(path))
        .map(|(topic, path, _)| format!("{topic}: {path}"))
        .collect();
    assert!(missing.is_empty(), "not named:\n{}", missing.join("\n"));
}
