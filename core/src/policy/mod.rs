//! Policy: what the owner of an image decides, in three types.
//!
//! A [`Fragment`] is one YAML file or the options of one command line, everything optional, unknown
//! keys refused. Fragments merge in order, later ones win, lists add up. [`Settings`] is the
//! validated result, the only one that planning sees.

pub mod duration;
mod fragment;
#[cfg(test)]
mod schema_tests;
mod settings;

pub use duration::Limit;
pub use fragment::{Allow, ContentMode, EraseMode, Fragment, MachineId, ProofMode, Switch};
pub use settings::Settings;
