//! The broker: finds the stream that belongs to an id named in a call.
//!
//! Each stream starts with a 4-byte little-endian id, written by the side that opened it; the
//! other side echoes it once somebody there asks for that id. Ids are made by the accepting side.
//! Both sides give up after 5 s (packer-plugin-sdk `rpc/mux_broker.go`).

use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::yamux::{Incoming, Session, Stream};

/// How long a stream waits for its asker, and an asker for its stream.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// What is known of one id.
#[derive(Debug)]
enum Slot {
    /// Somebody asks; no stream yet.
    Expected,
    /// The stream came and was acknowledged.
    Arrived(Stream),
    /// The asker gave up waiting, told by [`Expectation::abort`].
    Aborted,
}

#[derive(Debug)]
struct Shared {
    session: Session,
    slots: Mutex<HashMap<u32, Slot>>,
    changed: Condvar,
    next_id: AtomicU32,
}

impl Shared {
    fn slots(&self) -> MutexGuard<'_, HashMap<u32, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Hands out streams by id; clones share it.
#[derive(Debug, Clone)]
pub struct Broker {
    shared: Arc<Shared>,
}

/// A registered id: its stream is acknowledged as soon as it comes, so register before the call
/// that makes the other side dial. Dropping it closes a stream that came and was not taken.
#[derive(Debug)]
pub struct Expectation {
    id: u32,
    shared: Arc<Shared>,
}

impl Broker {
    /// Starts to sort incoming streams. `first` are ids that are expected from the beginning
    /// (0 for the side that serves).
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(
        session: Session,
        incoming: Incoming,
        first: &[u32],
    ) -> io::Result<(Self, Vec<Expectation>)> {
        let shared = Arc::new(Shared {
            session,
            slots: Mutex::default(),
            changed: Condvar::new(),
            next_id: AtomicU32::new(1),
        });
        let broker = Self { shared };
        let expected = first.iter().map(|id| broker.expect(*id)).collect();
        let sorting = Arc::clone(&broker.shared);
        std::thread::Builder::new().name("broker".to_owned()).spawn(move || {
            while let Ok(stream) = incoming.recv() {
                // One thread each: a stream whose id is slow to come holds up no other.
                let shared = Arc::clone(&sorting);
                let greet = move || greet(&shared, stream);
                if let Err(error) =
                    std::thread::Builder::new().name("broker hello".to_owned()).spawn(greet)
                {
                    log::warn!("no thread for a new stream: {error}");
                }
            }
            // The session is over: wake those who wait for a stream.
            drop(sorting.slots());
            sorting.changed.notify_all();
        })?;
        Ok((broker, expected))
    }

    /// Registers interest in the stream that the peer will dial under `id`.
    #[must_use]
    pub fn expect(&self, id: u32) -> Expectation {
        self.shared.slots().insert(id, Slot::Expected);
        self.shared.changed.notify_all();
        Expectation { id, shared: Arc::clone(&self.shared) }
    }

    /// Registers interest under a fresh id.
    #[must_use]
    pub fn expect_next(&self) -> Expectation {
        self.expect(self.shared.next_id.fetch_add(1, Ordering::Relaxed))
    }

    /// Opens a stream to the peer's `id` and waits for the echo.
    ///
    /// # Errors
    /// When the session is over, or the peer does not answer within twice its own limit.
    pub fn dial(&self, id: u32) -> io::Result<Stream> {
        let mut stream = self.shared.session.open()?;
        stream.write_all(&id.to_le_bytes())?;
        let echo = stream.read_array::<4>(2 * PATIENCE)?;
        if u32::from_le_bytes(echo) == id {
            Ok(stream)
        } else {
            Err(io::Error::new(io::ErrorKind::InvalidData, "the broker echoed another id"))
        }
    }
}

/// Reads the id of a new stream and gives the stream to who expects it, or closes it.
fn greet(shared: &Shared, mut stream: Stream) {
    let id = match stream.read_array::<4>(PATIENCE) {
        Ok(bytes) => u32::from_le_bytes(bytes),
        Err(error) => {
            log::debug!("a stream without broker id was closed: {error}");
            return;
        }
    };
    let deadline = Instant::now() + PATIENCE;
    let mut slots = shared.slots();
    loop {
        if let Some(slot) = slots.get_mut(&id).filter(|slot| matches!(slot, Slot::Expected)) {
            // Four bytes of a fresh window: this only queues, it does not wait for the peer.
            match stream.write_all(&id.to_le_bytes()) {
                Ok(()) => *slot = Slot::Arrived(stream),
                Err(error) => log::debug!("stream {id} was not acknowledged: {error}"),
            }
            break;
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || shared.session.end().is_some() {
            log::debug!("nobody asked for stream {id}; closed");
            break;
        }
        slots = shared.changed.wait_timeout(slots, left).unwrap_or_else(PoisonError::into_inner).0;
    }
    drop(slots);
    shared.changed.notify_all();
}

impl Expectation {
    /// The id to name in the call.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Waits for the stream, at most 5 s (`None`: without limit).
    ///
    /// # Errors
    /// `TimedOut`, `ConnectionAborted` when the session is over, `Interrupted` after
    /// [`Aborter::abort`].
    pub fn wait(&self, limit: Option<Duration>) -> io::Result<Stream> {
        let deadline = limit.map(|limit| Instant::now() + limit);
        let mut slots = self.shared.slots();
        loop {
            match slots.remove(&self.id) {
                Some(Slot::Arrived(stream)) => return Ok(stream),
                Some(Slot::Expected) => {
                    slots.insert(self.id, Slot::Expected);
                }
                Some(Slot::Aborted) | None => return Err(aborted()),
            }
            if let Some(end) = self.shared.session.end() {
                return Err(end.into());
            }
            // The session's end is seen by the sorting thread; half a second is the safety net
            // for an end between the check above and this wait.
            let step = Duration::from_millis(500);
            let left = match deadline.map(|end| end.saturating_duration_since(Instant::now())) {
                Some(left) if left.is_zero() => return Err(io::ErrorKind::TimedOut.into()),
                Some(left) => left.min(step),
                None => step,
            };
            slots = self
                .shared
                .changed
                .wait_timeout(slots, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// A handle that ends [`Expectation::wait`] from another thread.
    #[must_use]
    pub fn aborter(&self) -> Aborter {
        Aborter { id: self.id, shared: Arc::clone(&self.shared) }
    }
}

/// Ends the wait of an [`Expectation`]: the peer said that it will not dial.
#[derive(Debug, Clone)]
pub struct Aborter {
    id: u32,
    shared: Arc<Shared>,
}

impl Aborter {
    /// Ends the wait, unless the stream is already there.
    pub fn abort(&self) {
        let mut slots = self.shared.slots();
        if let Some(slot) = slots.get_mut(&self.id).filter(|slot| matches!(slot, Slot::Expected)) {
            *slot = Slot::Aborted;
        }
        drop(slots);
        self.shared.changed.notify_all();
    }
}

fn aborted() -> io::Error {
    io::Error::new(io::ErrorKind::Interrupted, "the other side did not open the stream")
}

impl Drop for Expectation {
    fn drop(&mut self) {
        let slot = self.shared.slots().remove(&self.id);
        // Outside the lock: closing a stream takes locks of its own.
        drop(slot);
    }
}
