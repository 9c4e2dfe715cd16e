//! What each change leaves behind; as root and as anybody else.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _, symlink as link_to};
use std::path::PathBuf;

use proptest::prelude::*;
use rustix::fs::{CWD, FallocateFlags, FileType, Mode, XattrFlags};
use rustix::fs::{fallocate, getxattr, mknodat, setxattr};
use tempfile::TempDir;

use super::medium::Medium;
use super::*;
use crate::error::Kind;
use crate::path::ImagePath;
use crate::root::{Links, Root};

/// An image with one directory to work in.
pub(super) struct Image {
    pub(super) dir: TempDir,
}

impl Image {
    pub(super) fn new() -> Self {
        let dir = TempDir::new().unwrap();
        fs::create_dir_all(dir.path().join("image/etc")).unwrap();
        Self { dir }
    }

    pub(super) fn at(&self, path: &str) -> PathBuf {
        self.dir.path().join("image").join(path)
    }

    pub(super) fn file(&self, path: &str, content: &[u8]) -> PathBuf {
        let path = self.at(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    pub(super) fn root(&self) -> Root {
        Root::offline(&self.at("")).unwrap()
    }

    fn target(&self, path: &str) -> Target {
        self.root().target(&image_path(path), Links::InRoot).unwrap().unwrap()
    }

    fn target_and_meta(&self, path: &str) -> (Target, Meta) {
        let target = self.target(path);
        let meta = target.meta().unwrap().unwrap();
        (target, meta)
    }

    pub(super) fn names(&self, path: &str) -> Vec<String> {
        let names = fs::read_dir(self.at(path)).unwrap();
        let mut names: Vec<_> =
            names.map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// True when overwriting in place is worth something where the tests run.
    fn overwrites(&self) -> bool {
        let file = tempfile::tempfile_in(self.dir.path()).unwrap();
        let meta = Meta::of(&rustix::fs::fstat(&file).unwrap());
        matches!(Medium::of(&file, &meta), Medium::InPlace)
    }
}

pub(super) fn image_path(text: &str) -> ImagePath {
    ImagePath::new(text).unwrap()
}

/// All that is left of a file whose handle is still held.
pub(super) fn held(mut file: &File) -> Vec<u8> {
    let mut content = Vec::new();
    file.rewind().unwrap();
    file.read_to_end(&mut content).unwrap();
    content
}

pub(super) const SECRET: &[u8] = b"root:$y$j9T$secret$hash:19000:0:99999:7:::\n";
pub(super) const CLEAN: &[u8] = b"root:*:19000:0:99999:7:::\n";

#[test]
fn replace_keeps_the_rest_of_the_file_and_burns_the_old_one() {
    let image = Image::new();
    let shadow = image.file("etc/shadow", SECRET);
    fs::set_permissions(&shadow, fs::Permissions::from_mode(0o640)).unwrap();
    setxattr(&shadow, "user.note", b"\0raw\xff", XattrFlags::empty()).unwrap();
    let old = File::open(&shadow).unwrap();
    let (target, meta) = image.target_and_meta("/etc/shadow");

    let erase = replace(&target, &meta, CLEAN).unwrap();
    if image.overwrites() {
        assert!(matches!(erase, Erase::Overwritten { bytes } if bytes >= 43), "{erase}");
        assert!(held(&old).iter().all(|b| *b == 0));
    }
    assert_eq!(fs::read(&shadow).unwrap(), CLEAN);
    let now = fs::metadata(&shadow).unwrap();
    assert_eq!((now.mode() & 0o7777, now.uid(), now.gid()), (0o640, meta.uid, meta.gid));
    let mut value = [0; 16];
    assert_eq!(getxattr(&shadow, "user.note", value.as_mut_slice()).unwrap(), 5);
    assert_eq!(&value[..5], b"\0raw\xff");
    assert_eq!(image.names("etc"), ["shadow"]);
}

#[test]
fn nothing_is_written_when_nothing_changes() {
    let image = Image::new();
    image.file("etc/shadow", CLEAN);
    image.file("etc/empty", b"");
    fs::set_permissions(image.at("etc/shadow"), fs::Permissions::from_mode(0o644)).unwrap();
    link_to("/etc/shadow", image.at("etc/link")).unwrap();
    let (target, meta) = image.target_and_meta("/etc/shadow");
    let dir = fs::metadata(image.at("etc")).unwrap();

    assert_eq!(replace(&target, &meta, CLEAN).unwrap(), Erase::NothingToErase);
    create(&target, CLEAN, 0o644, meta.uid, meta.gid).unwrap();
    symlink(&image.target("/etc/link"), b"/etc/shadow").unwrap();
    make_dirs(&image.root(), &image_path("/etc"), 0o700).unwrap();
    let (empty, empty_meta) = image.target_and_meta("/etc/empty");
    assert_eq!(truncate(&empty, &empty_meta).unwrap(), Erase::NothingToErase);

    assert_eq!(target.meta().unwrap().unwrap(), meta);
    assert_eq!(empty.meta().unwrap().unwrap(), empty_meta);
    let now = fs::metadata(image.at("etc")).unwrap();
    assert_eq!((now.mtime_nsec(), now.ctime_nsec()), (dir.mtime_nsec(), dir.ctime_nsec()));
}

#[test]
fn empty_content_must_be_meant() {
    let image = Image::new();
    let shadow = image.file("etc/shadow", SECRET);
    let (target, meta) = image.target_and_meta("/etc/shadow");
    assert_eq!(replace(&target, &meta, b"").unwrap_err().kind(), Kind::Refused);
    assert_eq!(fs::read(&shadow).unwrap(), SECRET);
    Replace::of(&target, &meta).may_be_empty().with(b"").unwrap();
    assert_eq!(fs::read(&shadow).unwrap(), b"");
}

#[test]
fn what_changed_since_discovery_is_left_alone() {
    type Swap = fn(&PathBuf);
    let swaps: [Swap; 5] = [
        |path| fs::write(path, "other").unwrap(),
        |path| fs::remove_file(path).unwrap(),
        |path| {
            fs::remove_file(path).unwrap();
            fs::write(path, SECRET).unwrap();
        },
        |path| {
            fs::remove_file(path).unwrap();
            link_to("/etc/shadow", path).unwrap();
        },
        |path| {
            fs::remove_file(path).unwrap();
            mknodat(CWD, path, FileType::Fifo, Mode::from(0o600), 0).unwrap();
        },
    ];
    for (number, swap) in swaps.into_iter().enumerate() {
        let image = Image::new();
        image.file("etc/shadow", SECRET);
        let key = image.file("home/key", SECRET);
        // Held, so that the inode number is not used again.
        let _held = File::open(&key).unwrap();
        let (target, meta) = image.target_and_meta("/home/key");
        swap(&key);
        let swapped = target.meta().unwrap();
        for result in
            [replace(&target, &meta, CLEAN), truncate(&target, &meta), delete(&target, &meta)]
        {
            let report = result.unwrap_err().report();
            assert!(report.contains("changed since discovery"), "{number}: {report}");
        }
        assert_eq!(target.meta().unwrap(), swapped, "{number}");
        assert_eq!(fs::read(image.at("etc/shadow")).unwrap(), SECRET);
    }
}

#[test]
fn truncate_keeps_the_inode() {
    let image = Image::new();
    let history = image.file("root/.bash_history", &SECRET.repeat(1000));
    fs::set_permissions(&history, fs::Permissions::from_mode(0o600)).unwrap();
    let (target, meta) = image.target_and_meta("/root/.bash_history");
    let erase = truncate(&target, &meta).unwrap();
    if image.overwrites() {
        assert!(matches!(erase, Erase::Overwritten { bytes } if bytes >= meta.size), "{erase}");
    }
    let now = target.meta().unwrap().unwrap();
    assert!(now.same_object(&meta));
    assert_eq!((now.size, now.mode, now.uid), (0, meta.mode, meta.uid));
}

#[test]
fn odd_files_are_removed_unopened() {
    let image = Image::new();
    image.file("etc/shadow", SECRET);
    image.file("home/dir/key", SECRET);
    mknodat(CWD, image.at("home/fifo"), FileType::Fifo, Mode::from(0o600), 0).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(image.at("home/socket")).unwrap();
    link_to("/etc/shadow", image.at("home/link")).unwrap();
    for name in ["fifo", "socket", "link"] {
        let (target, meta) = image.target_and_meta(&format!("/home/{name}"));
        for result in [replace(&target, &meta, CLEAN), truncate(&target, &meta)] {
            assert_eq!(result.unwrap_err().kind(), Kind::Failed);
        }
        assert_eq!(delete(&target, &meta).unwrap(), Erase::NothingToErase);
    }
    let (target, meta) = image.target_and_meta("/home/dir");
    assert!(delete(&target, &meta).is_err());
    assert_eq!(image.names("home"), ["dir"]);
    assert_eq!(fs::read(image.at("etc/shadow")).unwrap(), SECRET);
}

#[test]
fn both_names_of_one_inode_go() {
    let image = Image::new();
    let key = image.file("home/.ssh/authorized_keys", SECRET);
    fs::set_permissions(image.at("home/.ssh"), fs::Permissions::from_mode(0o700)).unwrap();
    fs::hard_link(&key, image.at("home/.ssh/keys.backup")).unwrap();
    let first = image.target_and_meta("/home/.ssh/authorized_keys");
    let second = image.target_and_meta("/home/.ssh/keys.backup");
    let held_key = File::open(&key).unwrap();
    delete(&first.0, &first.1).unwrap();
    assert!(held(&held_key).is_empty());
    assert_eq!(delete(&second.0, &second.1).unwrap(), Erase::NothingToErase);
    assert!(image.names("home/.ssh").is_empty());
}

#[test]
fn replace_leaves_other_names_of_the_old_inode_alone() {
    let image = Image::new();
    let shadow = image.file("etc/shadow", SECRET);
    fs::hard_link(&shadow, image.at("etc/shadow-")).unwrap();
    let (target, meta) = image.target_and_meta("/etc/shadow");
    let erase = replace(&target, &meta, CLEAN).unwrap();
    assert!(matches!(erase, Erase::NotErased { .. }), "{erase}");
    assert_eq!(fs::read(image.at("etc/shadow-")).unwrap(), SECRET);
    // The rule for the backup removes the last name, and burns.
    let (target, meta) = image.target_and_meta("/etc/shadow-");
    let erase = delete(&target, &meta).unwrap();
    assert!(!matches!(erase, Erase::NotErased { .. }), "{erase}");
    assert_eq!(image.names("etc"), ["shadow"]);
}

#[test]
fn where_others_can_link_only_the_name_goes() {
    let image = Image::new();
    let key = image.file("tmp/key", SECRET);
    fs::set_permissions(image.at("tmp"), fs::Permissions::from_mode(0o1777)).unwrap();
    fs::hard_link(&key, image.at("etc/passwd")).unwrap();
    let (target, meta) = image.target_and_meta("/tmp/key");
    let erase = truncate(&target, &meta).unwrap();
    assert!(matches!(erase, Erase::NotErased { .. }), "{erase}");
    assert!(image.names("tmp").is_empty());
    assert_eq!(fs::read(image.at("etc/passwd")).unwrap(), SECRET);
}

#[test]
fn a_sparse_tebibyte_costs_what_is_allocated() {
    let image = Image::new();
    for change in [delete, truncate] {
        let file = File::create(image.at("history")).unwrap();
        file.set_len(1 << 40).unwrap();
        file.write_all_at(SECRET, 1 << 39).unwrap();
        let (target, meta) = image.target_and_meta("/history");
        match change(&target, &meta).unwrap() {
            Erase::Overwritten { bytes } => assert!((43..1 << 20).contains(&bytes), "{bytes}"),
            other => assert!(!image.overwrites(), "{other}"),
        }
        assert_eq!(file.metadata().unwrap().blocks(), 0);
    }
    let hole = File::create(image.at("hole")).unwrap();
    hole.set_len(1 << 40).unwrap();
    let (target, meta) = image.target_and_meta("/hole");
    let erase = delete(&target, &meta).unwrap();
    assert!(!image.overwrites() || erase == Erase::NothingToErase, "{erase}");
}

#[test]
fn preallocated_blocks_are_overwritten_too() {
    let image = Image::new();
    let file = File::create(image.at("journal")).unwrap();
    let past_the_end = FallocateFlags::KEEP_SIZE;
    if fallocate(&file, past_the_end, 0, 1 << 20).is_err() || !image.overwrites() {
        return; // Checked on ext4 and xfs by the privileged tests.
    }
    let (target, meta) = image.target_and_meta("/journal");
    assert_eq!(truncate(&target, &meta).unwrap(), Erase::Overwritten { bytes: 1 << 20 });
}

#[test]
fn a_deep_tree_goes_and_nothing_outside() {
    let image = Image::new();
    let outside = image.file("srv/outside", SECRET);
    image.file("tmp/tree/a/key", SECRET);
    fs::hard_link(&outside, image.at("tmp/tree/a/linked")).unwrap();
    fs::hard_link(image.at("tmp/tree/a/key"), image.at("tmp/tree/a/key2")).unwrap();
    link_to("/srv", image.at("tmp/tree/a/srv")).unwrap();
    link_to("../../../../srv", image.at("tmp/tree/a/up")).unwrap();
    let mut deep = image.at("tmp/tree/deep");
    for _ in 0..400 {
        deep.push("d");
    }
    fs::create_dir_all(&deep).unwrap();
    fs::write(deep.join("bottom"), SECRET).unwrap();
    let bottom = File::open(deep.join("bottom")).unwrap();

    let mut heard = Vec::new();
    let tree = image.target("/tmp/tree");
    empty_dir(&tree, &mut |path, erase| heard.push((path.to_string(), erase))).unwrap();
    assert!(image.names("tmp/tree").is_empty());
    assert!(held(&bottom).is_empty());
    assert_eq!(fs::read(&outside).unwrap(), SECRET);
    assert_eq!(heard.len(), 6, "{heard:?}");
    let kept: Vec<_> = heard.iter().filter(|(_, e)| matches!(e, Erase::NotErased { .. })).collect();
    // Of two names in the tree the last one burns.
    assert_eq!(kept.len(), if image.overwrites() { 2 } else { kept.len() }, "{heard:?}");

    delete_tree(&tree, &mut |_, _| panic!("nothing is left")).unwrap();
    assert!(image.names("tmp").is_empty());
    delete_tree(&tree, &mut |_, _| panic!("nothing is left")).unwrap();
    let file = image.target("/srv/outside");
    assert!(delete_tree(&file, &mut |_, _| ()).is_err());
}

#[test]
fn a_directory_of_somebody_is_made_whole_and_never_through_his_link() {
    let image = Image::new();
    let me = rustix::process::geteuid().as_raw();
    let group = rustix::process::getegid().as_raw();
    let made = image_path("/etc/made");
    make_dir_of(&image.root(), &made, 0o700, me, group).unwrap();
    let meta = image.root().lstat(&made).unwrap().unwrap();
    assert_eq!((meta.kind, meta.permissions(), meta.uid), (FileKind::Directory, 0o700, me));
    let outside = image.dir.path().join("outside");
    fs::create_dir(&outside).unwrap();
    let before = fs::metadata(&outside).unwrap().ctime_nsec();
    link_to(&outside, image.dir.path().join("image/etc/planted")).unwrap();
    assert!(make_dir_of(&image.root(), &image_path("/etc/planted"), 0o700, me, group).is_err());
    assert_eq!(fs::metadata(&outside).unwrap().ctime_nsec(), before);
}

#[test]
fn files_directories_and_links_are_made() {
    let image = Image::new();
    let root = image.root();
    let me = fs::metadata(image.at("etc")).unwrap();
    let path = image_path("/etc/systemd/system/x.d");
    make_dirs(&root, &path, 0o2755).unwrap();
    assert_eq!(fs::metadata(image.at("etc/systemd/system/x.d")).unwrap().mode() & 0o7777, 0o2755);
    let file = path.join("drop-in.conf").unwrap();
    let target = root.target(&file, Links::InRoot).unwrap().unwrap();
    for content in [&b"one"[..], b"", b"two\0\xff"] {
        create(&target, content, 0o644, me.uid(), me.gid()).unwrap();
        assert_eq!(root.read(&file, 99).unwrap().unwrap().as_slice(), content);
        assert_eq!(target.meta().unwrap().unwrap().permissions(), 0o644);
    }
    create(&target, b"two\0\xff", 0o600, me.uid(), me.gid()).unwrap();
    assert_eq!(target.meta().unwrap().unwrap().permissions(), 0o600);
    for text in [&b"/dev/null"[..], b"../x"] {
        symlink(&target, text).unwrap();
        assert_eq!(root.read_link(&file).unwrap().unwrap(), text);
    }
    create(&target, b"a file again", 0o644, me.uid(), me.gid()).unwrap();
    assert!(make_dirs(&root, &file.join("below").unwrap(), 0o755).is_err());
    let dir = root.target(&path, Links::InRoot).unwrap().unwrap();
    assert!(create(&dir, b"x", 0o644, me.uid(), me.gid()).is_err());
    assert!(symlink(&dir, b"x").is_err());
    assert_eq!(image.names("etc/systemd/system/x.d"), ["drop-in.conf"]);
}

#[test]
fn leftovers_of_a_killed_run_are_swept() {
    let image = Image::new();
    let temp = image.file("etc/.disinherit-0123456789abcdef", SECRET);
    image.file("etc/.disinherit-fedcba9876543210/below", SECRET);
    image.file("etc/.disinherit-notes", b"mine");
    let held_temp = File::open(temp).unwrap();
    assert_eq!(sweep_temps(&image.root(), &image_path("/etc")).unwrap(), 2);
    assert!(held(&held_temp).is_empty());
    assert_eq!(image.names("etc"), [".disinherit-notes"]);
    assert_eq!(sweep_temps(&image.root(), &image_path("/none")).unwrap(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever the bytes are (no final newline, CRLF, NUL, one long line), they arrive as given.
    #[test]
    fn content_is_written_byte_for_byte(
        old in proptest::collection::vec(any::<u8>(), 0..5000),
        new in proptest::collection::vec(any::<u8>(), 0..5000),
    ) {
        let image = Image::new();
        let path = image.file("etc/file", &old);
        let (target, meta) = image.target_and_meta("/etc/file");
        Replace::of(&target, &meta).may_be_empty().with(&new).unwrap();
        prop_assert_eq!(fs::read(path).unwrap(), new);
        prop_assert_eq!(image.names("etc"), ["file"]);
    }
}
