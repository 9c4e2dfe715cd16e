use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

type Callback = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct State {
    cancelled: bool,
    next: u64,
    callbacks: BTreeMap<u64, Callback>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says that the run shall stop; clones share it. Each Provision gets a fresh one.
///
/// A default token is never cancelled by anybody else: the right one for clean-up.
#[derive(Clone, Default)]
pub struct CancelToken {
    shared: Arc<Shared>,
}

/// A callback that waits for the cancellation; dropping it takes the callback back.
#[derive(Debug)]
#[must_use = "dropping it takes the callback back"]
pub struct Subscription {
    token: CancelToken,
    number: u64,
}

impl CancelToken {
    /// A token that is not cancelled.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Cancels: wakes all waits, runs all callbacks, each once.
    pub fn cancel(&self) {
        let callbacks = {
            let mut state = self.shared.state();
            state.cancelled = true;
            std::mem::take(&mut state.callbacks)
        };
        self.shared.changed.notify_all();
        for callback in callbacks.into_values() {
            callback();
        }
    }

    /// Whether [`CancelToken::cancel`] was called.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.shared.state().cancelled
    }

    /// Waits for the cancellation, at most `limit`; says whether it came. A sleep that a
    /// cancellation ends.
    #[must_use]
    pub fn wait(&self, limit: Duration) -> bool {
        let end = Instant::now() + limit;
        let mut state = self.shared.state();
        while !state.cancelled {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.shared.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// Runs `callback` on cancellation, at once when that has already happened.
    ///
    /// It runs on the thread that cancels, which serves Packer's calls: it must not wait.
    pub fn on_cancel(&self, callback: impl FnOnce() + Send + 'static) -> Subscription {
        let mut state = self.shared.state();
        let number = state.next;
        state.next += 1;
        if state.cancelled {
            drop(state);
            callback();
        } else {
            state.callbacks.insert(number, Box::new(callback));
        }
        Subscription { token: self.clone(), number }
    }
}

impl fmt::Debug for CancelToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelToken").field("cancelled", &self.is_cancelled()).finish()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let callback = self.token.shared.state().callbacks.remove(&self.number);
        drop(callback);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn callbacks_run_once_and_late_ones_at_once() {
        let count = Arc::new(AtomicUsize::new(0));
        let add = |amount| {
            let count = Arc::clone(&count);
            move || {
                count.fetch_add(amount, Ordering::SeqCst);
            }
        };
        let token = CancelToken::new();
        let _kept = token.on_cancel(add(1));
        drop(token.on_cancel(add(10)));
        token.cancel();
        token.cancel();
        let _late = token.on_cancel(add(100));
        assert_eq!(count.load(Ordering::SeqCst), 101);
        assert!(token.wait(Duration::from_secs(60)));
    }
}
