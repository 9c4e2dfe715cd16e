//! Editors for the text formats that hold credentials: bytes in, bytes out, no I/O.
//!
//! Every editor changes the field it was asked to change and keeps every other byte: unknown lines,
//! comments, odd line ends and a missing final newline included. Copies of a text are wiped from
//! memory when they are dropped, and `Debug` never shows them.

pub mod authorized_keys;
mod field;
pub mod group;
pub mod gshadow;
pub mod passwd;
pub mod public_key;
pub mod shadow;
mod table;

pub use field::{Field, classify};
pub use group::Group;
pub use gshadow::GShadow;
pub use passwd::Passwd;
pub use shadow::Shadow;
