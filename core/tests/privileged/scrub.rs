//! Whole scrubs of images that somebody prepared, or that are mounted in odd ways.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, lchown, symlink};

use disinherit_core::pipeline::{self, Job};
use disinherit_core::policy::{Fragment, Settings};
use disinherit_core::report::{Mode, Report};
use disinherit_core::root::Root;
use rustix::fs::{CWD, FileType, mknodat};

use super::Add;
use super::place::{ANN, Place, run, text};

const SHADOW: &[u8] = b"root:$6$salt$0123456789abcdef:19700:0:99999:7:::\n";
pub(crate) const KEY: &[u8] =
    b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHlvbmRlciBzdGFuZHMgYSBrZXkgZm9yIHRlc3RzeHl6 x\n";

pub(crate) fn add(add: Add<'_>) {
    add("scrub::traps_of_a_user", &[], Box::new(traps_of_a_user));
    add("scrub::what_is_bound_from_outside_stays", &[], Box::new(what_is_bound_from_outside_stays));
    add("scrub::a_read_only_root", &[], Box::new(a_read_only_root));
}

pub(crate) fn image(place: &Place) {
    place.file(
        "etc/passwd",
        b"root:x:0:0::/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\n\
          bob:x:1001:1001::/home/bob:/bin/sh\n",
    );
    place.file("etc/shadow", SHADOW);
    place.owned_dir("home/ann/.ssh", ANN);
    place.owned_dir("home/ann", ANN);
    place.owned_dir("home/bob/.ssh", ANN + 1);
    fs::create_dir_all(place.at("root")).unwrap();
}

fn scrub(place: &Place, policy: &str) -> Report {
    scrub_root(&place.root(), policy)
}

/// A scrub without sealing, erasing no more than the files.
pub(crate) fn scrub_root(root: &Root, policy: &str) -> Report {
    let policy = format!("firstboot: false\nerase: files\n{policy}");
    let settings = Settings::new(Fragment::parse("policy", &policy).unwrap()).unwrap();
    let job = Job { settings: &settings, firstboot: None, mode: Mode::Scrub };
    pipeline::run(root, &job, &mut ()).unwrap().1
}

fn planted(place: &Place, path: &str, to: &str) {
    symlink(to, place.at(path)).unwrap();
    lchown(place.at(path), Some(ANN), Some(ANN)).unwrap();
}

/// Everything that ann can put in her home against a scrub by root; the worst is a finding.
fn traps_of_a_user() {
    let place = Place::tmpfs("size=8m");
    image(&place);
    place.file("etc/ssh/other.pub", KEY);
    place.file("etc/cron.deny", b"");
    place.owned_file("home/bob/.ssh/authorized_keys", KEY, ANN + 1);
    planted(&place, "home/ann/.ssh/authorized_keys", "/etc/ssh/other.pub");
    planted(&place, "home/ann/.ssh/authorized_keys2", "/home/bob/.ssh/authorized_keys");
    planted(&place, "home/ann/.cache", "/etc");
    planted(&place, "home/ann/.bash_history", "/etc/passwd");
    planted(&place, "home/ann/.zsh_history", "/home/bob/.notes");
    planted(&place, "home/ann/.aws", ".aws");
    place.owned_file("home/bob/.notes", b"mine", ANN + 1);
    fs::hard_link(place.at("etc/passwd"), place.at("home/ann/.lesshst")).unwrap();
    let fifo = place.at("home/ann/.python_history");
    mknodat(CWD, &fifo, FileType::Fifo, 0o644.into(), 0).unwrap();
    let passwd = fs::read(place.at("etc/passwd")).unwrap();

    let report = scrub(&place, "keep_users: [bob]");
    let failed: Vec<_> = report.actions.iter().filter(|a| a.error.is_some()).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    assert_eq!(report.exit_code, 0, "{:#?}", report.findings);
    assert!(report.findings.iter().any(|f| f.path.to_string() == "/home/ann/.cache"));
    assert_eq!(fs::read(place.at("etc/passwd")).unwrap(), passwd);
    assert_eq!(fs::read(place.at("etc/ssh/other.pub")).unwrap(), KEY);
    assert_eq!(fs::read(place.at("home/bob/.ssh/authorized_keys")).unwrap(), KEY);
    assert_eq!(fs::read(place.at("home/bob/.notes")).unwrap(), b"mine");
    assert!(place.at("etc/cron.deny").exists() && !fifo.exists());
    assert_eq!(place.names("home/ann"), [".aws", ".cache", ".ssh"]);
    assert!(place.names("home/ann/.ssh").is_empty());
    assert!(fs::read(place.at("etc/shadow")).unwrap().starts_with(b"root:*:"));
}

/// A folder of the host that is mounted in the tree, also where root made a link to it; and one of
/// the tree itself under a second name.
fn what_is_bound_from_outside_stays() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("token"), "host").unwrap();
    fs::write(outside.path().join(".bash_history"), "host").unwrap();
    let place = Place::plain();
    image(&place);
    place.owned_file("data/.bash_history", b"x", ANN);
    for name in ["mnt/host", "home/own", "home/host"] {
        fs::create_dir_all(place.at(name)).unwrap();
    }
    symlink("/mnt/host", place.at("root/.cache")).unwrap();
    let mounts = ["mnt/host", "home/host", "home/own"].map(|name| place.at(name));
    run("mount", &["--bind", text(outside.path()), text(&mounts[0])]);
    run("mount", &["--bind", text(outside.path()), text(&mounts[1])]);
    run("mount", &["--bind", text(&place.at("data")), text(&mounts[2])]);

    let report = scrub(&place, "allow: {paths: [/mnt/host]}");
    for mount in &mounts {
        run("umount", &[text(mount)]);
    }
    assert_eq!(fs::read(outside.path().join("token")).unwrap(), b"host");
    assert_eq!(fs::read(outside.path().join(".bash_history")).unwrap(), b"host");
    assert!(!place.at("data/.bash_history").exists());
    // What was not entered is said, but for what policy allows.
    assert_eq!(report.exit_code, 1, "{:#?}", report.findings);
    let said: Vec<String> = report.findings.iter().map(|f| f.path.to_string()).collect();
    assert!(said.contains(&"/home/host".to_owned()) && !said.contains(&"/mnt/host".to_owned()));
}

/// T14: nothing can be written, and that is what the report says.
fn a_read_only_root() {
    let place = Place::tmpfs("size=8m");
    image(&place);
    place.owned_file("home/ann/.bash_history", b"x", ANN);
    let before = fs::metadata(place.at("etc/shadow")).unwrap();
    run("mount", &["-o", "remount,ro", text(&place.at(""))]);
    let report = scrub(&place, "");
    assert_eq!(report.exit_code, 3);
    assert!(report.actions.iter().all(|a| a.error.is_some()), "{:#?}", report.actions);
    assert!(report.findings.iter().any(|f| f.rule == "acc-shadow-hash"));
    assert!(report.findings.iter().any(|f| f.rule == "his-shell"));
    let after = fs::metadata(place.at("etc/shadow")).unwrap();
    let state = |m: &fs::Metadata| (m.ino(), m.mtime(), m.mtime_nsec(), m.ctime_nsec());
    assert_eq!(state(&before), state(&after));
    assert_eq!(fs::read(place.at("etc/shadow")).unwrap(), SHADOW);
    assert_eq!(place.names("etc"), ["passwd", "shadow"]);
}
