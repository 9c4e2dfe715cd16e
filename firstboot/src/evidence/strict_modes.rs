//! sshd's StrictModes: the login file, and every folder from it up to the home, belong to the user or
//! to root and are writable by nobody else (OpenSSH: `safe_path` in misc.c).

use disinherit_core::root::Root;
use disinherit_core::{ImagePath, Result};

/// The first object that sshd would not trust, with the reason.
pub(super) fn against(
    root: &Root,
    file: &ImagePath,
    home: &[u8],
    uid: u32,
) -> Result<Option<String>> {
    let Some(real) = root.canonical(file)? else { return Ok(Some(format!("{file} is missing"))) };
    let home = match ImagePath::new(home) {
        Some(home) => root.canonical(&home)?,
        None => None,
    };
    let mut next = Some(real);
    while let Some(path) = next {
        if let Some(meta) = root.stat(&path)? {
            if meta.uid != 0 && meta.uid != uid {
                return Ok(Some(format!("{path} belongs to another user")));
            }
            if meta.mode & 0o022 != 0 {
                return Ok(Some(format!("others can write to {path}")));
            }
        }
        next = if home.as_ref() == Some(&path) { None } else { path.parent() };
    }
    Ok(None)
}
