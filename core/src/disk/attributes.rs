//! Extended attributes that users and programs set; the kernel's own hold no secrets.

use rustix::fs::{fgetxattr, flistxattr};
use rustix::io::Errno;
use zeroize::Zeroizing;

use crate::root::{FileKind, Root};
use crate::{Error, ImagePath, Result};

/// The largest value of an attribute, in bytes. Source: xattr(7).
const LARGEST: usize = 64 << 10;

/// The values of `user.*` and `trusted.*` of a regular file; none where there are no attributes.
///
/// # Errors
/// They cannot be read.
pub(super) fn telling(root: &Root, path: &ImagePath) -> Result<Vec<Zeroizing<Vec<u8>>>> {
    if root.lstat(path)?.is_none_or(|meta| meta.kind != FileKind::Regular) {
        return Ok(Vec::new());
    }
    let Some((file, _)) = root.open(path)? else { return Ok(Vec::new()) };
    let failed = |e: Errno| Error::failed("read the attributes of", path).because(e);
    let mut names = vec![0; LARGEST];
    let length = match flistxattr(&file, names.as_mut_slice()) {
        Err(Errno::NOTSUP) => return Ok(Vec::new()),
        length => length.map_err(failed)?,
    };
    let mut values = Vec::new();
    for name in names.get(..length).unwrap_or_default().split(|b| *b == 0) {
        if !name.starts_with(b"user.") && !name.starts_with(b"trusted.") {
            continue;
        }
        let mut value = Zeroizing::new(vec![0; LARGEST]);
        match fgetxattr(&file, name, value.as_mut_slice()) {
            Ok(length) => {
                value.truncate(length);
                values.push(value);
            }
            Err(Errno::NODATA) => {}
            Err(error) => return Err(failed(error)),
        }
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::XattrFlags;

    #[test]
    fn what_a_user_attached_is_found() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("etc")).unwrap();
        let path = folder.path().join("f");
        std::fs::write(&path, "x").unwrap();
        let set = rustix::fs::setxattr(&path, "user.token", b"value", XattrFlags::empty());
        let root = Root::offline(folder.path()).unwrap();
        let values = telling(&root, &ImagePath::literal("/f")).unwrap();
        // Not every file system below /tmp takes them.
        assert_eq!(values.len(), usize::from(set.is_ok()));
        assert!(telling(&root, &ImagePath::literal("/none")).unwrap().is_empty());
    }
}
