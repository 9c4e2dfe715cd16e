//! What a path leads to, whatever it is called.

use std::fs::{self, Metadata};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

/// A device by its number, a file by its file system and inode. Names do not tell: one volume is
/// `/dev/dm-1` and `/dev/mapper/vg-swap`, and a file has as many as there are links to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Identity {
    Device(u64),
    File { device: u64, inode: u64 },
}

impl Identity {
    pub(crate) fn of(meta: &Metadata) -> Self {
        let kind = meta.file_type();
        if kind.is_block_device() || kind.is_char_device() {
            return Self::Device(meta.rdev());
        }
        Self::File { device: meta.dev(), inode: meta.ino() }
    }

    /// Of what is at the end of the links; `None` where nothing can be seen there.
    pub(crate) fn at(path: &Path) -> Option<Self> {
        fs::metadata(path).ok().map(|meta| Self::of(&meta))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn names_of_one_device_or_file_are_the_same_thing() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        symlink("/dev/null", at("null")).unwrap();
        assert_eq!(Identity::at(&at("null")), Identity::at(Path::new("/dev/null")));
        assert_ne!(Identity::at(&at("null")), Identity::at(Path::new("/dev/zero")));
        fs::write(at("swap"), "").unwrap();
        fs::write(at("other"), "").unwrap();
        symlink("swap", at("link")).unwrap();
        assert_eq!(Identity::at(&at("link")), Identity::at(&at("swap")));
        assert_ne!(Identity::at(&at("other")), Identity::at(&at("swap")));
        assert_eq!(Identity::at(&at("none")), None);
    }
}
