use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use super::INITIAL_WINDOW;
use super::flow::Violation;
use super::header::{Flags, HEADER_LEN, Header, HeaderError, Kind};
use super::outbox::Outbox;
use super::stream::{Endpoint, Stream};

/// Streams that may be open at once, as in hashicorp/yamux's backlog.
const MAX_STREAMS: usize = 256;
const CODE_PROTOCOL_ERROR: u32 = 1;

/// Which half of the stream ids is ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Packer: odd ids.
    Client,
    /// The plugin: even ids.
    Server,
}

/// Why a session is over.
#[derive(Debug, Clone, Default, PartialEq, Eq, thiserror::Error)]
pub enum SessionEnd {
    /// The socket ended between two frames: how Packer leaves.
    #[default]
    #[error("the other side closed the connection")]
    Closed,
    /// The socket ended inside a frame.
    #[error("the connection ended inside a yamux frame")]
    Truncated,
    /// The socket failed.
    #[error("the connection failed: {0}")]
    Io(String),
    /// The peer broke the protocol.
    #[error("yamux protocol error: {0}")]
    Protocol(String),
}

impl From<SessionEnd> for io::Error {
    fn from(end: SessionEnd) -> Self {
        Self::new(io::ErrorKind::ConnectionAborted, end)
    }
}

impl From<HeaderError> for SessionEnd {
    fn from(error: HeaderError) -> Self {
        Self::Protocol(error.to_string())
    }
}

impl From<Violation> for SessionEnd {
    fn from(error: Violation) -> Self {
        Self::Protocol(error.to_string())
    }
}

/// What all streams and both threads of a session share.
#[derive(Debug)]
pub(super) struct Shared {
    outbox: Outbox,
    streams: Mutex<HashMap<u32, Arc<Endpoint>>>,
    end: Mutex<Option<SessionEnd>>,
    ended: Condvar,
    next_id: AtomicU32,
    /// Parity of ids that the peer may open.
    peer_parity: u32,
}

impl Shared {
    pub(super) fn send(&self, header: Header) {
        // Called under a stream's lock, so it may not end the session itself.
        self.outbox.control(header);
    }

    pub(super) fn wait_for_room(&self) -> bool {
        self.outbox.wait_for_room()
    }

    pub(super) fn send_data(&self, header: Header, payload: &[u8]) -> bool {
        self.outbox.data(header, payload)
    }

    pub(super) fn end(&self) -> Option<SessionEnd> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn forget(&self, id: u32) {
        self.streams().remove(&id);
    }

    fn streams(&self) -> MutexGuard<'_, HashMap<u32, Arc<Endpoint>>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the session once: the first reason counts, everyone who waits wakes up.
    fn finish(&self, reason: SessionEnd) {
        {
            let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
            if end.is_some() {
                return;
            }
            *end = Some(reason);
        }
        self.outbox.close();
        self.ended.notify_all();
        let streams: Vec<_> = self.streams().values().cloned().collect();
        for endpoint in streams {
            endpoint.wake();
        }
    }
}

/// Streams that the peer opens, in order; ends with the session.
pub type Incoming = mpsc::Receiver<Stream>;

/// A running session; clones share it.
#[derive(Debug, Clone)]
pub struct Session {
    shared: Arc<Shared>,
}

impl Session {
    /// Starts the two threads over the two directions of one connection.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start<R, W>(role: Role, reader: R, mut writer: W) -> io::Result<(Self, Incoming)>
    where
        R: Read + Send + 'static,
        W: Write + Send + 'static,
    {
        let (first, peer_parity) = match role {
            Role::Client => (1, 0),
            Role::Server => (2, 1),
        };
        let shared = Arc::new(Shared {
            outbox: Outbox::default(),
            streams: Mutex::default(),
            end: Mutex::default(),
            ended: Condvar::new(),
            next_id: AtomicU32::new(first),
            peer_parity,
        });
        let (accepted, incoming) = mpsc::channel();
        let writing = Arc::clone(&shared);
        std::thread::Builder::new().name("yamux write".to_owned()).spawn(move || {
            if let Err(error) = writing.outbox.drain_into(&mut writer) {
                writing.finish(SessionEnd::Io(error.to_string()));
            }
        })?;
        let reading = Arc::clone(&shared);
        std::thread::Builder::new().name("yamux read".to_owned()).spawn(move || {
            let mut receiver = Receiver { shared: reading, accepted, source: reader };
            let reason = receiver.run();
            if matches!(reason, SessionEnd::Protocol(_)) {
                receiver.session_frame(Kind::GoAway, Flags::NONE, CODE_PROTOCOL_ERROR);
            }
            receiver.shared.finish(reason);
        })?;
        Ok((Self { shared }, incoming))
    }

    /// Opens a stream; never waits for the peer.
    ///
    /// # Errors
    /// When the session is over or all stream ids are used up.
    pub fn open(&self) -> io::Result<Stream> {
        if let Some(end) = self.shared.end() {
            return Err(end.into());
        }
        let id = self
            .shared
            .next_id
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |id| id.checked_add(2))
            .map_err(|_| io::Error::other("all yamux stream ids are used up"))?;
        let endpoint = Endpoint::new(id);
        self.shared.streams().insert(id, Arc::clone(&endpoint));
        let header = Header { kind: Kind::WindowUpdate, flags: Flags::SYN, stream: id, length: 0 };
        self.shared.send(header);
        Ok(Stream::new(endpoint, Arc::clone(&self.shared)))
    }

    /// Why the session is over; `None` while it runs.
    #[must_use]
    pub fn end(&self) -> Option<SessionEnd> {
        self.shared.end()
    }

    /// Waits until the session is over.
    #[must_use]
    pub fn wait(&self) -> SessionEnd {
        let mut end = self.shared.end.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(reason) = &*end {
                return reason.clone();
            }
            end = self.shared.ended.wait(end).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits until all that was written is in the socket; `false` when `limit` passed before.
    #[must_use]
    pub fn flush(&self, limit: Duration) -> bool {
        self.shared.outbox.flush(limit)
    }

    /// Ends the session from our side, as if the peer had closed it.
    pub fn shut(&self) {
        self.shared.finish(SessionEnd::Closed);
    }
}

/// The reading thread: parses, hands over, answers pings, wakes; waits only for the socket.
struct Receiver<R> {
    shared: Arc<Shared>,
    accepted: mpsc::Sender<Stream>,
    source: R,
}

impl<R: Read> Receiver<R> {
    fn run(&mut self) -> SessionEnd {
        loop {
            if let Err(end) = self.frame() {
                return end;
            }
            if self.shared.outbox.is_closed() {
                return SessionEnd::Io("the other side does not read any more".to_owned());
            }
        }
    }

    fn frame(&mut self) -> Result<(), SessionEnd> {
        let header = self.header()?;
        match header.kind {
            Kind::Data | Kind::WindowUpdate => self.stream_frame(header),
            Kind::Ping if header.flags.has(Flags::SYN) => {
                self.session_frame(Kind::Ping, Flags::ACK, header.length);
                Ok(())
            }
            // An answer to a ping that we never sent, or the notice that no new stream will be
            // accepted: the streams that exist go on in both cases.
            Kind::Ping | Kind::GoAway => Ok(()),
        }
    }

    fn header(&mut self) -> Result<Header, SessionEnd> {
        let mut bytes = [0; HEADER_LEN];
        let mut filled = 0;
        while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.source.read(rest) {
                Ok(0) if filled == 0 => return Err(SessionEnd::Closed),
                Ok(0) => return Err(SessionEnd::Truncated),
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // How a killed peer looks when it had not read everything.
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                    return Err(SessionEnd::Closed);
                }
                Err(error) => return Err(SessionEnd::Io(error.to_string())),
            }
        }
        Ok(Header::from_bytes(bytes)?)
    }

    fn stream_frame(&mut self, header: Header) -> Result<(), SessionEnd> {
        if header.kind == Kind::Data && header.length > INITIAL_WINDOW {
            let text = format!("a data frame of {} bytes is larger than any window", header.length);
            return Err(SessionEnd::Protocol(text));
        }
        let endpoint = if header.flags.has(Flags::SYN) {
            self.accept(header.stream)?
        } else {
            self.shared.streams().get(&header.stream).cloned()
        };
        let credit = match header.kind {
            Kind::Data => {
                self.payload(endpoint.as_deref(), header.length)?;
                0
            }
            _ => header.length,
        };
        // Frames of a stream that is already forgotten are late, not wrong.
        if let Some(endpoint) = endpoint {
            if endpoint.apply(header.flags, credit)? {
                self.shared.forget(header.stream);
            }
        }
        Ok(())
    }

    fn accept(&self, id: u32) -> Result<Option<Arc<Endpoint>>, SessionEnd> {
        if id == 0 || id % 2 != self.shared.peer_parity {
            let text = format!("the peer opened stream {id}, an id that is not its own");
            return Err(SessionEnd::Protocol(text));
        }
        let endpoint = Endpoint::new(id);
        {
            let mut streams = self.shared.streams();
            if streams.contains_key(&id) {
                let text = format!("the peer opened stream {id} twice");
                return Err(SessionEnd::Protocol(text));
            }
            if streams.len() >= MAX_STREAMS {
                drop(streams);
                self.answer(id, Flags::RST);
                return Ok(None);
            }
            streams.insert(id, Arc::clone(&endpoint));
        }
        self.answer(id, Flags::ACK);
        let stream = Stream::new(Arc::clone(&endpoint), Arc::clone(&self.shared));
        // Nobody accepts any more: the stream closes itself when dropped here.
        drop(self.accepted.send(stream));
        Ok(Some(endpoint))
    }

    /// Moves `length` bytes from the socket to the stream, or to nowhere.
    fn payload(&mut self, endpoint: Option<&Endpoint>, length: u32) -> Result<(), SessionEnd> {
        if let Some(endpoint) = endpoint {
            endpoint.flow().admit(length)?;
        }
        let mut chunk = [0; 16 * 1024];
        let mut left = usize::try_from(length).unwrap_or(usize::MAX);
        while left > 0 {
            let want = left.min(chunk.len());
            let Some(part) = chunk.get_mut(..want) else { break };
            match self.source.read(part) {
                Ok(0) => return Err(SessionEnd::Truncated),
                Ok(count) => {
                    left -= count;
                    if let (Some(endpoint), Some(data)) = (endpoint, part.get(..count)) {
                        endpoint.receive(data);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(SessionEnd::Io(error.to_string())),
            }
        }
        Ok(())
    }

    fn answer(&self, stream: u32, flags: Flags) {
        self.shared.send(Header { kind: Kind::WindowUpdate, flags, stream, length: 0 });
    }

    fn session_frame(&self, kind: Kind, flags: Flags, length: u32) {
        self.shared.send(Header { kind, flags, stream: 0, length });
    }
}
