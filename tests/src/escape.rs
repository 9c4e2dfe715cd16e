//! The escape benchmark: what stays readable in an image after a scrub, judged by somebody who does
//! not know the rules.
//!
//! Nothing here reads `core/catalogue`. A [`world::World`] is a real Debian tree with credentials
//! and controls in it; [`corpus`] takes them from `tests/corpus`, [`generate`] makes them up.
//! Every value is random ([`dice`], [`keys`]); the seed of a run is printed and can be given again
//! in `DISINHERIT_SEED`. [`search`] is a search of its own for what is left, [`judge`] compares it
//! with what the report says.

pub mod corpus;
pub mod dice;
pub mod form;
pub mod generate;
pub mod judge;
pub mod keys;
pub mod peers;
pub mod search;
pub mod template;
pub mod world;
