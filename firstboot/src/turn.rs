//! One at a time: `gate` and `authorize` may be asked for at once.

use std::fs::File;

use disinherit_core::root::{Links, Root};
use disinherit_core::{Error, ImagePath, Result, change};
use rustix::fs::{FlockOperation, flock};

use crate::state;

const PATH: &str = "/run/disinherit/lock";

/// Waits for its turn, which ends when the answer is dropped.
///
/// # Errors
/// When the lock file cannot be made or locked.
pub(crate) fn take(root: &Root) -> Result<File> {
    let path = ImagePath::literal(PATH);
    // systemd asserts on a file in it, so others may look inside.
    change::make_dirs(root, &ImagePath::literal("/run/disinherit"), 0o755)?;
    let missing = match root.target(&path, Links::InRoot)? {
        Some(target) => target.meta()?.is_none(),
        None => true,
    };
    if missing {
        state::write_private(root, &path, b"")?;
    }
    let failed = || Error::failed("lock", PATH);
    let (file, _meta) = root.open(&path)?.ok_or_else(failed)?;
    flock(&file, FlockOperation::LockExclusive).map_err(|e| failed().because(e))?;
    Ok(file)
}
