//! Owner, mode, labels, ACLs, capabilities and inode flags of what is kept.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::Path;
use std::thread;

use disinherit_core::change::{
    Erase, create, delete, delete_tree, make_dirs, replace, symlink, truncate,
};
use disinherit_core::root::Links;
use rustix::fs::{
    IFlags, XattrFlags, getxattr, ioctl_getflags, ioctl_setflags, lgetxattr, setxattr,
};
use rustix::thread::{CapabilitySet, capabilities, set_capabilities};

use super::Add;
use super::place::{ANN, Place, image_path};

const LABEL: &[u8] = b"system_u:object_r:shadow_t:s0\0";
/// Version 2, user 0, group 42 may read, mask r, nobody else: as acl(5) is stored.
const ACL: &[u8] = &[
    2, 0, 0, 0, // version
    1, 0, 6, 0, 255, 255, 255, 255, // owner rw
    4, 0, 0, 0, 255, 255, 255, 255, // group -
    8, 0, 4, 0, 42, 0, 0, 0, // group 42 r
    16, 0, 4, 0, 255, 255, 255, 255, // mask r
    32, 0, 0, 0, 255, 255, 255, 255, // others -
];
/// cap_net_bind_service=ep, version 2.
const CAPABILITY: &[u8] = &[1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

pub(crate) fn add(add: Add<'_>) {
    let ext4 = super::EXT4;
    add("metadata::replace_carries_everything", ext4, Box::new(replace_carries_everything));
    add("metadata::no_acl_is_inherited", ext4, Box::new(no_acl_is_inherited));
    add("metadata::new_files_get_the_label", ext4, Box::new(new_files_get_the_label));
    add("metadata::flags_are_cleared_and_restored", ext4, Box::new(flags_are_restored));
    add("metadata::flags_without_the_capability", ext4, Box::new(without_the_capability));
}

fn ext4() -> Place {
    Place::made_by(&["mkfs.ext4", "-q"], 64, "acl,user_xattr")
}

fn attribute(path: &Path, name: &str) -> Option<Vec<u8>> {
    let mut value = [0; 256];
    let length = getxattr(path, name, value.as_mut_slice()).ok()?;
    Some(value[..length].to_vec())
}

fn set(path: &Path, name: &str, value: &[u8]) {
    setxattr(path, name, value, XattrFlags::empty()).unwrap();
}

fn flags(path: &Path) -> IFlags {
    ioctl_getflags(File::open(path).unwrap()).unwrap()
}

fn add_flags(path: &Path, more: IFlags) {
    ioctl_setflags(File::open(path).unwrap(), flags(path) | more).unwrap();
}

fn remove_flags(path: &Path, less: IFlags) {
    ioctl_setflags(File::open(path).unwrap(), flags(path) - less).unwrap();
}

fn replace_carries_everything() {
    let place = ext4();
    let path = place.file("etc/shadow", b"old\n");
    chown(&path, Some(7), Some(42)).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o6750)).unwrap();
    let attributes: [(&str, &[u8]); 5] = [
        ("security.selinux", LABEL),
        ("security.capability", CAPABILITY),
        ("system.posix_acl_access", ACL),
        ("user.note", b"\0\xff"),
        ("trusted.note", b"kept"),
    ];
    for (name, value) in attributes {
        set(&path, name, value);
    }
    for bound in ["security.ima", "trusted.overlay.origin"] {
        set(&path, bound, b"\x01\x02\x03");
    }
    add_flags(&path, IFlags::NODUMP | IFlags::NOATIME);
    let before = fs::metadata(&path).unwrap();

    let (target, meta) = place.target("/etc/shadow");
    replace(&target, &meta, b"new\n").unwrap();
    let now = fs::metadata(&path).unwrap();
    assert_eq!((now.mode(), now.uid(), now.gid()), (before.mode(), 7, 42));
    for (name, value) in attributes {
        assert_eq!(attribute(&path, name).as_deref(), Some(value), "{name}");
    }
    for bound in ["security.ima", "trusted.overlay.origin"] {
        assert_eq!(attribute(&path, bound), None, "{bound} is about the old inode");
    }
    assert!(flags(&path).contains(IFlags::NODUMP | IFlags::NOATIME));
}

fn no_acl_is_inherited() {
    let place = ext4();
    let path = place.file("etc/shadow", b"old\n");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    set(&place.at("etc"), "system.posix_acl_default", ACL);
    let (target, meta) = place.target("/etc/shadow");
    replace(&target, &meta, b"new\n").unwrap();
    assert_eq!(attribute(&path, "system.posix_acl_access"), None);
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o640);
}

fn new_files_get_the_label() {
    let place = ext4();
    let root = place.root();
    set(&place.at("etc"), "security.selinux", LABEL);
    make_dirs(&root, &image_path("/etc/a/b"), 0o755).unwrap();
    let target = |name: &str| {
        root.target(&image_path(&format!("/etc/a/b/{name}")), Links::InRoot).unwrap().unwrap()
    };
    create(&target("file"), b"x", 0o644, 0, 0).unwrap();
    symlink(&target("link"), b"file").unwrap();
    for path in ["etc/a", "etc/a/b", "etc/a/b/file"] {
        assert_eq!(
            attribute(&place.at(path), "security.selinux").as_deref(),
            Some(LABEL),
            "{path}"
        );
    }
    let mut value = [0; 256];
    let link = place.at("etc/a/b/link");
    let length = lgetxattr(&link, "security.selinux", value.as_mut_slice()).unwrap();
    assert_eq!(&value[..length], LABEL);
    // A file that takes the place of a labelled one keeps that label.
    let other = b"system_u:object_r:bin_t:s0\0";
    set(&place.at("etc/a/b/file"), "security.selinux", other);
    create(&target("file"), b"y", 0o644, ANN, ANN).unwrap();
    let path = place.at("etc/a/b/file");
    assert_eq!(attribute(&path, "security.selinux").as_deref(), Some(&other[..]));
    assert_eq!(fs::metadata(&path).unwrap().uid(), ANN);
}

fn flags_are_restored() {
    for flag in [IFlags::IMMUTABLE, IFlags::APPEND] {
        let place = ext4();
        let frozen = |name: &str| {
            let path = place.file(name, b"old secret\n");
            add_flags(&path, flag);
            path
        };
        let kept = [frozen("etc/replaced"), frozen("etc/truncated"), frozen("etc/created")];
        frozen("etc/deleted");
        frozen("etc/tree/a/file");
        add_flags(&place.at("etc/tree/a"), flag);
        add_flags(&place.at("etc"), flag);

        let (target, meta) = place.target("/etc/replaced");
        replace(&target, &meta, b"new\n").unwrap();
        let (target, meta) = place.target("/etc/truncated");
        assert!(matches!(truncate(&target, &meta).unwrap(), Erase::Overwritten { .. }));
        let (target, _) = place.target("/etc/created");
        create(&target, b"new\n", 0o644, 0, 0).unwrap();
        let (target, meta) = place.target("/etc/deleted");
        assert!(matches!(delete(&target, &meta).unwrap(), Erase::Overwritten { .. }));
        let (target, _) = place.target("/etc/tree");
        delete_tree(&target, &mut |_, _| ()).unwrap();

        for path in kept.iter().chain([&place.at("etc")]) {
            assert!(flags(path).contains(flag), "{flag:?} of {}", path.display());
        }
        assert_eq!(place.names("etc"), ["created", "replaced", "truncated"]);
        for path in kept.iter().chain([&place.at("etc")]) {
            remove_flags(path, flag);
        }
    }
}

/// A thread without CAP_LINUX_IMMUTABLE: an error with its remedy, and everything as it was.
fn without_the_capability() {
    let place = ext4();
    let path = place.file("etc/shadow", b"old secret\n");
    add_flags(&path, IFlags::IMMUTABLE);
    let (target, meta) = place.target("/etc/shadow");
    thread::scope(|scope| {
        let weak = scope.spawn(|| {
            let mut sets = capabilities(None).unwrap();
            sets.effective.remove(CapabilitySet::LINUX_IMMUTABLE);
            set_capabilities(None, sets).unwrap();
            for result in
                [replace(&target, &meta, b"x"), truncate(&target, &meta), delete(&target, &meta)]
            {
                let error = result.unwrap_err();
                assert!(error.remedy_text().unwrap().contains("CAP_LINUX_IMMUTABLE"));
            }
        });
        weak.join().unwrap();
    });
    assert_eq!(fs::read(&path).unwrap(), b"old secret\n");
    assert!(flags(&path).contains(IFlags::IMMUTABLE));
    assert_eq!(place.names("etc"), ["shadow"]);
    remove_flags(&path, IFlags::IMMUTABLE);
}
