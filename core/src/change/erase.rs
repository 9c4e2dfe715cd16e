//! What became of old content on the device that holds it.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

/// What became of the old bytes of a file. Only what was overwritten, or never lay on a disk, is
/// gone; the rest says what is still to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Erase {
    /// Overwritten in place with zeros and synced.
    Overwritten {
        /// Bytes written.
        bytes: u64,
    },
    /// There were no old bytes, or they never lay on a disk.
    NothingToErase,
    /// The blocks are free now, but keep their bytes until the free space is discarded or filled.
    NeedsDiscard {
        /// Why overwriting does not reach them.
        why: Cow<'static, str>,
    },
    /// Overwritten, but the journal still holds a copy.
    NeedsCheckpoint {
        /// Why the journal has one.
        why: Cow<'static, str>,
    },
    /// The old bytes are still there.
    NotErased {
        /// Why.
        why: Cow<'static, str>,
    },
}

impl Erase {
    pub(crate) fn not(why: impl Into<Cow<'static, str>>) -> Self {
        Self::NotErased { why: why.into() }
    }
}

impl fmt::Display for Erase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Overwritten { bytes } => write!(f, "overwritten ({bytes} bytes)"),
            Self::NothingToErase => f.write_str("nothing to erase"),
            Self::NeedsDiscard { why } => write!(f, "needs discard: {why}"),
            Self::NeedsCheckpoint { why } => write!(f, "needs a journal checkpoint: {why}"),
            Self::NotErased { why } => write!(f, "not erased: {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_written_form_is_stable() {
        let erase = Erase::NeedsDiscard { why: "btrfs writes to new blocks".into() };
        let json = r#"{"outcome":"needs-discard","why":"btrfs writes to new blocks"}"#;
        assert_eq!(serde_json::to_string(&erase).unwrap(), json);
        assert_eq!(serde_json::from_str::<Erase>(json).unwrap(), erase);
        assert_eq!(
            serde_json::to_string(&Erase::Overwritten { bytes: 7 }).unwrap(),
            r#"{"outcome":"overwritten","bytes":7}"#
        );
        assert_eq!(erase.to_string(), "needs discard: btrfs writes to new blocks");
    }
}
