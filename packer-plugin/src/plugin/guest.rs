use std::io;

use super::{CancelToken, Command, ExitStatus, Running, Ui, Waited};
use crate::wire::broker::Broker;
use crate::wire::rpc::{CallError, Client};

/// Why something on the guest could not be done. A command that ran and failed is no such error.
#[derive(Debug, thiserror::Error)]
pub enum GuestError {
    /// Packer, or the guest behind it, refused; the text is Packer's.
    #[error("{what} was refused: {text}")]
    Refused {
        /// The operation and its subject.
        what: String,
        /// Packer's reason.
        text: String,
    },
    /// Packer is gone, or the connection to it.
    #[error("the connection to Packer was lost: {0}")]
    Lost(String),
    /// The run was cancelled.
    #[error("context canceled")]
    Cancelled,
    /// Packer answered in a way that makes no sense.
    #[error("{what}: {text}")]
    Protocol {
        /// The operation and its subject.
        what: String,
        /// What was wrong.
        text: String,
    },
    /// The local side of a transfer failed: the file that is read or written here.
    #[error("{what}: {source}")]
    Local {
        /// The operation and its subject.
        what: String,
        /// Why.
        source: io::Error,
    },
}

impl GuestError {
    pub(super) fn from_call(what: &str, error: CallError) -> Self {
        match error {
            CallError::Refused(text) => Self::Refused { what: what.to_owned(), text },
            CallError::Lost(text) => Self::Lost(text),
        }
    }

    pub(super) fn protocol(what: &str, text: impl Into<String>) -> Self {
        Self::Protocol { what: what.to_owned(), text: text.into() }
    }

    /// A failed wait for, or use of, a stream of ours.
    pub(super) fn from_stream(what: &str, error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionAborted => Self::Lost(error.to_string()),
            io::ErrorKind::TimedOut => {
                Self::protocol(what, "Packer did not open the stream that it was asked to open")
            }
            _ => Self::protocol(what, error.to_string()),
        }
    }
}

/// The machine under construction, through Packer's communicator. Clones share the connection and
/// may be used from several threads, for example to stop a command that another thread waits for.
#[derive(Debug, Clone)]
pub struct Guest {
    pub(super) client: Client,
    pub(super) broker: Broker,
    ui: Ui,
}

impl Guest {
    pub(super) fn new(client: Client, broker: Broker) -> Self {
        let ui = Ui::new(client.clone());
        Self { client, broker, ui }
    }

    /// Packer's output.
    #[must_use]
    pub fn ui(&self) -> &Ui {
        &self.ui
    }

    /// Starts a command; its output is drained from now on, whoever waits or not.
    ///
    /// # Errors
    /// When Packer refuses or is gone.
    pub fn start(&self, command: Command) -> Result<Running, GuestError> {
        Running::start(self, command)
    }

    /// Runs a command to its end. A cancellation does not stop it: see [`Running::wait`] for that.
    ///
    /// # Errors
    /// When Packer refuses or is gone, or no exit status arrives.
    pub fn run(&self, command: Command) -> Result<ExitStatus, GuestError> {
        match self.start(command)?.wait(&CancelToken::new(), None) {
            Waited::Exited(status) => Ok(status),
            Waited::Failed(error) => Err(error),
            Waited::Cancelled | Waited::TimedOut => Err(GuestError::Cancelled),
        }
    }
}
