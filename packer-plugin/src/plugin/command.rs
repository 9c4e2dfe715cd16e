use std::fmt;
use std::io::{self, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::{CancelToken, Guest, GuestError};
use crate::wire::broker::{Aborter, Expectation, PATIENCE};
use crate::wire::gob;
use crate::wire::msgpack::Value;
use crate::wire::rpc::Pending;
use crate::wire::yamux::{Handle, Stream};

/// Takes the pieces of an output stream as they come; see [`super::lines`].
pub type Sink = Box<dyn FnMut(&[u8]) + Send>;

const WHAT: &str = "start a command on the guest";

/// A command for the guest's shell.
pub struct Command {
    text: String,
    stdin: Option<Box<dyn Read + Send>>,
    stdout: Option<Sink>,
    stderr: Option<Sink>,
}

impl Command {
    /// A command line as the communicator passes it on (ssh: to the login shell). It shows in
    /// process lists: secrets go through [`Command::stdin`].
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), stdin: None, stdout: None, stderr: None }
    }

    /// What the command reads; without it, nothing is connected.
    #[must_use]
    pub fn stdin(mut self, source: impl Read + Send + 'static) -> Self {
        self.stdin = Some(Box::new(source));
        self
    }

    /// Who takes its output; without it, the output is lost.
    #[must_use]
    pub fn stdout(mut self, sink: Sink) -> Self {
        self.stdout = Some(sink);
        self
    }

    /// Who takes its error output; without it, that is lost.
    #[must_use]
    pub fn stderr(mut self, sink: Sink) -> Self {
        self.stderr = Some(sink);
        self
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Command").field("length", &self.text.len()).finish_non_exhaustive()
    }
}

/// The exit status that Packer reports. 0 is no proof on its own: a lost ssh session and
/// `communicator = "none"` can give 0 too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExitStatus(pub i64);

impl ExitStatus {
    /// What Packer reports when the connection was lost without a status.
    pub const DISCONNECTED: Self = Self(2_300_218);

    /// Whether it is 0.
    #[must_use]
    pub fn success(self) -> bool {
        self.0 == 0
    }
}

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

type Outcome = Result<ExitStatus, GuestError>;

#[derive(Debug, Default)]
struct Progress {
    outcome: Mutex<Option<Outcome>>,
    changed: Condvar,
    streams: Mutex<Streams>,
}

/// Streams to reset when the command is given up, those too that come only later.
#[derive(Debug, Default)]
struct Streams {
    open: Vec<Handle>,
    abandoned: bool,
}

impl Progress {
    fn outcome(&self) -> MutexGuard<'_, Option<Outcome>> {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn streams(&self) -> MutexGuard<'_, Streams> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn opened(&self, handle: Handle) {
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

/// The streams that Packer will open for one command.
struct Expected {
    stdin: Option<Expectation>,
    stdout: Option<Expectation>,
    stderr: Option<Expectation>,
    response: Expectation,
}

impl Expected {
    fn argument(&self, command: &str) -> Value {
        let id =
            |stream: &Option<Expectation>| Value::from(stream.as_ref().map_or(0, Expectation::id));
        Value::map([
            ("Command", command.into()),
            ("StdinStreamId", id(&self.stdin)),
            ("StdoutStreamId", id(&self.stdout)),
            ("StderrStreamId", id(&self.stderr)),
            ("ResponseStreamId", self.response.id().into()),
        ])
    }

    fn aborters(&self) -> Vec<Aborter> {
        let optional = [&self.stdin, &self.stdout, &self.stderr];
        let optional = optional.into_iter().flatten();
        optional.chain([&self.response]).map(Expectation::aborter).collect()
    }
}

fn supervise(
    pending: &Pending,
    expected: &Expected,
    command: Command,
    progress: &Arc<Progress>,
) -> Outcome {
    match pending.wait(None) {
        Some(Ok(_)) => {}
        Some(Err(error)) => return Err(GuestError::from_call(WHAT, error)),
        None => return Err(GuestError::protocol(WHAT, "no answer")),
    }
    let take = |stream: &Expectation| {
        let stream =
            stream.wait(Some(PATIENCE)).map_err(|error| GuestError::from_stream(WHAT, &error))?;
        progress.opened(stream.handle());
        Ok::<Stream, GuestError>(stream)
    };
    let response = take(&expected.response)?;
    let stdin = expected.stdin.as_ref().map(take).transpose()?;
    let stdout = expected.stdout.as_ref().map(take).transpose()?;
    let stderr = expected.stderr.as_ref().map(take).transpose()?;

    let stdin_handle = stdin.as_ref().map(Stream::handle);
    if let (Some(stream), Some(source)) = (stdin, command.stdin) {
        spawn("command stdin", move || feed(&stream, source))?;
    }
    let mut drains = Vec::new();
    for (stream, sink) in [(stdout, command.stdout), (stderr, command.stderr)] {
        if let (Some(stream), Some(sink)) = (stream, sink) {
            drains.push(spawn("command output", move || drain(&stream, sink))?);
        }
    }
    // The end of the response can come before that of the output: read all three to their ends.
    let mut message = Vec::new();
    let read = (&response).take(4096).read_to_end(&mut message);
    let drained: Vec<_> = drains.into_iter().map(JoinHandle::join).collect();
    // A feeder that still waits for the window would wait for ever: nobody reads any more.
    if let Some(stdin) = stdin_handle {
        stdin.close();
    }
    progress.streams().open.clear();
    read.map_err(|error| GuestError::from_stream("run a command on the guest", &error))?;
    for result in drained {
        match result {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                return Err(GuestError::from_stream("read a command's output", &error));
            }
            Err(_) => return Err(GuestError::protocol("read a command's output", "defect")),
        }
    }
    gob::exit_status(&message)
        .map(ExitStatus)
        .map_err(|error| GuestError::protocol("read a command's exit status", error.to_string()))
}

fn spawn<T: Send + 'static>(
    name: &str,
    body: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, GuestError> {
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(body)
        .map_err(|source| GuestError::Local { what: "start a thread".to_owned(), source })
}

/// Copies `source` to the command's stdin and closes it.
fn feed(mut stream: &Stream, mut source: Box<dyn Read + Send>) {
    // A command that ends without reading all its input is no failure.
    if let Err(error) = io::copy(&mut source, &mut stream).and_then(|_| stream.flush()) {
        log::debug!("stdin of a command ended early: {error}");
    }
    stream.handle().close();
}

/// Hands all output to the sink. A sink that panics gets nothing more, but the stream is read to
/// its end, so that the command is not stuck.
fn drain(mut stream: &Stream, sink: Sink) -> io::Result<()> {
    let mut sink = Some(sink);
    let mut chunk = vec![0; 32 * 1024];
    let mut result = Ok(());
    loop {
        let count = stream.read(&mut chunk)?;
        let Some(piece) = chunk.get(..count).filter(|piece| !piece.is_empty()) else {
            return result;
        };
        if let Some(take) = sink.as_mut() {
            if catch_unwind(AssertUnwindSafe(|| take(piece))).is_err() {
                sink = None;
                result = Err(io::Error::other("the plugin failed to handle the output"));
            }
        }
    }
}
