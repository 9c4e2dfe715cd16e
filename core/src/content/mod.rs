//! The content scan: secrets by what they look like, in every regular file of the image.
//!
//! ```text
//! walk ──▶ zone of the folder ──▶ open, read once ──▶ anchors ──▶ a rule's own reading ──▶ match
//! ```
//!
//! Rules are data: those of the catalogue with `find: content`. A file is searched once for the
//! literals of all rules, and read more closely only where one stands. What is done about a match
//! depends on how sure it is and where the file lies; see `docs/content.md`.

mod anchors;
mod armour;
mod assignment;
mod check;
mod ending;
#[cfg(test)]
mod example;
mod file;
mod kind;
mod looked;
pub mod mark;
#[cfg(test)]
mod rules_tests;
mod scanner;
mod seen;
mod sparse;
mod unpack;
mod walk;
mod wide;
mod zone;

pub use file::{Found, Held};
pub use looked::Looked;
pub use scanner::{Match, Reading, Scanner};
pub use seen::Seen;
pub use walk::{EDITABLE, Scan, Secretive, Sight};
pub use zone::{Homes, Zone, Zones};
