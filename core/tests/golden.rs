//! Golden cases: each folder of `tests/cases` holds `root/`, an optional `policy.yaml`, the printed
//! plan `plan.txt` and the tree afterwards, `expected/`. `BLESS=1` writes the last two anew.
//!
//! Every case also shows that a second run plans nothing and changes nothing, not even a time.

#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};

use disinherit_core::pipeline::{self, Job};
use disinherit_core::policy::{Fragment, Settings};
use disinherit_core::report::{Mode, Report};
use disinherit_core::root::Root;

/// Copies a tree of folders, files and links.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            copy(&entry.path(), &target);
        } else if kind.is_symlink() {
            symlink(fs::read_link(entry.path()).unwrap(), target).unwrap();
        } else if entry.file_name() != ".keep" {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Every path below `top` with what a reader of a difference wants to see.
fn listing(top: &Path, times: bool) -> BTreeMap<PathBuf, String> {
    let mut out = BTreeMap::new();
    let mut open = vec![top.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            let meta = fs::symlink_metadata(&path).unwrap();
            let mut text = if meta.is_dir() {
                open.push(path.clone());
                "folder".to_owned()
            } else if meta.is_symlink() {
                format!("link {}", fs::read_link(&path).unwrap().display())
            } else if path.file_name().is_some_and(|n| n == ".keep") {
                continue;
            } else {
                format!("file {:?}", String::from_utf8_lossy(&fs::read(&path).unwrap()))
            };
            if times {
                text += &format!(" {} {}.{}", meta.ino(), meta.mtime(), meta.mtime_nsec());
            }
            out.insert(path.strip_prefix(top).unwrap().to_owned(), text);
        }
    }
    out
}

fn run(root: &Path, settings: &Settings, mode: Mode) -> (String, Report) {
    let root = Root::offline(root).unwrap();
    let job = Job { settings, firstboot: None, mode };
    let (plan, report) = pipeline::run(&root, &job, &mut ()).unwrap();
    let text = plan.steps.iter().map(|s| format!("{s}\n")).collect::<String>()
        + &plan
            .findings
            .iter()
            .map(|f| {
                let subject = masked(f.subject.as_deref().unwrap_or("-"));
                format!("finding {} {} {subject} [{}]\n", f.severity, f.path, f.rule)
            })
            .collect::<String>();
    (text, report)
}

/// Fingerprints have a key that is made for each run.
fn masked(subject: &str) -> String {
    let mut parts = subject.split("HMAC:");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + "HMAC:..." + part.get(16..).unwrap_or_default())
}

fn case(dir: &Path) {
    let name = dir.file_name().unwrap().to_string_lossy().into_owned();
    let policy = fs::read_to_string(dir.join("policy.yaml")).unwrap_or_default();
    let settings = Settings::new(Fragment::parse("policy.yaml", &policy).unwrap()).unwrap();
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path().join("root");
    copy(&dir.join("root"), &root);

    let before = listing(&root, true);
    let (plan, _) = run(&root, &settings, Mode::DryRun);
    assert_eq!(listing(&root, true), before, "{name}: a dry run changed something");

    let (_, report) = run(&root, &settings, Mode::Scrub);
    let failed: Vec<_> = report.actions.iter().filter(|a| a.error.is_some()).collect();
    assert!(failed.is_empty(), "{name}: {failed:?}");
    let after = listing(&root, false);
    if std::env::var_os("BLESS").is_some() {
        fs::write(dir.join("plan.txt"), &plan).unwrap();
        drop(fs::remove_dir_all(dir.join("expected")));
        copy(&root, &dir.join("expected"));
        keep_empty(&dir.join("expected"));
    }
    assert_eq!(plan, fs::read_to_string(dir.join("plan.txt")).unwrap(), "{name}: plan");
    assert_eq!(after, listing(&dir.join("expected"), false), "{name}: tree");

    let once = listing(&root, true);
    let (again, report) = run(&root, &settings, Mode::Scrub);
    assert!(report.actions.is_empty(), "{name}: a second run planned {again}");
    assert_eq!(listing(&root, true), once, "{name}: a second run changed something");
}

/// Empty folders get a `.keep`, which every comparison passes over.
fn keep_empty(dir: &Path) {
    let mut entries = 0;
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        entries += 1;
        if entry.file_type().unwrap().is_dir() {
            keep_empty(&entry.path());
        }
    }
    if entries == 0 {
        fs::write(dir.join(".keep"), "").unwrap();
    }
}

#[test]
fn every_case_comes_out_as_expected() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut count = 0;
    for entry in fs::read_dir(cases).unwrap() {
        case(&entry.unwrap().path());
        count += 1;
    }
    assert!(count >= 4, "only {count} cases were found");
}
