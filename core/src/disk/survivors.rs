//! What the search of the raw disk found, as findings.

use std::collections::BTreeMap;

use super::Secrets;
use crate::ImagePath;
use crate::catalogue::Severity;
use crate::policy::Settings;
use crate::proof::{Hit, SearchReport, Where};
use crate::report::Finding;

/// The pseudo rule of what the search of the raw disk found.
pub const PROOF: &str = "proof";

/// Files of packages and their databases have lines in common with much of what goes.
const PUBLIC: &[&str] = &[
    "/bin",
    "/boot",
    "/lib",
    "/lib32",
    "/lib64",
    "/sbin",
    "/usr",
    "/var/cache",
    "/var/lib/apt",
    "/var/lib/dpkg",
    "/var/lib/rpm",
];

/// One finding for all hits of what one file held in one kind of place, and none in the files of
/// packages and those that policy keeps. `announced` says of a hit that the report names its place
/// as one that a running system cannot reach.
pub(super) fn survivors(
    found: &SearchReport,
    secrets: &Secrets,
    settings: &Settings,
    announced: &dyn Fn(&Hit) -> bool,
) -> Vec<Finding> {
    let kept = |file: &ImagePath| settings.allow.paths.iter().any(|p| p.matches(file));
    let public = |file: &ImagePath| {
        PUBLIC.iter().any(|top| file.starts_with(&ImagePath::literal(top))) || kept(file)
    };
    let mut kinds: BTreeMap<(ImagePath, String, &str), (&Hit, usize)> = BTreeMap::new();
    for hit in &found.hits {
        if !matches!(&hit.place, Where::File(file) if public(file)) {
            let key = (secrets.name(hit.secret), place(&hit.place), hit.device.as_str());
            kinds.entry(key).or_insert((hit, 0)).1 += 1;
        }
    }
    kinds.values().map(|(hit, count)| survivor(hit, *count, secrets, announced(hit))).collect()
}

fn place(place: &Where) -> String {
    match place {
        Where::File(path) => format!("the file {path}"),
        Where::Free => "a free block".into(),
        Where::Log => "the journal".into(),
        Where::Metadata => "metadata of the file system".into(),
        Where::Preallocated(path) => format!("blocks that {path} holds preallocated"),
        Where::Unknown => "a place that could not be told".into(),
    }
}

/// What the search found. In a live file the bytes may stand with good reason; anywhere else
/// something that this run removed can still be read.
fn survivor(hit: &Hit, count: usize, secrets: &Secrets, announced: bool) -> Finding {
    let (severity, remedy) = match &hit.place {
        Where::File(_) => {
            (Severity::Medium, "look at the file: it has bytes in common with what was removed")
        }
        Where::Log | Where::Metadata if announced => (Severity::Medium, REMEDY),
        Where::Metadata => (Severity::High, REMEDY),
        Where::Free | Where::Log | Where::Preallocated(_) | Where::Unknown => {
            (Severity::Critical, REMEDY)
        }
    };
    let more = match count {
        0 | 1 => String::new(),
        _ => format!(" and {} more places", count - 1),
    };
    Finding {
        rule: PROOF.into(),
        category: "proof".into(),
        severity,
        path: secrets.name(hit.secret),
        subject: Some(format!("{} at byte {}{more}", hit.device, hit.offset)),
        what: format!("a piece of what this file held is still readable in {}", place(&hit.place)),
        why: "a captured image is a copy of blocks, free ones included".into(),
        remedy: remedy.into(),
    }
}

const REMEDY: &str =
    "unmount the image and treat it offline: e2fsck -fy -E discard, zerofree, or xfs_repair";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Fragment;

    #[test]
    fn a_hit_in_a_live_file_is_no_failure_and_one_in_a_free_block_is() {
        let hit = |place| Hit {
            device: "/dev/x".into(),
            offset: 7,
            secret: 0,
            form: crate::proof::Form::Plain,
            place,
        };
        let secrets = Secrets::default();
        let file = Where::File(ImagePath::literal("/usr/share/doc/x"));
        assert_eq!(survivor(&hit(file), 1, &secrets, false).severity, Severity::Medium);
        assert_eq!(survivor(&hit(Where::Free), 1, &secrets, true).severity, Severity::Critical);
        let log = survivor(&hit(Where::Log), 3, &secrets, true);
        assert_eq!(log.severity, Severity::Medium);
        assert!(log.subject.unwrap().ends_with(" and 2 more places"));
        let file = |path| hit(Where::File(ImagePath::literal(path)));
        let found = SearchReport {
            devices: Vec::new(),
            secrets: 1,
            not_provable: 0,
            hits: vec![file("/usr/share/x"), file("/srv/x"), file("/srv/x"), hit(Where::Log)],
            more: 0,
            blind: Vec::new(),
        };
        let policy = |text| Settings::new(Fragment::parse("p", text).unwrap()).unwrap();
        assert_eq!(survivors(&found, &secrets, &policy(""), &|_| false).len(), 2);
        let kept = policy("allow: {paths: [/srv/x]}");
        assert_eq!(survivors(&found, &secrets, &kept, &|_| false).len(), 1);
    }
}
