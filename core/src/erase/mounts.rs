//! The table of mounts, proc_pid_mountinfo(5).

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use crate::reach::unoctal;

/// A line of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// `major:minor`.
    pub(crate) device: String,
    /// What of the file system is mounted.
    pub(crate) inside: Vec<u8>,
    /// Where.
    pub(crate) point: PathBuf,
    /// Options of the mount.
    pub(crate) options: String,
    pub(crate) fstype: String,
    /// The device's name, or what the mounter said.
    pub(crate) source: PathBuf,
    /// Options of the file system.
    pub(crate) of_super: String,
    pub(crate) read_only: bool,
}

/// The lines that can be read, in their order.
pub(crate) fn entries(table: &[u8]) -> impl Iterator<Item = Entry> {
    table.split(|b| *b == b'\n').filter_map(entry)
}

/// `36 35 98:0 /inside /point rw,noatime shared:1 - ext4 /dev/root rw`
fn entry(line: &[u8]) -> Option<Entry> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let path = |bytes: &[u8]| PathBuf::from(OsStr::from_bytes(bytes));
    let mut fields = line.split(|b| *b == b' ');
    let device = text(fields.nth(2)?);
    let inside = unoctal(fields.next()?);
    let point = path(&unoctal(fields.next()?));
    let options = text(fields.next()?);
    let mut rest = fields.skip_while(|f| *f != b"-").skip(1);
    let fstype = text(rest.next()?);
    let source = path(&unoctal(rest.next()?));
    let of_super = text(&unoctal(rest.next().unwrap_or_default()));
    let has_ro = |list: &str| list.split(',').any(|o| o == "ro");
    let read_only = has_ro(&options) || has_ro(&of_super);
    Some(Entry { device, inside, point, options, fstype, source, of_super, read_only })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_gives_what_a_mount_needs() {
        let line =
            b"36 35 98:0 / /mnt/a\\040b rw,noatime shared:1 - ext4 /dev/loop0 rw,data=journal";
        let found = entry(line).unwrap();
        assert_eq!(found.point, PathBuf::from("/mnt/a b"));
        assert_eq!((found.device.as_str(), found.options.as_str()), ("98:0", "rw,noatime"));
        assert_eq!(found.of_super, "rw,data=journal");
        assert!(entry(b"36 35 98:0 /").is_none());
    }
}
