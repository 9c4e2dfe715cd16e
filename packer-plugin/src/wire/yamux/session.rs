use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use super::flow::Violation;
use super::header::{Flags, Header, HeaderError, Kind};
use super::outbox::Outbox;
use super::receiver::Receiver;
use super::stream::{Endpoint, Stream};

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
    pub(super) outbox: Outbox,
    streams: Mutex<HashMap<u32, Arc<Endpoint>>>,
    end: Mutex<Option<SessionEnd>>,
    ended: Condvar,
    next_id: AtomicU32,
    /// Parity of ids that the peer may open.
    pub(super) peer_parity: u32,
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

    pub(super) fn streams(&self) -> MutexGuard<'_, HashMap<u32, Arc<Endpoint>>> {
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
