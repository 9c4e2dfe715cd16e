//! What a run needs from the machine under construction, and nothing more.

use std::fmt;
use std::io::{Cursor, Read};
use std::time::Duration;

use zeroize::Zeroizing;

use crate::plugin::{CancelToken, Command, FileInfo, Guest, GuestError, Running, Sink, Waited};

/// A command, what it reads, and who takes its output.
pub struct Launch {
    /// The command line, for the guest's login shell; never holds a secret.
    pub command: String,
    /// What it reads; nothing is connected without.
    pub stdin: Option<Zeroizing<Vec<u8>>>,
    /// Takes its output.
    pub stdout: Sink,
    /// Takes its error output.
    pub stderr: Sink,
}

impl fmt::Debug for Launch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Launch").field("length", &self.command.len()).finish_non_exhaustive()
    }
}

/// The machine under construction, and Packer's own output. Used from several threads.
pub trait Machine: Send + Sync {
    /// Shows progress or a result.
    fn say(&self, text: &str);
    /// Shows a problem.
    fn error(&self, text: &str);
    /// Tells tools something.
    fn machine(&self, category: &str, arguments: &[&str]);
    /// Starts a command.
    ///
    /// # Errors
    /// When it cannot be started.
    fn start(&self, launch: Launch) -> Result<Box<dyn Job>, GuestError>;
    /// Writes a file in a folder that exists.
    ///
    /// # Errors
    /// When the guest refuses, or has no room.
    fn upload(
        &self,
        path: &str,
        source: &mut dyn Read,
        info: &FileInfo,
        cancel: &CancelToken,
    ) -> Result<(), GuestError>;
}

/// A command that was started.
pub trait Job {
    /// Waits for its end, a cancellation, or the limit.
    fn wait(&self, cancel: &CancelToken, limit: Option<Duration>) -> Waited;
    /// Stops caring: its output is lost, it may run on.
    fn abandon(self: Box<Self>);
}

impl Machine for Guest {
    fn say(&self, text: &str) {
        self.ui().say(text);
    }

    fn error(&self, text: &str) {
        self.ui().error(text);
    }

    fn machine(&self, category: &str, arguments: &[&str]) {
        self.ui().machine(category, arguments);
    }

    fn start(&self, launch: Launch) -> Result<Box<dyn Job>, GuestError> {
        let mut command = Command::new(launch.command).stdout(launch.stdout).stderr(launch.stderr);
        if let Some(stdin) = launch.stdin {
            command = command.stdin(Cursor::new(stdin));
        }
        Ok(Box::new(Self::start(self, command)?))
    }

    fn upload(
        &self,
        path: &str,
        source: &mut dyn Read,
        info: &FileInfo,
        cancel: &CancelToken,
    ) -> Result<(), GuestError> {
        Self::upload(self, path, source, info, cancel)
    }
}

impl Job for Running {
    fn wait(&self, cancel: &CancelToken, limit: Option<Duration>) -> Waited {
        Self::wait(self, cancel, limit)
    }

    fn abandon(self: Box<Self>) {
        Self::abandon(*self);
    }
}
