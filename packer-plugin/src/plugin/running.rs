use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::supervise::{Expected, WHAT, supervise};
use super::{CancelToken, Command, ExitStatus, Guest, GuestError};
use crate::wire::broker::Aborter;
use crate::wire::yamux::Handle;

/// How a wait for a command ended.
#[derive(Debug)]
pub enum Waited {
    /// It ended, and all its output has been handed over.
    Exited(ExitStatus),
    /// It could not be started, or its end is not known.
    Failed(GuestError),
    /// The token was cancelled first; the command still runs. Closing its streams does not stop
    /// it: stop it with a second command, then wait again.
    Cancelled,
    /// The time limit passed first; the command still runs.
    TimedOut,
}

pub(super) type Outcome = Result<ExitStatus, GuestError>;

#[derive(Debug, Default)]
pub(super) struct Progress {
    outcome: Mutex<Option<Outcome>>,
    changed: Condvar,
    streams: Mutex<Streams>,
}

/// Streams to reset when the command is given up, those too that come only later.
#[derive(Debug, Default)]
pub(super) struct Streams {
    pub(super) open: Vec<Handle>,
    abandoned: bool,
}

impl Progress {
    fn outcome(&self) -> MutexGuard<'_, Option<Outcome>> {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn streams(&self) -> MutexGuard<'_, Streams> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn opened(&self, handle: Handle) {
        let mut streams = self.streams();
        if streams.abandoned {
            handle.reset();
        }
        streams.open.push(handle);
    }
}

/// A command that was started. Dropping it changes nothing: it runs on and is drained.
#[derive(Debug)]
pub struct Running {
    progress: Arc<Progress>,
}

impl Running {
    pub(super) fn start(guest: &Guest, command: Command) -> Result<Self, GuestError> {
        let ids = |wanted: bool| wanted.then(|| guest.broker.expect_next());
        let expected = Expected {
            stdin: ids(command.stdin.is_some()),
            stdout: ids(command.stdout.is_some()),
            stderr: ids(command.stderr.is_some()),
            response: guest.broker.expect_next(),
        };
        let argument = expected.argument(&command.text);
        let aborters = expected.aborters();
        let on_answer = Box::new(move |replied: bool| {
            if !replied {
                aborters.iter().for_each(Aborter::abort);
            }
        });
        let pending = guest
            .client
            .begin("Communicator.Start", &argument, Some(on_answer))
            .map_err(|error| GuestError::from_call(WHAT, error))?;
        let progress = Arc::new(Progress::default());
        let shared = Arc::clone(&progress);
        thread::Builder::new()
            .name("command".to_owned())
            .spawn(move || {
                let outcome = supervise(&pending, &expected, command, &shared);
                // Streams that came and were not taken (a refused start) close here.
                drop(expected);
                *shared.outcome() = Some(outcome);
                shared.changed.notify_all();
            })
            .map_err(|source| GuestError::Local { what: "start a thread".to_owned(), source })?;
        Ok(Self { progress })
    }

    /// Waits for the end of the command, a cancellation, or the limit, whatever comes first.
    ///
    /// The end is told once; after [`Waited::Exited`] or [`Waited::Failed`] a further wait fails.
    #[must_use]
    pub fn wait(&self, cancel: &CancelToken, limit: Option<Duration>) -> Waited {
        let deadline = limit.map(|limit| Instant::now() + limit);
        let woken = Arc::clone(&self.progress);
        let _subscription = cancel.on_cancel(move || {
            drop(woken.outcome());
            woken.changed.notify_all();
        });
        let mut outcome = self.progress.outcome();
        loop {
            if let Some(told) = outcome.as_mut() {
                let again = Err(GuestError::protocol("wait for a command", "its end is known"));
                return match std::mem::replace(told, again) {
                    Ok(status) => Waited::Exited(status),
                    Err(error) => Waited::Failed(error),
                };
            }
            if cancel.is_cancelled() {
                return Waited::Cancelled;
            }
            let left = deadline.map(|end| end.saturating_duration_since(Instant::now()));
            let changed = &self.progress.changed;
            outcome = match left {
                None => changed.wait(outcome).unwrap_or_else(PoisonError::into_inner),
                Some(left) if left.is_zero() => return Waited::TimedOut,
                Some(left) => {
                    changed.wait_timeout(outcome, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    /// Gives the command up: its streams are reset, its output is lost; it may run on in the guest.
    pub fn abandon(self) {
        let mut streams = self.progress.streams();
        streams.abandoned = true;
        for handle in streams.open.drain(..) {
            handle.reset();
        }
    }
}
