//! How the first boot decides, as it was set at sealing.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// How the first boot decides; set at sealing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BootPolicy {
    /// Whether a sealed key may count after all.
    pub sealed_keys: SealedKeys,
    /// Evidence that opens sshd beside an injected key: `kept` (a key that policy kept).
    pub evidence: BTreeSet<String>,
    /// What happens to a password that the platform sets.
    pub injected_password: InjectedPassword,
}

/// What happens to a password that the platform sets for this instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InjectedPassword {
    /// Locked again.
    Refuse,
    /// Works on the console, not for SSH.
    #[default]
    Console,
    /// Works for SSH too.
    Allow,
}

/// When a key that was in the image counts as injected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SealedKeys {
    /// When this instance's own metadata declares it: teams build and launch with one key.
    #[default]
    Metadata,
    /// Never.
    Refuse,
}
