//! T42: second copies of the system, by the programs that make them.

use std::collections::BTreeSet;

use disinherit_tests::{Result, expect, failed};

use super::Readers;

const HASH: &str = "$6$Zb7yQm2LkP0sXc4V$kq3JfW1e8uYtRr5oPzNvGmD6hSxAaLc0iBjE2fUyKw9TgHqZ7dXsV4nMbCpOlIu1b8Rw2tYq5vEz7nKx3mJc.1";

/// Trees that snapper, timeshift and rpm-ostree leave.
const COPIES: &[&str] = &[
    ".snapshots/1/snapshot/etc/shadow",
    "timeshift/snapshots/2026-01-01_00-00-01/localhost/etc/shadow",
    "run/timeshift/backup/timeshift/snapshots/x/localhost/etc/shadow",
    "ostree/deploy/fedora/deploy/0123.0/etc/shadow",
];

/// `/etc` in git by the real etckeeper, with a hash that only an old commit has.
fn etckeeper(readers: &Readers) -> Result {
    readers.append("etc/shadow", &format!("old:{HASH}:19000::::::\n"))?;
    let author = [
        "env",
        "HOME=/root",
        "GIT_AUTHOR_NAME=x",
        "GIT_AUTHOR_EMAIL=x",
        "GIT_COMMITTER_NAME=x",
        "GIT_COMMITTER_EMAIL=x",
    ];
    let run = |argv: &[&str]| readers.content(&[&author[..], argv].concat());
    run(&["etckeeper", "init"])?;
    run(&["etckeeper", "commit", "with the hash"])?;
    let text = readers.read("etc/shadow");
    let without: String =
        text.lines().filter(|l| !l.starts_with("old:")).map(|l| format!("{l}\n")).collect();
    readers.layer.write("etc/shadow", 0o640, without)?;
    run(&["etckeeper", "commit", "without it"])?;
    let old = run(&["git", "-C", "/etc", "log", "-p", "--", "shadow"])?;
    expect(old.contains(HASH), || "git kept no hash: the test means nothing".to_owned())
}

pub(super) fn all() -> Result {
    let readers = Readers::new()?;
    etckeeper(&readers)?;
    for path in COPIES {
        readers.layer.write(path, 0o640, format!("root:{HASH}:19000::::::\n"))?;
    }
    let policy = "firstboot: false\nkeep_users: [ann, packer]\nstrict: true\n";
    let (_, audit) = readers.disinherit("audit", policy)?;
    let (code, report) = readers.disinherit("scrub", policy)?;
    expect(code == 1, || format!("a strict run passes: {report}"))?;
    let named = paths(&audit, &["actions", "findings"])?;
    let gone = |path: &str| !readers.root().join(path).exists();
    for path in COPIES.iter().copied().chain(["etc/.git"]) {
        // The finding may be about the snapshot or the repository as a whole.
        let said = named.iter().any(|named| format!("/{path}").starts_with(named.as_str()));
        expect(said, || format!("{path} is not named among {named:?}"))?;
        let left = paths(&report, &["findings"])?;
        let still = left.iter().any(|named| format!("/{path}").starts_with(named.as_str()));
        expect(gone(path) || still, || format!("{path} is there and not named any more"))?;
    }
    Ok(())
}

fn paths(report: &serde_json::Value, lists: &[&str]) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for list in lists {
        let entries = report[list].as_array().ok_or_else(|| failed("a report without lists"))?;
        let paths = entries.iter().filter_map(|entry| entry["path"].as_str());
        found.extend(paths.filter(|path| *path != "/").map(str::to_owned));
    }
    Ok(found)
}
