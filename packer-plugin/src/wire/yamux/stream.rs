use std::io::{self, Read, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::flow::{Flow, Violation};
use super::header::{Flags, Header, Kind};
use super::session::Shared;

/// Largest payload of one frame that we send; small enough that streams take turns.
const MAX_PAYLOAD: usize = 32 * 1024;

/// What the reading thread and the users of one stream share.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) id: u32,
    flow: Mutex<Flow>,
    changed: Condvar,
}

impl Endpoint {
    pub(super) fn new(id: u32) -> Arc<Self> {
        Arc::new(Self { id, flow: Mutex::new(Flow::new()), changed: Condvar::new() })
    }

    pub(super) fn flow(&self) -> MutexGuard<'_, Flow> {
        self.flow.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn wake(&self) {
        // Taking the lock first closes the gap between a waiter's check and its wait.
        drop(self.flow());
        self.changed.notify_all();
    }

    /// Applies flags and credit of a frame; says whether the stream is finished.
    pub(super) fn apply(&self, flags: Flags, credit: u32) -> Result<bool, Violation> {
        let mut flow = self.flow();
        flow.grant_credit(credit)?;
        flow.peer_closed |= flags.has(Flags::FIN);
        flow.reset |= flags.has(Flags::RST);
        let finished = flow.finished();
        drop(flow);
        self.changed.notify_all();
        Ok(finished)
    }

    pub(super) fn receive(&self, data: &[u8]) {
        self.flow().receive(data);
        self.changed.notify_all();
    }

    fn wait<'a>(
        &self,
        flow: MutexGuard<'a, Flow>,
        deadline: Option<Instant>,
    ) -> io::Result<MutexGuard<'a, Flow>> {
        let Some(deadline) = deadline else {
            return Ok(self.changed.wait(flow).unwrap_or_else(PoisonError::into_inner));
        };
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "the other side did not answer"));
        }
        Ok(self.changed.wait_timeout(flow, left).unwrap_or_else(PoisonError::into_inner).0)
    }
}

/// One stream, read and written like a socket; closed (FIN) when dropped.
///
/// `Read` and `Write` are also there for `&Stream`: one thread may read while another writes.
#[derive(Debug)]
pub struct Stream {
    handle: Handle,
}

/// Ends a stream from another thread, for example one that is stuck in a write.
#[derive(Debug, Clone)]
pub struct Handle {
    endpoint: Arc<Endpoint>,
    session: Arc<Shared>,
}

impl Handle {
    /// Half close: we write no more. Writers that wait for credit end with `BrokenPipe`.
    pub fn close(&self) {
        let mut flow = self.endpoint.flow();
        if flow.closed || flow.reset {
            return;
        }
        flow.closed = true;
        self.session.send(self.header(Kind::WindowUpdate, Flags::FIN, 0));
        let finished = flow.finished();
        drop(flow);
        self.endpoint.changed.notify_all();
        if finished {
            self.session.forget(self.endpoint.id);
        }
    }

    /// Hard close: the other side's reads and writes fail, and so do ours.
    pub fn reset(&self) {
        let mut flow = self.endpoint.flow();
        if flow.finished() {
            return;
        }
        flow.reset = true;
        flow.forget_received();
        self.session.send(self.header(Kind::WindowUpdate, Flags::RST, 0));
        drop(flow);
        self.endpoint.changed.notify_all();
        self.session.forget(self.endpoint.id);
    }

    fn header(&self, kind: Kind, flags: Flags, length: u32) -> Header {
        Header { kind, flags, stream: self.endpoint.id, length }
    }
}

impl Stream {
    pub(super) fn new(endpoint: Arc<Endpoint>, session: Arc<Shared>) -> Self {
        Self { handle: Handle { endpoint, session } }
    }

    /// A handle that can close or reset this stream from elsewhere.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// The stream id, odd when the client side opened it.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.handle.endpoint.id
    }

    /// Reads exactly `N` bytes, waiting no longer than `limit` in all.
    ///
    /// # Errors
    /// `TimedOut`, `UnexpectedEof`, or what [`Read`] of a stream gives.
    pub fn read_array<const N: usize>(&self, limit: Duration) -> io::Result<[u8; N]> {
        let deadline = Instant::now() + limit;
        let mut bytes = [0; N];
        let mut rest = bytes.as_mut_slice();
        while !rest.is_empty() {
            let count = self.read_until(rest, Some(deadline))?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            rest = rest.get_mut(count..).unwrap_or_default();
        }
        Ok(bytes)
    }

    fn read_until(&self, out: &mut [u8], deadline: Option<Instant>) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        let Handle { endpoint, session } = &self.handle;
        let mut flow = endpoint.flow();
        loop {
            if flow.reset {
                return Err(reset_error());
            }
            if flow.has_received() {
                let (count, grant) = flow.take(out);
                drop(flow);
                if let Some(grant) = grant {
                    session.send(self.handle.header(Kind::WindowUpdate, Flags::NONE, grant));
                }
                return Ok(count);
            }
            if flow.peer_closed {
                return Ok(0);
            }
            if let Some(end) = session.end() {
                return Err(end.into());
            }
            flow = endpoint.wait(flow, deadline)?;
        }
    }

    fn write_some(&self, data: &[u8]) -> io::Result<usize> {
        let Handle { endpoint, session } = &self.handle;
        // The one wait that depends on the socket, taken before the lock that the reading thread
        // needs too.
        if !session.wait_for_room() {
            return Err(session.end().unwrap_or_default().into());
        }
        let mut flow = endpoint.flow();
        loop {
            if flow.reset {
                return Err(reset_error());
            }
            if flow.closed {
                return Err(io::Error::new(io::ErrorKind::BrokenPipe, "the stream is closed"));
            }
            if let Some(end) = session.end() {
                return Err(end.into());
            }
            if flow.credit > 0 {
                break;
            }
            flow = endpoint.wait(flow, None)?;
        }
        let credit = usize::try_from(flow.credit).unwrap_or(usize::MAX);
        let part = data.get(..credit.min(MAX_PAYLOAD)).unwrap_or(data);
        let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
        flow.credit = flow.credit.saturating_sub(length);
        // Queued under the lock, like the FIN of `close`: no data can follow a FIN.
        let sent = session.send_data(self.handle.header(Kind::Data, Flags::NONE, length), part);
        drop(flow);
        if sent { Ok(part.len()) } else { Err(session.end().unwrap_or_default().into()) }
    }
}

fn reset_error() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, "the stream was reset")
}

impl Read for &Stream {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.read_until(out, None)
    }
}

impl Write for &Stream {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        if data.is_empty() { Ok(0) } else { self.write_some(data) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Stream {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        (&*self).read(out)
    }
}

impl Write for Stream {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        (&*self).write(data)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.handle.endpoint.flow().forget_received();
        self.handle.close();
    }
}
