//! `/run/disinherit/passed`: the gate has passed in this boot. sshd's units assert that it exists.

use disinherit_core::root::{FileKind, Links, Root};
use disinherit_core::{ImagePath, Result, change};

use crate::state;

/// Where it lies; `/run` is empty after every boot.
pub const PATH: &str = "/run/disinherit/passed";
/// No inherited password is left, or none is ours to remove: console prompts assert that it exists.
pub const STRIPPED: &str = "/run/disinherit/stripped";

/// Takes the flag away. A soft reboot keeps `/run`, so this is the first thing that each boot does.
///
/// # Errors
/// When it is there and cannot be removed.
pub fn clear(root: &Root) -> Result<()> {
    clear_one(root, PATH)
}

/// Lets console prompts start.
///
/// # Errors
/// When it cannot be written.
pub fn set_stripped(root: &Root) -> Result<()> {
    state::write_private(root, &ImagePath::literal(STRIPPED), b"stripped\n")
}

/// Keeps console prompts from starting.
///
/// # Errors
/// When it is there and cannot be removed.
pub fn clear_stripped(root: &Root) -> Result<()> {
    clear_one(root, STRIPPED)
}

fn clear_one(root: &Root, path: &'static str) -> Result<()> {
    let Some(target) = root.target(&ImagePath::literal(path), Links::InRoot)? else {
        return Ok(());
    };
    if let Some(meta) = target.meta()? {
        change::delete(&target, &meta)?;
    }
    Ok(())
}

/// Puts it there.
///
/// # Errors
/// When it cannot be written.
pub fn set(root: &Root) -> Result<()> {
    state::write_private(root, &ImagePath::literal(PATH), b"passed\n")
}

/// True when the gate has passed.
///
/// # Errors
/// When the folder cannot be searched.
pub fn is_set(root: &Root) -> Result<bool> {
    let meta = root.lstat(&ImagePath::literal(PATH))?;
    Ok(meta.is_some_and(|meta| meta.kind == FileKind::Regular))
}
