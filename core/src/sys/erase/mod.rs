//! The system calls of erasing that no safe wrapper offers.

mod btrfs;
mod extent;
mod filesystem;
mod fsmap;
mod signals;
mod swap;

pub(crate) use btrfs::{Chunk, chunks, is_nobodys};
pub(crate) use filesystem::{checkpoint, freeze, thaw, trim};
pub(crate) use fsmap::{Record, SpaceMapBuffer, space_map};
pub(crate) use signals::Signals;
pub(crate) use swap::{swap_off, swap_on};
