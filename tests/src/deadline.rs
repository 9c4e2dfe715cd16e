//! Waiting for a condition, never for a time.

use std::thread;
use std::time::{Duration, Instant};

use crate::{Result, failed};

/// How often a condition is looked at. Only the cost of looking depends on it.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Looks again and again until `look` answers, at most for `limit`.
///
/// # Errors
/// What `look` failed with, or `what did not happen within ...`.
pub fn wait_for<T>(
    what: &str,
    limit: Duration,
    mut look: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let end = Instant::now() + limit;
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        if Instant::now() >= end {
            return Err(failed(format!("{what}: not within {} s", limit.as_secs())));
        }
        thread::sleep(LOOK_AGAIN);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_as_soon_as_the_condition_holds() {
        let mut looks = 0;
        let found = wait_for("third look", Duration::from_secs(10), || {
            looks += 1;
            Ok((looks == 3).then_some(looks))
        });
        assert_eq!(found.ok(), Some(3));
    }

    #[test]
    fn the_limit_names_what_was_waited_for() {
        let late = wait_for::<()>("a guest", Duration::ZERO, || Ok(None));
        let message = late.err().map(|e| e.to_string());
        assert_eq!(message.as_deref(), Some("a guest: not within 0 s"));
    }
}
