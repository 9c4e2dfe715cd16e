//! `status`: what was decided in this boot, or what would be.

use disinherit_core::root::Root;
use disinherit_core::{Error, Result};
use serde::Serialize;

use crate::decision::Decision;
use crate::{flag, gate};

/// What `status --json` prints.
#[derive(Debug, Serialize)]
pub struct Status {
    /// Version of this format.
    pub schema: u32,
    /// The gate has passed in this boot: sshd may run.
    pub passed: bool,
    /// What the gate would decide now, with its evidence.
    pub decision: Decision,
}

impl Status {
    /// Looks at the system.
    ///
    /// # Errors
    /// When something that decides cannot be read: mostly for want of root's rights.
    pub fn read(root: &Root) -> Result<Self> {
        let decision = gate::examine(root)?.decision;
        Ok(Self { schema: 1, passed: flag::is_set(root)?, decision })
    }

    /// One JSON object.
    ///
    /// # Errors
    /// Never for a value of this type.
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string_pretty(self).map_err(|e| Error::failed("write", "status").because(e))
    }

    /// For people.
    pub fn to_text(&self) -> String {
        let passed = if self.passed { "passed in this boot" } else { "not passed in this boot" };
        format!("gate: {passed}\nif asked now: {}", self.decision.text())
    }
}
