//! What is left on the device: each change on each file system, then a search of the raw image.

use std::fs::{self, File};
use std::process::Command;

use disinherit_core::change::{Erase, delete, delete_tree, replace, truncate};
use rustix::fs::{FallocateFlags, fallocate, syncfs};

use super::Add;
use super::place::Place;

/// A file system and what an overwrite is worth there.
struct FileSystem {
    name: &'static str,
    needs: super::Needs,
    mkfs: &'static [&'static str],
    mebibytes: u64,
    options: &'static str,
    expected: Expected,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Expected {
    Overwritten,
    Discard,
    Checkpoint,
}

const FILE_SYSTEMS: &[FileSystem] = &[
    FileSystem {
        name: "ext4",
        needs: super::EXT4,
        mkfs: &["mkfs.ext4", "-q"],
        mebibytes: 64,
        options: "rw",
        expected: Expected::Overwritten,
    },
    FileSystem {
        name: "ext4-1k",
        needs: super::EXT4,
        mkfs: &["mkfs.ext4", "-q", "-b", "1024"],
        mebibytes: 64,
        options: "rw",
        expected: Expected::Overwritten,
    },
    FileSystem {
        name: "ext4-journals-data",
        needs: super::EXT4,
        mkfs: &["mkfs.ext4", "-q"],
        mebibytes: 64,
        options: "data=journal",
        expected: Expected::Checkpoint,
    },
    FileSystem {
        name: "ext4-inline",
        needs: super::EXT4,
        mkfs: &["mkfs.ext4", "-q", "-O", "inline_data", "-I", "512"],
        mebibytes: 64,
        options: "rw",
        expected: Expected::Checkpoint,
    },
    FileSystem {
        name: "xfs",
        needs: super::XFS,
        mkfs: &["mkfs.xfs", "-q"],
        mebibytes: 320,
        options: "rw",
        expected: Expected::Overwritten,
    },
    FileSystem {
        name: "btrfs",
        needs: super::BTRFS,
        mkfs: &["mkfs.btrfs", "-q"],
        mebibytes: 256,
        options: "rw",
        expected: Expected::Discard,
    },
];

pub(crate) fn add(add: Add<'_>) {
    for fs in FILE_SYSTEMS {
        add(&format!("erasure::{}", fs.name), fs.needs, Box::new(|| on_each_file_system(fs)));
    }
    add("erasure::adopted_blocks_on_xfs", super::XFS, Box::new(adopted_blocks_on_xfs));
    add("erasure::reflinks_on_xfs", super::XFS, Box::new(reflinks_on_xfs));
    add("erasure::nocow_on_btrfs", super::BTRFS, Box::new(nocow_on_btrfs));
    add("erasure::memory", &[], Box::new(memory));
}

/// 80 bytes: small enough for an inode, and no two file systems compress it away.
fn token(name: &str) -> String {
    format!("disinherit-{name}-7f3a9c51e8d2b604-7f3a9c51e8d2b604-7f3a9c51e8d2b604-plain-text\n")
}

/// How often the token of `name` stands on the device; by its first bytes, because a file inside
/// its inode is cut in two.
fn count(place: &Place, name: &str) -> usize {
    let token = token(name);
    let found = Command::new("grep")
        .args(["-aoF", token.get(..50).unwrap()])
        .arg(place.device())
        .env("LC_ALL", "C")
        .output()
        .unwrap();
    assert!(found.stderr.is_empty(), "{}", String::from_utf8_lossy(&found.stderr));
    found.stdout.iter().filter(|byte| **byte == b'\n').count()
}

fn sync(place: &Place) {
    syncfs(File::open(place.at("")).unwrap()).unwrap();
}

fn on_each_file_system(fs: &FileSystem) {
    let mut place = Place::made_by(fs.mkfs, fs.mebibytes, fs.options);
    let names = ["replaced", "truncated", "deleted", "tree/below"];
    // A file inside its inode has to be small; everywhere else small and large go the same way.
    let copies = if fs.name == "ext4-inline" { 1 } else { 500 };
    for name in names {
        place.file(name, token(name).repeat(copies).as_bytes());
    }
    sync(&place);
    for name in names {
        assert!(count(&place, name) > 0, "{name} is planted");
    }

    let mut outcomes = Vec::new();
    place.change("/replaced", |target, meta| {
        outcomes.push(replace(target, meta, b"clean\n").unwrap());
    });
    place.change("/truncated", |target, meta| outcomes.push(truncate(target, meta).unwrap()));
    place.change("/deleted", |target, meta| outcomes.push(delete(target, meta).unwrap()));
    place.change("/tree", |target, _| {
        delete_tree(target, &mut |_, erase| outcomes.push(erase)).unwrap();
    });
    place.unmount();

    for (name, outcome) in names.iter().zip(&outcomes) {
        let kind = match outcome {
            Erase::Overwritten { .. } => Expected::Overwritten,
            Erase::NeedsDiscard { .. } => Expected::Discard,
            Erase::NeedsCheckpoint { .. } => Expected::Checkpoint,
            other => panic!("{name}: {other}"),
        };
        assert_eq!(kind, fs.expected, "{name}: {outcome}");
        let left = count(&place, name);
        // Elsewhere the outcome says that something may be left.
        assert!(fs.expected != Expected::Overwritten || left == 0, "{name}: {left} left");
    }
    assert_eq!(outcomes.len(), names.len());
}

/// Blocks of deleted files, taken over by a preallocated one, keep their bytes until overwritten.
fn adopted_blocks_on_xfs() {
    let mut place = Place::made_by(&["mkfs.xfs", "-q"], 320, "rw");
    for number in 0..200 {
        place.file(&format!("secret/{number}"), token("adopted").repeat(300).as_bytes());
    }
    sync(&place);
    fs::remove_dir_all(place.at("secret")).unwrap();
    sync(&place);
    let file = File::create(place.at("journal")).unwrap();
    let mut size = 300 << 20;
    while fallocate(&file, FallocateFlags::empty(), 0, size).is_err() {
        size -= 4 << 20;
    }
    file.sync_all().unwrap();
    drop(file);
    assert!(count(&place, "adopted") > 1000);
    let erase = place.change("/journal", |target, meta| delete(target, meta).unwrap());
    assert!(matches!(erase, Erase::Overwritten { bytes } if bytes >= size), "{erase}");
    place.unmount();
    let left = count(&place, "adopted");
    assert!(left < 1000, "{left} left; only what was not adopted may be");
}

/// An overwrite of shared blocks goes elsewhere; that must not be called erased.
fn reflinks_on_xfs() {
    let place = Place::made_by(&["mkfs.xfs", "-q", "-m", "reflink=1"], 320, "rw");
    let secret = place.file("secret", token("reflink").repeat(500).as_bytes());
    let copy = place.at("copy");
    let paths = [secret.to_str().unwrap(), copy.to_str().unwrap()];
    super::place::run("cp", &["--reflink=always", paths[0], paths[1]]);
    sync(&place);
    let (target, meta) = place.target("/secret");
    let erase = delete(&target, &meta).unwrap();
    assert!(matches!(&erase, Erase::NotErased { why } if why.contains("shares")), "{erase}");
    assert_eq!(fs::read(&copy).unwrap(), token("reflink").repeat(500).as_bytes());
    let (target, meta) = place.target("/copy");
    let erase = delete(&target, &meta).unwrap();
    assert!(matches!(erase, Erase::Overwritten { .. }), "{erase}");
}

/// `chattr +C` files of btrfs are written in place, and their replacement is one too.
fn nocow_on_btrfs() {
    let mut place = Place::made_by(&["mkfs.btrfs", "-q"], 256, "rw");
    let path = place.file("secret", b"");
    super::place::run("chattr", &["+C", path.to_str().unwrap()]);
    fs::write(&path, token("nocow").repeat(500)).unwrap();
    sync(&place);
    let clean = "clean\n".repeat(5000);
    let erase =
        place.change("/secret", |target, meta| replace(target, meta, clean.as_bytes()).unwrap());
    assert!(matches!(erase, Erase::Overwritten { .. }), "{erase}");
    let erase = place.change("/secret", |target, meta| truncate(target, meta).unwrap());
    assert!(matches!(erase, Erase::Overwritten { .. }), "{erase}");
    place.unmount();
    assert_eq!(count(&place, "nocow"), 0);
}

fn memory() {
    let place = Place::tmpfs("size=1m");
    place.file("secret", b"in memory");
    let (target, meta) = place.target("/secret");
    assert_eq!(delete(&target, &meta).unwrap(), Erase::NothingToErase);
}
