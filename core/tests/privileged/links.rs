//! Links that another user planted, hard and symbolic, still and moving.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, lchown, symlink};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use disinherit_core::Kind;
use disinherit_core::change::{Erase, create, delete, replace, truncate};
use disinherit_core::root::{FileKind, Links, Root, Target};
use rustix::fs::{CWD, FileType, Mode, RenameFlags, makedev, mknodat, renameat_with};

use super::Add;
use super::place::{ANN, Place, image_path};

const PASSWD: &[u8] = b"root:x:0:0:root:/root:/bin/bash\n";

pub(crate) fn add(add: Add<'_>) {
    add("links::whose_link_is_followed", &[], Box::new(whose_link_is_followed));
    add("links::foreign_hard_link", &[], Box::new(foreign_hard_link));
    add("links::devices_are_not_opened", &[], Box::new(devices_are_not_opened));
    for walk in [false, true] {
        let name = if walk { "walk" } else { "openat2" };
        add(&format!("links::race_{name}"), &[], Box::new(move || race(walk)));
    }
}

fn planted_link(place: &Place, path: &str, to: &str, uid: u32) {
    symlink(to, place.at(path)).unwrap();
    lchown(place.at(path), Some(uid), Some(uid)).unwrap();
}

fn whose_link_is_followed() {
    let place = Place::plain();
    place.file("etc/passwd", PASSWD);
    place.file("etc/ssh/keys/ann", b"key");
    place.owned_dir("home/ann", ANN);
    place.owned_dir("home/ann/real", ANN);
    place.owned_file("home/ann/real/keys", b"key", ANN);
    place.owned_dir("home/bob", ANN + 1);
    place.owned_file("home/bob/keys", b"key", ANN + 1);
    planted_link(&place, "home/ann/own", "real/keys", ANN);
    planted_link(&place, "home/ann/own-dir", "/home/ann/real", ANN);
    planted_link(&place, "home/ann/chain", "own-dir/../own", ANN);
    planted_link(&place, "home/ann/by-root", "/etc/ssh/keys/ann", 0);
    planted_link(&place, "home/ann/via-root", "by-root", ANN);
    planted_link(&place, "home/ann/etc", "/etc", ANN);
    planted_link(&place, "home/ann/passwd", "../../etc/passwd", ANN);
    planted_link(&place, "home/ann/slash", "/", ANN);
    planted_link(&place, "home/ann/bobs", "/home/bob/keys", ANN);
    planted_link(&place, "home/ann/new", "/etc/new", ANN);
    planted_link(&place, "home/ann/new-own", "real/new", ANN);
    // A link of root's that ann gave a second name, in her own home.
    fs::hard_link(place.at("home/ann/by-root"), place.at("home/ann/stolen")).unwrap();
    let followed = ["own", "own-dir/keys", "chain", "new-own", "real/keys", "missing"];
    let refused = [
        "via-root",
        "etc/passwd",
        "passwd",
        "slash/etc/passwd",
        "bobs",
        "new",
        "stolen",
        "by-root",
    ];
    for root in place.roots() {
        let follow = |name: &str| {
            root.target_followed(&image_path(&format!("/home/ann/{name}")), Links::OwnerMatched)
        };
        for name in followed {
            assert!(follow(name).unwrap().is_some(), "{name}");
        }
        for name in refused {
            let error = follow(name).unwrap_err();
            assert_eq!(error.kind(), Kind::Refused, "{name}: {}", error.report());
            // In places that only root can write to they are just links.
            let path = image_path(&format!("/home/ann/{name}"));
            assert!(root.target_followed(&path, Links::InRoot).unwrap().is_some(), "{name}");
        }
        let link = root.target(&image_path("/home/ann/passwd"), Links::OwnerMatched);
        let link = link.unwrap().unwrap().meta().unwrap().unwrap();
        assert_eq!(link.kind, FileKind::Symlink, "the link itself can be named");
    }
    fs::remove_file(place.at("home/ann/stolen")).unwrap();
    for root in place.roots() {
        let by_root = image_path("/home/ann/by-root");
        let target = root.target_followed(&by_root, Links::OwnerMatched).unwrap().unwrap();
        assert_eq!(target.path(), &image_path("/etc/ssh/keys/ann"));
    }
}

fn foreign_hard_link() {
    let place = Place::plain();
    let passwd = place.file("etc/passwd", PASSWD);
    place.owned_dir("home/ann/.ssh", ANN);
    fs::set_permissions(place.at("home/ann/.ssh"), fs::Permissions::from_mode(0o700)).unwrap();
    for change in [delete, truncate] {
        fs::hard_link(&passwd, place.at("home/ann/.ssh/authorized_keys")).unwrap();
        let (target, meta) = place.target("/home/ann/.ssh/authorized_keys");
        let erase = change(&target, &meta).unwrap();
        assert!(matches!(erase, Erase::NotErased { .. }), "{erase}");
        assert!(place.names("home/ann/.ssh").is_empty());
        assert_eq!(fs::read(&passwd).unwrap(), PASSWD);
    }
    fs::hard_link(&passwd, place.at("home/ann/.ssh/authorized_keys")).unwrap();
    let (target, meta) = place.target("/home/ann/.ssh/authorized_keys");
    let erase = replace(&target, &meta, b"# nothing\n").unwrap();
    assert!(matches!(erase, Erase::NotErased { .. }), "{erase}");
    assert_eq!(fs::read(&passwd).unwrap(), PASSWD);
    // Her own file under two names is hers to lose.
    place.owned_file("home/ann/.ssh/id", b"key", ANN);
    fs::hard_link(place.at("home/ann/.ssh/id"), place.at("home/ann/.ssh/id2")).unwrap();
    let (target, meta) = place.target("/home/ann/.ssh/id");
    let erase = delete(&target, &meta).unwrap();
    assert!(!matches!(erase, Erase::NotErased { .. }), "{erase}");
    assert_eq!(fs::read(place.at("home/ann/.ssh/id2")).unwrap(), b"");
}

fn devices_are_not_opened() {
    let place = Place::plain();
    // Major number 240 is for local use: opening it would fail with ENXIO.
    for (kind, name) in [(FileType::BlockDevice, "block"), (FileType::CharacterDevice, "char")] {
        let path = place.at(name);
        mknodat(CWD, &path, kind, Mode::from(0o600), makedev(240, 7)).unwrap();
        let image = format!("/{name}");
        for root in place.roots() {
            assert_eq!(root.read(&image_path(&image), 9).unwrap_err().kind(), Kind::Failed);
        }
        let (target, meta) = place.target(&image);
        assert!(truncate(&target, &meta).is_err());
        assert_eq!(delete(&target, &meta).unwrap(), Erase::NothingToErase);
    }
    assert_eq!(place.names(""), ["etc"]);
}

/// Ann flips her `.ssh` between a directory and a link to `/etc`, and `authorized_keys` between a
/// file, a link to `/etc/passwd` and a hard link of it, while root cleans.
fn race(walk: bool) {
    const ROUNDS: usize = 4000;
    let place = Place::plain();
    let passwd = place.file("etc/passwd", PASSWD);
    place.file("etc/authorized_keys", PASSWD);
    place.owned_dir("home/ann/.ssh", ANN);
    planted_link(&place, "home/ann/flip", "/etc", ANN);
    planted_link(&place, "home/ann/.ssh/to-passwd", "/etc/passwd", ANN);
    let before = fs::metadata(&passwd).unwrap();
    let root = if walk { place.root().without_openat2() } else { place.root() };
    let stop = AtomicBool::new(false);
    let (flips, hits) = thread::scope(|scope| {
        let flipping = scope.spawn(|| {
            let mut flips = 0;
            while !stop.load(Ordering::Relaxed) {
                flip(&place);
                flips += 1;
            }
            flips
        });
        let hits = (0..ROUNDS).filter(|round| clean(&root, *round).is_some()).count();
        stop.store(true, Ordering::Relaxed);
        (flipping.join().unwrap(), hits)
    });
    assert!(flips > ROUNDS / 10 && hits > 0, "{hits} changes got through {flips} flips");
    let now = fs::metadata(&passwd).unwrap();
    assert_eq!(fs::read(&passwd).unwrap(), PASSWD);
    assert_eq!((now.ino(), now.mtime_nsec()), (before.ino(), before.mtime_nsec()));
    assert_eq!(fs::read(place.at("etc/authorized_keys")).unwrap(), PASSWD);
    assert_eq!(place.names("etc"), ["authorized_keys", "passwd"]);
}

fn flip(place: &Place) {
    // Root removes names in between, so that each of these may fail.
    let exchange = |a: &str, b: &str| {
        let flags = RenameFlags::EXCHANGE;
        renameat_with(CWD, place.at(a), CWD, place.at(b), flags).is_ok()
    };
    exchange("home/ann/.ssh", "home/ann/flip");
    exchange("home/ann/.ssh", "home/ann/flip");
    let keys = place.at("home/ann/.ssh/authorized_keys");
    exchange("home/ann/.ssh/authorized_keys", "home/ann/.ssh/to-passwd");
    exchange("home/ann/.ssh/authorized_keys", "home/ann/.ssh/to-passwd");
    if !keys.exists() && fs::hard_link(place.at("etc/passwd"), &keys).is_err() {
        thread::yield_now();
    }
}

fn clean(root: &Root, round: usize) -> Option<()> {
    let keys = image_path("/home/ann/.ssh/authorized_keys");
    let follow = round % 2 == 0;
    let target: Option<Target> = if follow {
        root.target_followed(&keys, Links::OwnerMatched).ok()?
    } else {
        root.target(&keys, Links::OwnerMatched).ok()?
    };
    let target = target?;
    match (target.meta().ok()?, round % 3) {
        (Some(meta), 0) => truncate(&target, &meta).map(drop),
        (Some(meta), 1) => delete(&target, &meta).map(drop),
        (Some(meta), _) => replace(&target, &meta, b"# no key\n").map(drop),
        (None, _) => create(&target, b"ann's key\n", 0o600, ANN, ANN),
    }
    .ok()
}
