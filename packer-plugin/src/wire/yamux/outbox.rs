//! Queue in front of the writing thread, so that the reading thread never waits for the socket.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::header::Header;

/// Payload that may wait for the socket before writers of data have to wait.
const HIGH_WATER: usize = 1 << 20;
/// Control frames that may wait; a peer that causes more without reading is broken or hostile.
const MAX_FRAMES: usize = 16 * 1024;

#[derive(Debug, Default)]
struct Queue {
    frames: VecDeque<Vec<u8>>,
    bytes: usize,
    /// The writing thread holds a frame that is not yet in the socket.
    writing: bool,
    closed: bool,
}

#[derive(Debug, Default)]
pub(super) struct Outbox {
    queue: Mutex<Queue>,
    changed: Condvar,
}

impl Outbox {
    /// Queues a frame without payload; never waits. A closed outbox drops it, a full one closes.
    pub(super) fn control(&self, header: Header) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.frames.len() >= MAX_FRAMES {
            queue.closed = true;
        }
        if !queue.closed {
            queue.push(header.to_bytes().to_vec());
        }
        self.changed.notify_all();
    }

    /// Nothing more can be sent: the socket failed, or the peer lets everything pile up.
    pub(super) fn is_closed(&self) -> bool {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).closed
    }

    /// Waits while too much is queued; `false`: closed.
    pub(super) fn wait_for_room(&self) -> bool {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        while queue.bytes > HIGH_WATER && !queue.closed {
            queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        !queue.closed
    }

    /// Queues a frame with payload without waiting (see [`Outbox::wait_for_room`]). `false`:
    /// closed.
    pub(super) fn data(&self, header: Header, payload: &[u8]) -> bool {
        let mut frame = Vec::with_capacity(super::HEADER_LEN + payload.len());
        frame.extend_from_slice(&header.to_bytes());
        frame.extend_from_slice(payload);
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.closed {
            return false;
        }
        queue.push(frame);
        self.changed.notify_all();
        true
    }

    pub(super) fn close(&self) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.changed.notify_all();
    }

    /// Waits until everything queued is in the socket; `false` when `limit` passed before.
    pub(super) fn flush(&self, limit: Duration) -> bool {
        let end = Instant::now() + limit;
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        while !queue.frames.is_empty() || queue.writing {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || queue.closed {
                return false;
            }
            queue =
                self.changed.wait_timeout(queue, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// Body of the writing thread: ends when the outbox is closed and empty, or on an error.
    pub(super) fn drain_into(&self, sink: &mut impl Write) -> io::Result<()> {
        while let Some(frame) = self.next() {
            let result = sink.write_all(&frame);
            let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
            queue.writing = false;
            queue.closed |= result.is_err();
            drop(queue);
            self.changed.notify_all();
            result?;
        }
        Ok(())
    }

    fn next(&self) -> Option<Vec<u8>> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(frame) = queue.frames.pop_front() {
                queue.bytes -= frame.len();
                queue.writing = true;
                return Some(frame);
            }
            if queue.closed {
                return None;
            }
            queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Queue {
    fn push(&mut self, frame: Vec<u8>) {
        self.bytes += frame.len();
        self.frames.push_back(frame);
    }
}
