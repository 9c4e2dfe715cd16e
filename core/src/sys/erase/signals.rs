//! Signals that end a process become a note.

use std::sync::atomic::{AtomicI32, Ordering};

/// The signal that asked this process to end while [`Signals`] existed; 0 for none.
static ARRIVED: AtomicI32 = AtomicI32::new(0);

extern "C" fn note(signal: libc::c_int) {
    ARRIVED.store(signal, Ordering::Relaxed);
}

/// Turns the signals that end a process (HUP, INT, QUIT, TERM) into a note, until it is dropped.
/// A signal that the process ignores stays ignored.
pub(crate) struct Signals {
    before: Vec<(libc::c_int, libc::sigaction)>,
}

impl Signals {
    pub(crate) fn catch() -> Self {
        ARRIVED.store(0, Ordering::Relaxed);
        let wanted = [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM];
        let before = wanted.into_iter().filter_map(|s| Some((s, catch_one(s)?))).collect();
        Self { before }
    }

    /// The number of the signal that has arrived.
    pub(crate) fn arrived(&self) -> Option<i32> {
        Some(ARRIVED.load(Ordering::Relaxed)).filter(|signal| *signal != 0)
    }
}

/// The handler before, `None` when the signal is ignored or cannot be caught.
fn catch_one(signal: libc::c_int) -> Option<libc::sigaction> {
    // SAFETY: all zeros is a valid sigaction: default handler, empty mask, no flags.
    let (mut new, mut old) =
        unsafe { (std::mem::zeroed::<libc::sigaction>(), std::mem::zeroed::<libc::sigaction>()) };
    let handler: extern "C" fn(libc::c_int) = note;
    new.sa_sigaction = handler as libc::sighandler_t;
    new.sa_flags = libc::SA_RESTART;
    // SAFETY: both pointers are to live structures; the handler only stores to an atomic, which is
    // safe in a signal handler.
    unsafe {
        if libc::sigaction(signal, std::ptr::null(), &mut old) != 0
            || old.sa_sigaction == libc::SIG_IGN
        {
            return None;
        }
        (libc::sigaction(signal, &new, std::ptr::null_mut()) == 0).then_some(old)
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        for (signal, action) in &self.before {
            // SAFETY: `action` is what sigaction(2) returned for the same signal.
            unsafe { libc::sigaction(*signal, action, std::ptr::null_mut()) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caught_signal_is_noted() {
        let signals = Signals::catch();
        assert_eq!(signals.arrived(), None);
        // SAFETY: the handler is the one above. It has run when raise(3) returns, which is not so
        // for a signal to the whole process.
        assert_eq!(unsafe { libc::raise(libc::SIGHUP) }, 0);
        assert_eq!(signals.arrived(), Some(libc::SIGHUP));
    }
}
