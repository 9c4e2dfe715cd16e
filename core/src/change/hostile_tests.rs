//! A disk that fills up, and a user who moves things about meanwhile.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt as _, symlink as link_to};
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::step::armed::{At, Fault, arm, disarm};
use super::tests::{CLEAN, Image, SECRET, held, image_path};
use super::*;
use crate::root::{Links, Root};

/// A file size limit stands for a full disk: the write fails half-way, for real.
#[test]
fn a_full_disk_leaves_the_old_file() {
    let content = SECRET.repeat(1000);
    if let Some(dir) = std::env::var_os("DISINHERIT_TEST_FULL") {
        let root = Root::offline(&PathBuf::from(dir)).unwrap();
        let target = root.target(&image_path("/etc/shadow"), Links::InRoot).unwrap().unwrap();
        let meta = target.meta().unwrap().unwrap();
        let error = replace(&target, &meta, &vec![b'x'; content.len()]).unwrap_err();
        assert!(error.report().contains("File too large"), "{}", error.report());
        assert!(error.remedy_text().unwrap().contains("free some space"));
        // Removing needs no space.
        truncate(&target, &meta).unwrap();
        return;
    }
    let image = Image::new();
    let shadow = image.file("etc/shadow", &content);
    let before = fs::metadata(&shadow).unwrap();
    let held_shadow = File::open(&shadow).unwrap();
    // 8 blocks of 512 bytes.
    let status = Command::new("/bin/sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 8; exec \"$0\" --exact \"$1\" >/dev/null"])
        .arg(std::env::current_exe().unwrap())
        .arg("change::hostile_tests::a_full_disk_leaves_the_old_file")
        .env("DISINHERIT_TEST_FULL", image.at(""))
        .status()
        .unwrap();
    assert!(status.success());
    assert_eq!(fs::metadata(&shadow).unwrap().ino(), before.ino());
    assert!(held(&held_shadow).is_empty(), "emptied in the end");
    assert_eq!(image.names("etc"), ["shadow"]);
}

/// A name flips between a file and a link that leads out, thousands of times: nothing outside of
/// the image is ever touched, and whatever is done hits the file or is an error.
#[test]
fn a_flipping_link_never_leads_out() {
    const ROUNDS: usize = 2000;
    let image = Image::new();
    let host = image.dir.path().join("host");
    fs::create_dir(&host).unwrap();
    fs::write(host.join("authorized_keys"), SECRET).unwrap();
    let sentinel = Meta::of(&rustix::fs::stat(host.join("authorized_keys")).unwrap());
    image.file("home/.ssh/authorized_keys", SECRET);
    link_to(&host, image.at("home/out")).unwrap();
    link_to("../../../../../../../../../../../host", image.at("home/up")).unwrap();
    let stop = AtomicBool::new(false);
    let flip = |a: &str, b: &str| {
        renameat_with(CWD, image.at(a), CWD, image.at(b), RenameFlags::EXCHANGE).unwrap();
    };
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                for other in ["home/out", "home/up"] {
                    flip("home/.ssh", other);
                    flip("home/.ssh", other);
                }
            }
        });
        let keys = image_path("/home/.ssh/authorized_keys");
        let roots = [image.root(), image.root().without_openat2()];
        let mut hits = 0;
        for round in 0..ROUNDS {
            let root = &roots[round % 2];
            let links = if round % 4 < 2 { Links::InRoot } else { Links::OwnerMatched };
            if let Ok(Some(content)) = root.read(&keys, 4096) {
                assert!([SECRET, CLEAN, b""].contains(&content.as_slice()));
            }
            let Ok(Some(target)) = root.target(&keys, links) else { continue };
            let Ok(meta) = target.meta() else { continue };
            let me = fs::metadata(image.at("etc")).unwrap();
            let result = match (meta, round % 3) {
                (Some(meta), 0) => truncate(&target, &meta).map(drop),
                (Some(meta), 1) => delete(&target, &meta).map(drop),
                (Some(meta), _) => replace(&target, &meta, CLEAN).map(drop),
                (None, _) => create(&target, SECRET, 0o600, me.uid(), me.gid()),
            };
            hits += usize::from(result.is_ok());
        }
        stop.store(true, Ordering::Relaxed);
        assert!(hits > 0, "no change ever got through");
    });
    let now = Meta::of(&rustix::fs::stat(host.join("authorized_keys")).unwrap());
    assert_eq!(now, sentinel);
    assert_eq!(fs::read_dir(&host).unwrap().count(), 1);
}

/// Another program puts its own file in place at the last moment: that one stays.
#[test]
fn a_late_change_by_somebody_else_wins() {
    type Change = fn(&Target, &Meta) -> Result<Erase>;
    let cases: [(&str, Change); 4] = [
        ("put the new file in place", |target, meta| replace(target, meta, CLEAN)),
        ("write the new content", |target, meta| replace(target, meta, CLEAN)),
        ("set aside", delete),
        ("set aside", |target, meta| remove::remove(target, meta, remove::Shared::Keep)),
    ];
    for (step, change) in cases {
        let image = Image::new();
        image.file("etc/shadow", SECRET);
        let theirs = image.file("etc/theirs", b"written by useradd\n");
        let target = image.root().target(&image_path("/etc/shadow"), Links::InRoot);
        let target = target.unwrap().unwrap();
        let meta = target.meta().unwrap().unwrap();
        let _held = File::open(image.at("etc/shadow")).unwrap();
        let shadow = image.at("etc/shadow");
        arm(
            At::Name(step),
            Fault::Meanwhile(Box::new(move || fs::rename(theirs, shadow).unwrap())),
        );
        let result = change(&target, &meta);
        assert!(disarm().1, "{step}");
        let report = result.unwrap_err().report();
        assert!(report.contains("changed since discovery"), "{step}: {report}");
        assert_eq!(fs::read(image.at("etc/shadow")).unwrap(), b"written by useradd\n");
        assert_eq!(image.names("etc"), ["shadow"], "{step}");
    }
}
