//! What a credential in a golden image is, where it lives, how it goes, and how we know.

pub mod accounts;
pub mod change;
pub mod error;
pub mod host_keys;
pub mod identity;
pub mod known_keys;
pub mod lock;
pub mod manifest;
pub mod path;
pub mod root;
pub mod seal;
pub mod sshd;
mod sys;
pub mod text;

pub use error::{Error, Kind, Result};
pub use path::ImagePath;
pub use root::Root;
