//! What is mounted inside, what is mounted read-only, and what is full.

use std::fs::{self, File};
use std::io::Write as _;

use disinherit_core::change::{
    Erase, create, delete, delete_tree, empty_dir, replace, symlink, truncate,
};
use disinherit_core::root::Meta;

use super::Add;
use super::place::{Place, run, text};

const SECRET: &[u8] = b"root:$y$j9T$secret$hash:19000:0:99999:7:::\n";

pub(crate) fn add(add: Add<'_>) {
    add("mounts::what_is_mounted_inside_stays", &[], Box::new(what_is_mounted_inside_stays));
    add("mounts::a_mounted_file_is_not_written", &[], Box::new(a_mounted_file_is_not_written));
    add("mounts::read_only", &[], Box::new(read_only));
    add("mounts::full_tmpfs", &[], Box::new(|| full(&Place::tmpfs("size=256k"))));
    add(
        "mounts::full_ext4",
        super::EXT4,
        Box::new(|| full(&Place::made_by(&["mkfs.ext4", "-q"], 16, "rw"))),
    );
    add(
        "mounts::full_xfs",
        super::XFS,
        Box::new(|| full(&Place::made_by(&["mkfs.xfs", "-q"], 320, "rw"))),
    );
    add("mounts::no_inode_left", &[], Box::new(no_inode_left));
}

fn what_is_mounted_inside_stays() {
    let place = Place::tmpfs("size=4m");
    place.file("srv/outside/key", SECRET);
    place.file("tmp/tree/key", SECRET);
    for (name, arguments) in [
        ("tmp/tree/other", &["-t", "tmpfs", "none"][..]),
        // The same device: only the mount tells.
        ("tmp/tree/sub/bound", &["--bind", text(&place.at("srv/outside"))]),
    ] {
        fs::create_dir_all(place.at(name)).unwrap();
        let at = place.at(name);
        let mut arguments = arguments.to_vec();
        arguments.push(text(&at));
        run("mount", &arguments);
    }
    fs::write(place.at("tmp/tree/other/key"), SECRET).unwrap();
    let (target, _) = place.target("/tmp/tree");
    for clear in [empty_dir, delete_tree] {
        let mut left = Vec::new();
        clear(&target, &mut |path, erase| {
            if matches!(erase, Erase::NotErased { .. }) {
                left.push(path.to_string());
            }
        })
        .unwrap();
        assert_eq!(left, ["/tmp/tree/other", "/tmp/tree/sub/bound"]);
    }
    assert_eq!(place.names("tmp/tree"), ["other", "sub"]);
    assert_eq!(fs::read(place.at("tmp/tree/other/key")).unwrap(), SECRET);
    assert_eq!(fs::read(place.at("srv/outside/key")).unwrap(), SECRET);
}

/// A container's `/etc/hostname` is a file of the host.
fn a_mounted_file_is_not_written() {
    let place = Place::tmpfs("size=4m");
    let outside = place.file("srv/hostname", SECRET);
    let inside = place.file("etc/hostname", SECRET);
    run("mount", &["--bind", text(&outside), text(&inside)]);
    let (target, meta) = place.target("/etc/hostname");
    for result in [
        replace(&target, &meta, b"x"),
        truncate(&target, &meta),
        delete(&target, &meta),
        create(&target, b"x", 0o644, 0, 0).map(|()| Erase::NothingToErase),
    ] {
        let error = result.unwrap_err();
        assert!(error.remedy_text().unwrap().contains("unmount"), "{}", error.report());
    }
    assert_eq!(fs::read(&outside).unwrap(), SECRET);
    assert_eq!(place.names("etc"), ["hostname"]);
}

fn read_only() {
    let place = Place::tmpfs("size=4m");
    let path = place.file("etc/shadow", SECRET);
    run("mount", &["-o", "remount,ro", text(&place.at(""))]);
    let (target, meta) = place.target("/etc/shadow");
    for result in [
        replace(&target, &meta, b"x"),
        truncate(&target, &meta),
        delete(&target, &meta),
        symlink(&target, b"x").map(|()| Erase::NothingToErase),
    ] {
        let error = result.unwrap_err();
        assert!(error.remedy_text().unwrap().contains("writable"), "{}", error.report());
    }
    assert_eq!(fs::read(path).unwrap(), SECRET);
    assert_eq!(target.meta().unwrap().unwrap(), meta);
}

/// Nothing can be written, so the old file stays; what goes needs no space.
fn full(place: &Place) {
    let shadow = place.file("etc/shadow", &SECRET.repeat(100));
    place.file("etc/history", SECRET);
    place.file("etc/key", SECRET);
    place.file("etc/cache/a/b", SECRET);
    fill(place);
    let (target, meta) = place.target("/etc/shadow");
    let error = replace(&target, &meta, &vec![b'x'; 4 << 20]).unwrap_err();
    assert!(error.report().contains("No space left"), "{}", error.report());
    assert!(error.remedy_text().unwrap().contains("free some space"));
    assert_eq!(fs::read(&shadow).unwrap(), SECRET.repeat(100));
    let unchanged = |now: &Meta| (now.ino, now.size, now.mtime_nsec);
    assert_eq!(unchanged(&target.meta().unwrap().unwrap()), unchanged(&meta));

    let (target, meta) = place.target("/etc/history");
    truncate(&target, &meta).unwrap();
    let (target, meta) = place.target("/etc/key");
    delete(&target, &meta).unwrap();
    let (target, _) = place.target("/etc/cache");
    delete_tree(&target, &mut |_, _| ()).unwrap();
    assert_eq!(place.names("etc"), ["history", "shadow"]);
    assert_eq!(fs::metadata(place.at("etc/history")).unwrap().len(), 0);
}

fn fill(place: &Place) {
    let mut filler = File::create(place.at("filler")).unwrap();
    for size in [1 << 20, 4096, 1] {
        while filler.write_all(&vec![1; size]).is_ok() {}
    }
    filler.sync_all().unwrap_or_else(|error| assert_eq!(error.raw_os_error(), Some(28)));
}

fn no_inode_left() {
    let place = Place::tmpfs("size=4m,nr_inodes=8");
    let shadow = place.file("etc/shadow", SECRET);
    let mut number = 0;
    while File::create(place.at(&format!("filler{number}"))).is_ok() {
        number += 1;
    }
    let (target, meta) = place.target("/etc/shadow");
    let error = replace(&target, &meta, b"x\n").unwrap_err();
    assert!(error.remedy_text().unwrap().contains("free some space"), "{}", error.report());
    assert_eq!(fs::read(shadow).unwrap(), SECRET);
    delete(&target, &meta).unwrap();
}
