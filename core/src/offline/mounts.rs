//! The mounts of an image: what has to be unmounted, and how it is mounted again.

use std::ffi::CString;
use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{major, minor};
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use crate::erase::mounts::{Entry, entries};
use crate::{Error, Result};

/// The mounts at and below `top`, the top first. Each can be unmounted, as far as that can be told
/// without doing so, and mounted again.
///
/// # Errors
/// `Refused`: `top` is no mount, something below is not on a device of its own, a device is mounted
/// elsewhere too, or a mount is in use.
pub(super) fn below(top: &Path) -> Result<Vec<Entry>> {
    let table = fs::read("/proc/self/mountinfo").map_err(|e| {
        Error::failed("read", "/proc/self/mountinfo").because(e).remedy("mount /proc")
    })?;
    let (mut here, elsewhere): (Vec<Entry>, Vec<Entry>) =
        entries(&table).partition(|entry| entry.point.starts_with(top));
    here.sort_by_key(|entry| entry.point.components().count());
    let refused = |point: &Path| Error::refused("unmount", point.display());
    if here.first().is_none_or(|first| first.point != top) {
        return Err(refused(top)
            .because("nothing is mounted there")
            .remedy("name the directory on which the image is mounted"));
    }
    for (number, entry) in here.iter().enumerate() {
        let own = entry.inside == b"/" || entry.fstype == "btrfs";
        if !own || !entry.source.starts_with("/dev/") {
            return Err(refused(&entry.point)
                .because("it is no file system on a device of its own")
                .remedy("unmount it, then run again"));
        }
        let twice = |other: &Entry| other.device == entry.device || other.point == entry.point;
        let again = here.iter().skip(number + 1).any(twice) && entry.fstype != "btrfs";
        if again || elsewhere.iter().any(|other| other.device == entry.device) {
            return Err(refused(&entry.point)
                .because("its device is mounted a second time")
                .remedy("unmount it there, then run again"));
        }
    }
    // A loop device that goes with its last user must not, should a mount go.
    let _held = here.iter().map(hold).collect::<Result<Vec<_>>>()?;
    // A mount with others below is in use by them; it is told when its turn comes.
    let leaf = |entry: &&Entry| {
        !here.iter().any(|o| o.point != entry.point && o.point.starts_with(&entry.point))
    };
    here.iter().filter(leaf).try_for_each(is_idle)?;
    Ok(here)
}

/// Asks whether a mount could be unmounted. MNT_EXPIRE only marks it, and any use takes the mark
/// away: before, that of an earlier asking, because one that is marked already goes; afterwards,
/// our own. Should it go all the same, it is mounted again. umount(2)
fn is_idle(entry: &Entry) -> Result<()> {
    _ = fs::symlink_metadata(&entry.point);
    let asked = unmount(&entry.point, UnmountFlags::EXPIRE | UnmountFlags::NOFOLLOW);
    _ = fs::symlink_metadata(&entry.point);
    match asked {
        Err(Errno::AGAIN) => Ok(()),
        Ok(()) => mount_again(entry),
        Err(error) => Err(Error::refused("unmount", entry.point.display())
            .because(error)
            .remedy("end what uses it (fuser -vm shows it), or leave --offline out")),
    }
}

/// Unmounts it.
///
/// # Errors
/// It is in use.
pub(super) fn unmount_now(entry: &Entry) -> Result<()> {
    unmount(&entry.point, UnmountFlags::NOFOLLOW).map_err(|e| {
        Error::failed("unmount", entry.point.display())
            .because(e)
            .remedy("end what uses it (fuser -vm shows it) and run again")
    })
}

/// Mounts it where and as it was.
///
/// # Errors
/// mount(2) fails.
pub(super) fn mount_again(entry: &Entry) -> Result<()> {
    let failed = || {
        Error::failed("mount again", entry.point.display())
            .remedy("mount it by hand; where a tool failed, run it to its end first")
    };
    let data = CString::new(data(&entry.of_super)).map_err(|e| failed().because(e))?;
    mount(
        &entry.source,
        &entry.point,
        entry.fstype.as_str(),
        flags(&entry.options, &entry.of_super),
        data.as_c_str(),
    )
    .map_err(|e| failed().because(e))
}

/// Options that mount(2) takes as flags.
const FLAGS: &[(&str, MountFlags)] = &[
    ("ro", MountFlags::RDONLY),
    ("nosuid", MountFlags::NOSUID),
    ("nodev", MountFlags::NODEV),
    ("noexec", MountFlags::NOEXEC),
    ("noatime", MountFlags::NOATIME),
    ("nodiratime", MountFlags::NODIRATIME),
    ("relatime", MountFlags::RELATIME),
    ("sync", MountFlags::SYNCHRONOUS),
    ("dirsync", MountFlags::DIRSYNC),
    ("lazytime", MountFlags::LAZYTIME),
    ("mand", MountFlags::PERMIT_MANDATORY_FILE_LOCKING),
];

fn flags(options: &str, of_super: &str) -> MountFlags {
    let words = || options.split(',').chain(of_super.split(','));
    let mut flags = words()
        .filter_map(|word| FLAGS.iter().find(|(name, _)| *name == word))
        .fold(MountFlags::empty(), |all, (_, flag)| all | *flag);
    if !words().any(|word| word == "noatime" || word == "relatime") {
        flags |= MountFlags::STRICTATIME;
    }
    flags
}

/// What is left for the file system: its own options.
fn data(of_super: &str) -> String {
    let own = |word: &&str| {
        !matches!(*word, "rw" | "seclabel") && !FLAGS.iter().any(|(name, _)| name == word)
    };
    of_super.split(',').filter(own).collect::<Vec<_>>().join(",")
}

/// The device of a mount, held open so that a loop device that goes with its last user stays.
///
/// # Errors
/// `Refused`: it cannot be opened, or its name means another device than the mounted one.
pub(super) fn hold(entry: &Entry) -> Result<File> {
    let refused = || {
        Error::refused("use the device", entry.source.display())
            .remedy("mount the image by the name that its device has now, or leave --offline out")
    };
    let open = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(&entry.source);
    let file = open.map_err(|e| refused().because(e))?;
    let number = file.metadata().map_err(|e| refused().because(e))?.rdev();
    // A mounted btrfs has a number of its own, and no tool runs on it.
    let same = format!("{}:{}", major(number), minor(number)) == entry.device;
    if !same && entry.fstype != "btrfs" {
        let point = entry.point.display();
        return Err(refused().because(format!("it is not what is mounted at {point}")));
    }
    Ok(file)
}

/// Whether nobody, in no mount namespace, uses the device of an unmounted file system.
///
/// # Errors
/// Somebody does.
pub(super) fn is_free(device: &PathBuf) -> Result<()> {
    let open = File::options().read(true).custom_flags(libc::O_EXCL).open(device);
    open.map(drop).map_err(|e| {
        Error::failed("use the device alone", device.display())
            .because(e)
            .remedy("a container or service has it mounted too: end it and run again")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_and_data_are_told_apart() {
        let (options, of_super) =
            ("rw,nosuid,relatime", "rw,seclabel,data=journal,errors=continue");
        assert_eq!(flags(options, of_super), MountFlags::NOSUID | MountFlags::RELATIME);
        assert_eq!(data(of_super), "data=journal,errors=continue");
        assert_eq!(flags("ro", "rw"), MountFlags::RDONLY | MountFlags::STRICTATIME);
        assert_eq!(data("rw"), "");
    }

    #[test]
    fn a_name_that_means_another_device_is_refused() {
        let entry = |device: &str, fstype| {
            let line = format!("36 35 {device} / /mnt rw - {fstype} /dev/null rw");
            entries(line.as_bytes()).next().unwrap()
        };
        assert!(hold(&entry("1:3", "ext4")).is_ok() && hold(&entry("0:40", "btrfs")).is_ok());
        assert_eq!(hold(&entry("7:3", "ext4")).unwrap_err().kind(), crate::Kind::Refused);
    }

    #[test]
    fn what_is_no_mount_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(below(folder.path()).unwrap_err().kind(), crate::Kind::Refused);
    }
}
