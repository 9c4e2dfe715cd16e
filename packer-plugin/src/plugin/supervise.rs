use std::io::{self, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use super::running::{Outcome, Progress};
use super::{Command, ExitStatus, GuestError, Sink};
use crate::wire::broker::{Aborter, Expectation, PATIENCE};
use crate::wire::gob;
use crate::wire::msgpack::Value;
use crate::wire::rpc::Pending;
use crate::wire::yamux::Stream;

pub(super) const WHAT: &str = "start a command on the guest";

/// The streams that Packer will open for one command.
pub(super) struct Expected {
    pub(super) stdin: Option<Expectation>,
    pub(super) stdout: Option<Expectation>,
    pub(super) stderr: Option<Expectation>,
    pub(super) response: Expectation,
}

impl Expected {
    pub(super) fn argument(&self, command: &str) -> Value {
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

    pub(super) fn aborters(&self) -> Vec<Aborter> {
        let optional = [&self.stdin, &self.stdout, &self.stderr];
        let optional = optional.into_iter().flatten();
        optional.chain([&self.response]).map(Expectation::aborter).collect()
    }
}

/// Follows one command from the answer to Start to the end of all its streams.
pub(super) fn supervise(
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
