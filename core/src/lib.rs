//! What a credential in a golden image is, where it lives, how it goes, and how we know.
//!
//! One way through, from a root to a report:
//!
//! ```text
//! Root --discover--> Facts --plan(Settings)--> Plan --apply--> Done --discover again--> Report
//! ```
//!
//! | what | where |
//! |---|---|
//! | the root as a directory handle, links and reach | [`root`], [`reach`] |
//! | one change of one file, atomic and erasing | [`change`], [`lock`] |
//! | text formats, bytes in and bytes out, no I/O | [`text`], [`sshd`], [`accounts`] |
//! | which credentials lie where, as data | [`catalogue`] |
//! | what the owner of the image decides | [`policy`] |
//! | what is there | [`discover`], [`facts`] |
//! | secrets by what they look like, whatever their place | [`content`], [`packages`] |
//! | what will be done | [`plan`], [`edit`] |
//! | doing it, and saying what is left | [`apply`], [`pipeline`], [`report`] |
//! | below the files: free space, journals, the search of the raw disk | [`disk`], [`erase`], [`proof`] |
//! | what lies in a sealed image and decides at its first boot | [`manifest`], [`seal`], [`identity`] |
//!
//! Without the feature `scrub` only what disinherit-firstboot needs is built.

pub mod accounts;
#[cfg(feature = "scrub")]
pub mod apply;
#[cfg(feature = "scrub")]
pub mod catalogue;
pub mod change;
#[cfg(feature = "scrub")]
pub mod content;
#[cfg(feature = "scrub")]
pub mod discover;
#[cfg(feature = "scrub")]
pub mod disk;
#[cfg(feature = "scrub")]
pub mod edit;
#[cfg(feature = "scrub")]
pub mod erase;
pub mod error;
#[cfg(feature = "scrub")]
pub mod event;
#[cfg(feature = "scrub")]
pub mod facts;
pub mod host_keys;
pub mod identity;
#[cfg(feature = "scrub")]
pub mod initrd;
pub mod known_keys;
#[cfg(feature = "scrub")]
pub mod live;
pub mod lock;
pub mod manifest;
#[cfg(feature = "scrub")]
pub mod offline;
#[cfg(feature = "scrub")]
pub mod packages;
pub mod path;
#[cfg(feature = "scrub")]
pub mod pipeline;
#[cfg(feature = "scrub")]
pub mod plan;
#[cfg(feature = "scrub")]
pub mod policy;
#[cfg(feature = "scrub")]
pub mod proof;
#[cfg(feature = "scrub")]
pub mod reach;
#[cfg(feature = "scrub")]
pub mod report;
pub mod root;
pub mod seal;
#[cfg(feature = "scrub")]
mod silent;
pub mod sshd;
#[cfg(feature = "scrub")]
pub mod suggest;
mod sys;
pub mod text;
#[cfg(feature = "scrub")]
mod unpack;

pub use error::{Error, Kind, Result};
pub use path::ImagePath;
pub use root::Root;
