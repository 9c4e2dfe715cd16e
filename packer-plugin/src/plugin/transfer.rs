use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{CancelToken, Guest, GuestError};
use crate::wire::broker::{Aborter, Expectation, PATIENCE};
use crate::wire::msgpack::Value;
use crate::wire::rpc::{CallError, Pending};
use crate::wire::yamux::{Handle, Stream};

/// How long Packer may take to answer a transfer that was cancelled.
const CANCEL_GRACE: Duration = Duration::from_secs(10);
/// Packer opens the stream before it talks to the guest; this is for a machine under load.
const DIAL_LIMIT: Duration = Duration::from_secs(30);

/// What scp and sftp need to know of a file in advance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileInfo {
    /// Base name.
    pub name: String,
    /// Exact size in bytes; scp announces it before the content.
    pub size: u64,
    /// Permission bits, for example 0o700.
    pub mode: u32,
}

impl FileInfo {
    fn to_value(&self) -> Value {
        Value::map([
            ("N", self.name.as_str().into()),
            ("S", self.size.into()),
            ("M", (self.mode & 0o777).into()),
            ("T", Value::Nil),
        ])
    }
}

impl Guest {
    /// Writes a file on the guest. The folder must exist: scp makes a file of that name otherwise.
    ///
    /// # Errors
    /// When Packer or the guest refuses, half-way too; when `source` fails or has not exactly
    /// `info.size` bytes; when `cancel` is cancelled. What lies at `path` then is not defined.
    pub fn upload(
        &self,
        path: &str,
        source: &mut dyn Read,
        info: &FileInfo,
        cancel: &CancelToken,
    ) -> Result<(), GuestError> {
        let what = format!("upload {path}");
        let transfer = Transfer::begin(self, &what, cancel, Handle::close, |id| {
            let argument = Value::map([
                ("Path", path.into()),
                ("ReaderStreamId", id.into()),
                ("FileInfo", info.to_value()),
            ]);
            ("Communicator.Upload", argument)
        })?;
        let sent = match transfer.stream() {
            Ok(stream) => {
                let sent = send(&stream, source, info.size, &what, cancel);
                match &sent {
                    Ok(()) => stream.handle().close(),
                    // An ordinary close would make a cut file look complete.
                    Err(_) => stream.handle().reset(),
                }
                sent
            }
            Err(error) => Err(error),
        };
        transfer.conclude(sent)
    }

    /// Reads a file of the guest, at most `limit` bytes.
    ///
    /// # Errors
    /// When Packer or the guest refuses; when the file is larger than `limit` or `sink` fails; when
    /// `cancel` is cancelled.
    pub fn download(
        &self,
        path: &str,
        sink: &mut dyn Write,
        limit: u64,
        cancel: &CancelToken,
    ) -> Result<(), GuestError> {
        let what = format!("download {path}");
        let transfer = Transfer::begin(self, &what, cancel, Handle::reset, |id| {
            let argument = Value::map([("Path", path.into()), ("WriterStreamId", id.into())]);
            ("Communicator.Download", argument)
        })?;
        let received = match transfer.stream() {
            Ok(stream) => {
                let received = receive(&stream, sink, limit, &what);
                if received.is_err() {
                    stream.handle().reset();
                }
                received
            }
            Err(error) => Err(error),
        };
        transfer.conclude(received)
    }
}

/// Ends the stream of a transfer when the answer or the cancellation comes first.
#[derive(Debug)]
struct Gate {
    aborter: Aborter,
    state: Mutex<GateState>,
}

#[derive(Debug, Default)]
struct GateState {
    handle: Option<Handle>,
    ending: Option<fn(&Handle)>,
}

impl Gate {
    fn end(&self, how: fn(&Handle)) {
        self.aborter.abort();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.ending = Some(how);
        if let Some(handle) = &state.handle {
            how(handle);
        }
    }

    fn arm(&self, handle: Handle) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(how) = state.ending {
            how(&handle);
        }
        state.handle = Some(handle);
    }
}

struct Transfer<'a> {
    what: &'a str,
    cancel: &'a CancelToken,
    expected: Expectation,
    pending: Pending,
    gate: Arc<Gate>,
    _subscription: super::Subscription,
}

impl<'a> Transfer<'a> {
    /// `on_refusal` says how the stream ends when the call is refused: a writer is woken by a
    /// close, a reader only by a reset.
    fn begin(
        guest: &Guest,
        what: &'a str,
        cancel: &'a CancelToken,
        on_refusal: fn(&Handle),
        call: impl FnOnce(u32) -> (&'static str, Value),
    ) -> Result<Self, GuestError> {
        if cancel.is_cancelled() {
            return Err(GuestError::Cancelled);
        }
        let expected = guest.broker.expect_next();
        let gate = Arc::new(Gate { aborter: expected.aborter(), state: Mutex::default() });
        let (method, argument) = call(expected.id());
        let refused = Arc::clone(&gate);
        let on_answer = Box::new(move |replied: bool| {
            if !replied {
                refused.end(on_refusal);
            }
        });
        let pending = guest
            .client
            .begin(method, &argument, Some(on_answer))
            .map_err(|error| GuestError::from_call(what, error))?;
        let cancelled = Arc::clone(&gate);
        let subscription = cancel.on_cancel(move || cancelled.end(Handle::reset));
        Ok(Self { what, cancel, expected, pending, gate, _subscription: subscription })
    }

    fn stream(&self) -> Result<Stream, GuestError> {
        let stream = self
            .expected
            .wait(Some(DIAL_LIMIT))
            .map_err(|error| GuestError::from_stream(self.what, &error))?;
        self.gate.arm(stream.handle());
        Ok(stream)
    }

    /// Puts together what happened here and what Packer says.
    fn conclude(self, ours: Result<(), GuestError>) -> Result<(), GuestError> {
        let theirs = self.answer();
        if self.cancel.is_cancelled() {
            return Err(GuestError::Cancelled);
        }
        match (ours, theirs) {
            (Ok(()), Some(Ok(_))) => Ok(()),
            // A fault of our own file is the cause; Packer only sees the stream end.
            (Err(error @ GuestError::Local { .. }), _) => Err(error),
            (_, Some(Err(CallError::Refused(text)))) => {
                Err(GuestError::Refused { what: self.what.to_owned(), text })
            }
            (_, Some(Err(CallError::Lost(text)))) => Err(GuestError::Lost(text)),
            (Err(error), _) => Err(error),
            (Ok(()), None) => Err(GuestError::Cancelled),
        }
    }

    /// Packer's answer; `None` when a cancelled transfer is not answered in time.
    fn answer(&self) -> Option<Result<Value, CallError>> {
        let mut give_up = None;
        loop {
            if let Some(answer) = self.pending.wait(Some(Instant::now() + PATIENCE / 20)) {
                return Some(answer);
            }
            if self.cancel.is_cancelled() {
                let end = *give_up.get_or_insert_with(|| Instant::now() + CANCEL_GRACE);
                if Instant::now() >= end {
                    return None;
                }
            }
        }
    }
}

fn send(
    mut stream: &Stream,
    source: &mut dyn Read,
    size: u64,
    what: &str,
    cancel: &CancelToken,
) -> Result<(), GuestError> {
    let local = |source| GuestError::Local { what: what.to_owned(), source };
    let mut chunk = vec![0; 32 * 1024];
    let mut left = size;
    loop {
        if cancel.is_cancelled() {
            return Err(GuestError::Cancelled);
        }
        let count = match source.read(&mut chunk) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            other => other.map_err(local)?,
        };
        let Some(piece) = chunk.get(..count).filter(|piece| !piece.is_empty()) else { break };
        left = u64::try_from(count)
            .ok()
            .and_then(|count| left.checked_sub(count))
            .ok_or_else(|| local(io::Error::other("the file is larger than announced")))?;
        stream.write_all(piece).map_err(|error| GuestError::from_stream(what, &error))?;
    }
    if left > 0 {
        return Err(local(io::Error::other("the file is smaller than announced")));
    }
    Ok(())
}

fn receive(
    mut stream: &Stream,
    sink: &mut dyn Write,
    limit: u64,
    what: &str,
) -> Result<(), GuestError> {
    let local = |source| GuestError::Local { what: what.to_owned(), source };
    let mut chunk = vec![0; 32 * 1024];
    let mut left = limit;
    loop {
        let count =
            stream.read(&mut chunk).map_err(|error| GuestError::from_stream(what, &error))?;
        let Some(piece) = chunk.get(..count).filter(|piece| !piece.is_empty()) else { break };
        left = u64::try_from(count)
            .ok()
            .and_then(|count| left.checked_sub(count))
            .ok_or_else(|| local(io::Error::other("the file is larger than allowed")))?;
        sink.write_all(piece).map_err(local)?;
    }
    sink.flush().map_err(local)
}
