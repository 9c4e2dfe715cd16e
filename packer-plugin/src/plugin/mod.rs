//! The process that Packer starts, and what it offers to a provisioner.
//!
//! [`process::serve`] answers Packer's calls with one [`Provisioner`]. During a run the provisioner
//! works on a [`Guest`]: commands and files on the machine under construction, lines in Packer's
//! own output.

mod cancel;
mod command;
mod describe;
mod guest;
mod invocation;
mod lines;
mod panic_guard;
pub mod process;
mod running;
mod service;
mod stderr_log;
mod supervise;
mod transfer;
mod ui;

use crate::wire::msgpack::Value;
use crate::wire::spec::Attr;

pub use cancel::{CancelToken, Subscription};
pub use command::{Command, ExitStatus, Sink};
pub use describe::{DEFAULT_COMPONENT, describe_json};
pub use guest::{Guest, GuestError};
pub use invocation::Invocation;
pub use lines::{LineSplitter, lines};
pub use process::serve;
pub use running::{Running, Waited};
pub use service::{Ended, serve_connection};
pub use transfer::FileInfo;
pub use ui::Ui;

/// What Packer can ask of a provisioner.
pub trait Provisioner: Send + Sync {
    /// The configuration schema. Called often, also before any configuration is known; must not
    /// fail (Packer's core would crash).
    fn attributes(&self) -> &[Attr];

    /// Takes the configuration: `nil` is nothing, a map is a layer, `bin` is cty JSON; later ones
    /// win. May be called again, then from a clean state. No side effects: values may still be
    /// unknown.
    ///
    /// # Errors
    /// All problems at once, as the text that the user reads.
    fn prepare(&self, configs: Vec<Value>) -> Result<(), String>;

    /// Runs on the guest. `data` is Packer's GeneratedData and holds secrets. Everything must be
    /// cleaned up before this returns: Packer kills the process afterwards.
    ///
    /// # Errors
    /// The text that the user reads as the reason of the failed build.
    fn provision(&self, data: Value, guest: Guest, cancel: CancelToken) -> Result<(), String>;
}
