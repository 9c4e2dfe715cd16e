//! What the search of the raw disk found, as findings.

use std::collections::BTreeSet;

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

/// A finding per hit, but one for all that a live file has in common with what went, and none for
/// the files of packages and those that policy keeps.
pub(super) fn survivors(
    found: &SearchReport,
    secrets: &Secrets,
    settings: &Settings,
) -> Vec<Finding> {
    let kept = |file: &ImagePath| settings.allow.paths.iter().any(|p| p.matches(file));
    let mut told = BTreeSet::new();
    let mut findings = Vec::new();
    for hit in &found.hits {
        let tell = match &hit.place {
            Where::File(file) => {
                !PUBLIC.iter().any(|top| file.starts_with(&ImagePath::literal(top)))
                    && !kept(file)
                    && told.insert((secrets.name(hit.secret), file.clone()))
            }
            _ => true,
        };
        if tell {
            findings.push(survivor(hit, secrets));
        }
    }
    findings
}

/// What the search found. In a live file the bytes may stand with good reason; anywhere else
/// something that this run removed can still be read.
fn survivor(hit: &Hit, secrets: &Secrets) -> Finding {
    let (severity, place, remedy) = match &hit.place {
        Where::File(path) => (
            Severity::Medium,
            format!("the file {path}"),
            "look at the file: it has bytes in common with what was removed",
        ),
        Where::Free => (Severity::Critical, "a free block".into(), REMEDY),
        Where::Log => (Severity::Critical, "the journal".into(), REMEDY),
        Where::Metadata => (Severity::High, "metadata of the file system".into(), REMEDY),
        Where::Preallocated(path) => {
            (Severity::Critical, format!("blocks that {path} holds preallocated"), REMEDY)
        }
        Where::Unknown => (Severity::Critical, "a place that could not be told".into(), REMEDY),
    };
    Finding {
        rule: PROOF.into(),
        category: "proof".into(),
        severity,
        path: secrets.name(hit.secret),
        subject: Some(format!("{} at byte {}", hit.device, hit.offset)),
        what: format!("a piece of what this file held is still readable in {place}"),
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
        assert_eq!(survivor(&hit(file), &secrets).severity, Severity::Medium);
        assert_eq!(survivor(&hit(Where::Free), &secrets).severity, Severity::Critical);
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
        assert_eq!(survivors(&found, &secrets, &policy("")).len(), 2);
        let kept = policy("allow: {paths: [/srv/x]}");
        assert_eq!(survivors(&found, &secrets, &kept).len(), 1);
    }
}
