//! Proves that what was removed cannot be read from the device any more.
//!
//! [`Needles`] keeps telling pieces of the removed secrets in memory that is overwritten when it
//! is dropped; [`search`] reads devices past the page cache and looks for all of them at once;
//! [`locate`] says what a hit belongs to. See `docs/erase.md`.

mod area;
mod chunks;
mod estimate;
mod found;
mod index;
mod locate;
mod needles;
mod pieces;
mod search;
mod telling;

pub use area::Area;
pub use found::{Hit, SearchReport, Searched, Where};
pub use locate::locate;
pub use needles::{Form, Needles, Provable};
pub use search::{search, search_areas};

pub(crate) use estimate::measure;
pub(crate) use needles::Parts;
pub(crate) use search::find_first;
