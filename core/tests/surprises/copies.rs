//! Second copies of the system inside of the image, and links that would lead to the host.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use disinherit_core::catalogue::Severity;

use super::image::{Image, found, locked};

const OLD: &str = "root:$6$salt$fedcba9876543210:19700:0:99999:7:::\n";

/// T42: the live files are clean afterwards, and still nobody may call the image clean.
#[test]
fn former_shadow_files_fail_a_strict_run() {
    for (path, text) in [
        ("etc/.git/objects/ab/cdef", "blob"),
        (".snapshots/1/info.xml", "<snapshot/>"),
        (".snapshots/1/snapshot/etc/shadow", OLD),
        ("ostree/deploy/os/deploy/abc.0.origin", "[origin]\n"),
        ("sysroot/ostree/deploy/os/deploy/abc.0/etc/shadow", OLD),
        ("var/lib/machines/web/etc/shadow", OLD),
        ("var/lib/docker/overlay2/0a/diff/etc/shadow", OLD),
        ("var/lib/containers/storage/overlay/0b/diff/etc/shadow", OLD),
        ("srv/chroot/build/etc/shadow", OLD),
    ] {
        let image = Image::new();
        image.put(path, text);
        let report = image.try_scrub("strict: true\nrules: {lef-etckeeper: report}").unwrap();
        assert!(locked(&image) && report.exit_code == 1, "{path}");
        let named =
            report.findings.iter().any(|f| format!("/{path}").starts_with(&f.path.to_string()));
        assert!(named, "{path}: {:#?}", report.findings);
        assert!(fs::symlink_metadata(image.at(path)).is_ok(), "{path} was touched");
    }
}

/// A hash in a second system fails every run, not the strict ones alone.
#[test]
fn a_hash_in_a_second_system_is_high() {
    let image = Image::new();
    image.put("var/lib/machines/web/etc/shadow", OLD);
    image.put("var/lib/machines/clean/etc/shadow", "root:*:19700::::::\n");
    let report = image.scrub("");
    assert!(found(&report, "/var/lib/machines/web/etc/shadow", Severity::High));
    let clean = report.findings.iter().any(|f| f.path.to_string().contains("/clean/"));
    assert!(!clean, "{:#?}", report.findings);
}

/// T6: absolute links and `..` chains name places of the host; offline they mean the image's.
#[test]
fn links_to_the_host_never_leave_the_root() {
    let host = tempfile::tempdir().unwrap();
    let sentinel = |name: &str| host.path().join(name);
    for name in ["authorized_keys", "shadow", "log/syslog", ".bash_history"] {
        fs::create_dir_all(sentinel(name).parent().unwrap()).unwrap();
        fs::write(sentinel(name), OLD).unwrap();
    }
    let state = |path: &Path| {
        let meta = fs::symlink_metadata(path).unwrap();
        (meta.ino(), meta.len(), meta.mtime(), meta.mtime_nsec(), meta.ctime(), meta.ctime_nsec())
    };
    let names = ["authorized_keys", "shadow", "log/syslog", ".bash_history", "log", ""];
    let before: Vec<_> = names.iter().map(|name| state(&sentinel(name))).collect();

    let image = Image::new();
    let to = host.path().to_str().unwrap();
    let up = "../".repeat(30);
    image.link(to, "home/ann/.ssh");
    image.link(&format!("{to}/.bash_history"), "home/ann/.bash_history");
    image.link(&format!("{up}{to}/authorized_keys"), "home/bob/.ssh/authorized_keys");
    image.link(&format!("{to}/log"), "var/log");
    image.link(&format!("{to}/shadow"), "usr/etc/shadow");
    image.link(&format!("{up}{to}"), "root/.cache");
    image.put("etc/ssh/sshd_config", &format!("AuthorizedKeysFile ../../{up}{to}/%u .ssh/x\n"));
    let report = image.try_scrub("").unwrap();
    assert!(locked(&image), "{:#?}", report.findings);
    let after: Vec<_> = names.iter().map(|name| state(&sentinel(name))).collect();
    assert_eq!(before, after);
}
