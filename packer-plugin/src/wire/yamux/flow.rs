//! State of one stream: what was received, what may be sent, who has closed. No I/O.

use std::collections::VecDeque;

use super::INITIAL_WINDOW;

/// Both halves of one stream.
#[derive(Debug)]
pub(super) struct Flow {
    received: VecDeque<u8>,
    /// Bytes that the peer may still send.
    granted: u32,
    /// Bytes consumed since the last grant.
    consumed: u32,
    /// Bytes that we may still send.
    pub(super) credit: u32,
    /// FIN came in.
    pub(super) peer_closed: bool,
    /// FIN went out.
    pub(super) closed: bool,
    /// RST in either direction.
    pub(super) reset: bool,
    /// Nobody will read any more: what comes in is thrown away.
    pub(super) deaf: bool,
}

/// A peer that breaks the flow control; the session ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Violation {
    #[error("the peer sent {sent} bytes where the window allows {allowed}")]
    Window { sent: u32, allowed: u32 },
    #[error("the peer sent data after it had closed the stream")]
    AfterFin,
    #[error("the peer granted more than 4 GiB of window")]
    Credit,
}

impl Flow {
    pub(super) fn new() -> Self {
        Self {
            received: VecDeque::new(),
            granted: INITIAL_WINDOW,
            consumed: 0,
            credit: INITIAL_WINDOW,
            peer_closed: false,
            closed: false,
            reset: false,
            deaf: false,
        }
    }

    /// Both sides are done with the stream.
    pub(super) fn finished(&self) -> bool {
        self.reset || (self.closed && self.peer_closed)
    }

    /// Whether a frame of `len` bytes may come in now; it then counts against the window.
    pub(super) fn admit(&mut self, len: u32) -> Result<(), Violation> {
        if self.peer_closed && len > 0 {
            return Err(Violation::AfterFin);
        }
        match self.granted.checked_sub(len) {
            Some(left) => self.granted = left,
            None => return Err(Violation::Window { sent: len, allowed: self.granted }),
        }
        Ok(())
    }

    pub(super) fn receive(&mut self, data: &[u8]) {
        if !self.deaf && !self.reset {
            self.received.extend(data);
        }
    }

    pub(super) fn grant_credit(&mut self, more: u32) -> Result<(), Violation> {
        self.credit = self.credit.checked_add(more).ok_or(Violation::Credit)?;
        Ok(())
    }

    pub(super) fn has_received(&self) -> bool {
        !self.received.is_empty()
    }

    /// Moves received bytes to `out`; the second number is a window update to send, if any.
    pub(super) fn take(&mut self, out: &mut [u8]) -> (usize, Option<u32>) {
        let count = out.len().min(self.received.len());
        for (slot, byte) in out.iter_mut().zip(self.received.drain(..count)) {
            *slot = byte;
        }
        self.consumed = self.consumed.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
        // After FIN the peer needs no credit, and Go logs such late updates as a fault.
        if self.consumed < INITIAL_WINDOW / 2 || self.peer_closed || self.reset {
            return (count, None);
        }
        let grant = std::mem::take(&mut self.consumed);
        self.granted = self.granted.saturating_add(grant);
        (count, Some(grant))
    }

    pub(super) fn forget_received(&mut self) {
        self.deaf = true;
        self.received = VecDeque::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn more_than_the_window_is_refused() {
        let mut flow = Flow::new();
        assert_eq!(flow.admit(INITIAL_WINDOW), Ok(()));
        assert_eq!(flow.admit(1), Err(Violation::Window { sent: 1, allowed: 0 }));
    }

    #[test]
    fn no_grant_after_fin() {
        let mut flow = Flow::new();
        let half = vec![7; 128 * 1024];
        flow.admit(131_072).unwrap();
        flow.receive(&half);
        flow.peer_closed = true;
        let mut out = vec![0; 131_072];
        assert_eq!(flow.take(&mut out), (131_072, None));
    }

    proptest! {
        /// A peer that sends all it may is never stuck while somebody reads, and what is
        /// buffered never exceeds the window.
        #[test]
        fn reading_always_grants_again(reads in proptest::collection::vec(1_usize..400_000, 1..9)) {
            let mut flow = Flow::new();
            for size in reads {
                let len = flow.granted;
                flow.admit(len).unwrap();
                flow.receive(&vec![1; len as usize]);
                prop_assert!(flow.received.len() <= INITIAL_WINDOW as usize);
                let mut out = vec![0; size];
                flow.take(&mut out);
                if !flow.has_received() {
                    prop_assert!(flow.granted >= INITIAL_WINDOW / 2);
                }
            }
        }
    }
}
