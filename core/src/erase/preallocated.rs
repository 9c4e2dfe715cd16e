//! Old bytes in blocks that live files have preallocated and not written.
//!
//! Such blocks are free space that has an owner: a trim passes over them, no filler gets them, and
//! the file reads as zeros. They are read and counted, and their files are named; they are not
//! overwritten, because the owner may write to them at any moment.

use std::collections::BTreeSet;

use super::device::Device;
use super::report::{Place, Residual};
use super::run::{Run, Step};
use super::scan::{self, Part};
use super::walk;
use crate::{ImagePath, Result};

/// Files that are named.
const NAMED: usize = 5;

/// What is left in them; `None` when nothing is.
///
/// # Errors
/// A directory or the device cannot be read, or a signal asks to end.
pub(super) fn residual(run: &mut Run<'_>, device: &Device) -> Result<Option<Residual>> {
    let mut owners: Vec<ImagePath> = Vec::new();
    let mut parts = Vec::new();
    walk::extents(run.fs, &mut |path, extent| {
        if !extent.is_unwritten() {
            return;
        }
        if owners.last() != Some(path) {
            owners.push(path.clone());
        }
        let (start, end) = (extent.physical, extent.physical.saturating_add(extent.length));
        parts.push(Part { start, end, of: owners.len() - 1 });
    })?;
    run.begin(Step::Preallocated, scan::total(&parts))?;
    let dirty = scan::dirty(device, &mut parts, &mut |bytes| run.moved(bytes))?;
    if dirty.is_empty() {
        return Ok(None);
    }
    let names: BTreeSet<usize> = dirty.iter().map(|part| part.of).collect();
    let named = names.iter().take(NAMED).filter_map(|of| owners.get(*of)).map(ImagePath::to_string);
    let mut why = named.collect::<Vec<_>>().join(", ");
    if names.len() > NAMED {
        why.push_str(&format!(" and {} more", names.len() - NAMED));
    }
    why.push_str(": blocks that a live file has preallocated and not written hold old bytes");
    Ok(Some(Residual {
        place: Place::Preallocated,
        bytes: Some(scan::total(&dirty)),
        why,
        remedy: "delete the files or write to them, then run again".to_owned(),
    }))
}
