//! Where on their devices the files lie that a plan changes: there what is removed stood before,
//! and there the new versions stand.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::erase::walk;
use crate::plan::Plan;
use crate::policy::ProofMode;
use crate::root::{FileKind, Root};
use crate::{ImagePath, Result};

/// Ranges of bytes by the number of the device that the file system is mounted from.
#[derive(Debug, Default)]
pub struct Touched {
    by_device: BTreeMap<u64, Vec<Range<u64>>>,
}

impl Touched {
    /// Adds the blocks in which the files of `plan` lie now, when the proof of this `mode` needs
    /// them. What does not exist has none.
    ///
    /// # Errors
    /// A path cannot be looked at.
    pub fn look(&mut self, root: &Root, plan: &Plan, mode: ProofMode) -> Result<()> {
        if mode != ProofMode::Touched {
            return Ok(());
        }
        for step in &plan.steps {
            self.add(root, &step.path)?;
        }
        Ok(())
    }

    fn add(&mut self, root: &Root, path: &ImagePath) -> Result<()> {
        if root.stat(path)?.is_none_or(|meta| meta.kind != FileKind::Regular) {
            return Ok(());
        }
        let Some((file, meta)) = root.open(path)? else { return Ok(()) };
        let ranges = self.by_device.entry(meta.dev).or_default();
        walk::of_file(&file, &mut |extent| {
            ranges.push(extent.physical..extent.physical.saturating_add(extent.length));
        });
        Ok(())
    }

    /// The ranges on the device with this number.
    pub(super) fn on(&self, device: u64) -> Vec<Range<u64>> {
        self.by_device.get(&device).cloned().unwrap_or_default()
    }
}
