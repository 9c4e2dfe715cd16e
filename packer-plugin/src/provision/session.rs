//! Short scripts in the guest, whose whole answer is read.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use disinherit_core::Error;
use zeroize::Zeroizing;

use super::machine::{Launch, Machine};
use super::shell::sh;
use crate::plugin::{CancelToken, ExitStatus, GuestError, Sink, Waited};

/// How long a short script may take; sudo with a slow directory service is among them.
pub(super) const LIMIT: Duration = Duration::from_secs(60);
/// More output than this is not the answer of one of our scripts.
const MOST: usize = 256 * 1024;

/// Why a run ends early.
#[derive(Debug)]
pub(super) enum Stop {
    /// Packer asked for it.
    Cancelled,
    /// Something failed.
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl Stop {
    /// A failed operation on the guest; a cancellation stays one.
    pub(super) fn from_guest(operation: &'static str, subject: &str, error: GuestError) -> Self {
        match error {
            GuestError::Cancelled => Self::Cancelled,
            other => Self::Failed(Error::failed(operation, subject).because(other)),
        }
    }
}

/// What a script said.
pub(super) struct Answer {
    /// Its exit status.
    pub(super) status: ExitStatus,
    /// Its output.
    pub(super) out: String,
    /// Its error output, one line, fit to be quoted.
    pub(super) err: String,
}

impl Answer {
    /// The rest of the line that starts with `name=`.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.out.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix('='))
    }
}

/// The machine, with what every use of it needs.
pub(super) struct Session {
    /// The machine under construction.
    pub(super) machine: Arc<dyn Machine>,
    /// Says that the run shall stop.
    pub(super) cancel: CancelToken,
    /// A password that no line may show.
    pub(super) secret: Option<Zeroizing<String>>,
}

impl Session {
    /// Runs a script by /bin/sh as the SSH user.
    ///
    /// # Errors
    /// When it cannot be started, does not end in time, or the run is cancelled. A script that
    /// ran and failed is no error.
    pub(super) fn script(&self, what: &'static str, script: &str) -> Result<Answer, Stop> {
        self.ask(what, script, &self.cancel, LIMIT)
    }

    /// The same where a cancellation must not hinder it.
    pub(super) fn ask(
        &self,
        what: &'static str,
        script: &str,
        cancel: &CancelToken,
        limit: Duration,
    ) -> Result<Answer, Stop> {
        let (out, err) = (Buffer::default(), Buffer::default());
        let launch =
            Launch { command: sh(script), stdin: None, stdout: out.sink(), stderr: err.sink() };
        let failed = |error| Stop::from_guest(what, "the guest", error);
        let job = self.machine.start(launch).map_err(failed)?;
        match job.wait(cancel, Some(limit)) {
            Waited::Exited(status) => {
                let err = self.redact(&printable(&out_line(&err.text())));
                Ok(Answer { status, out: out.text(), err })
            }
            Waited::Failed(error) => Err(failed(error)),
            Waited::Cancelled => {
                job.abandon();
                Err(Stop::Cancelled)
            }
            Waited::TimedOut => {
                job.abandon();
                let text = format!("no answer within {} s", limit.as_secs());
                Err(Error::failed(what, "the guest").because(text).into())
            }
        }
    }

    /// A line without the password, should anything in the guest have printed it.
    pub(super) fn redact(&self, line: &str) -> String {
        match self.secret.as_deref() {
            Some(secret) if !secret.is_empty() => line.replace(secret.as_str(), "<sensitive>"),
            _ => line.to_owned(),
        }
    }
}

/// Error output on one line.
fn out_line(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines.join("; ")
}

/// A line of the guest without control characters: a terminal obeys them.
pub(super) fn printable(line: &str) -> String {
    line.chars().map(|c| if c == '\t' { ' ' } else { c }).filter(|c| !c.is_control()).collect()
}

/// Output that another thread collects.
#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Buffer {
    fn sink(&self) -> Sink {
        let bytes = Arc::clone(&self.0);
        Box::new(move |piece| {
            let mut bytes = bytes.lock().unwrap_or_else(PoisonError::into_inner);
            let room = MOST.saturating_sub(bytes.len());
            bytes.extend(piece.iter().take(room));
        })
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}
