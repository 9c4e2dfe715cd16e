//! Read a file, change it in memory, replace it atomically: the one way in which a file that is
//! already there gets new content.

use disinherit_core::change;
use disinherit_core::root::{Links, Root};
use disinherit_core::{Error, ImagePath, Result};
use zeroize::Zeroizing;

/// Account and login files are not larger; what is larger is refused and left alone.
pub const LIMIT: u64 = 16 << 20;

/// New content for a file, `None` to leave it as it is.
pub type Change = Option<Zeroizing<Vec<u8>>>;

/// Gives the file's text to `change` and replaces the file by the answer; owner, mode and labels
/// stay. Returns whether something was written; a missing file is no change.
///
/// # Errors
/// When the file cannot be read, changes meanwhile, or cannot be replaced.
pub fn edit(
    root: &Root,
    path: &ImagePath,
    links: Links,
    change: impl FnOnce(&[u8]) -> Result<Change>,
) -> Result<bool> {
    let Some(target) = root.target_followed(path, links)? else { return Ok(false) };
    let Some(expected) = target.meta()? else { return Ok(false) };
    let Some(text) = root.read(target.path(), LIMIT)? else { return Ok(false) };
    let Some(new) = change(&text)? else { return Ok(false) };
    if *new == *text {
        return Ok(false);
    }
    // Also where nothing is left: a file that is overwritten in its place, and cut there, would hold NUL
    // bytes, and a key that an agent appends to them is none.
    change::Replace::of(&target, &expected)
        .may_be_empty()
        .with(&new)
        .map_err(|e| Error::failed("rewrite", path).because(e))?;
    Ok(true)
}
