//! What a credential in a golden image is, where it lives, how it goes, and how we know.

pub mod accounts;
pub mod change;
pub mod error;
pub mod lock;
pub mod path;
pub mod root;
pub mod sshd;
mod sys;
pub mod text;

pub use error::{Error, Kind, Result};
pub use path::ImagePath;
pub use root::Root;
