//! The provisioner block: what a template may say, and what it comes to.
//!
//! Three types: a layer is one map as Packer sent it, [`Input`] is all layers merged together with
//! what Packer says about the build, [`Settings`] is the validated result. [`options::TABLE`] is
//! the one list of options; Packer's schema, the decoder and docs/packer.md come from it.

mod input;
mod lenient;
pub mod options;
mod policy;
mod problems;
mod reader;
mod settings;
mod template;
mod words;

pub(crate) use input::json;
pub use input::{Build, Input, UNKNOWN};
pub(crate) use policy::options as policy_options;
pub use problems::Problems;
pub use settings::Settings;
pub use words::PowerOff;
pub(crate) use words::{parse, word};
