//! What happens when a defect panics: Packer's user gets an answer, never "PACKER CRASH".
//!
//! A build that unwinds answers at the RPC boundary. A build that aborts dies in the panic, so the
//! open calls are answered from the hook, before the process ends.

use std::panic::PanicHookInfo;
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use crate::wire::rpc::Server;
use crate::wire::yamux::Session;

/// How long the last answers may take.
const LAST_WORDS: Duration = Duration::from_secs(3);

static WATCHED: Mutex<Option<(Server, Session)>> = Mutex::new(None);

fn watched() -> MutexGuard<'static, Option<(Server, Session)>> {
    WATCHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends the watch when dropped.
#[derive(Debug)]
pub(super) struct Guard;

/// Names the connection whose open calls an aborting panic answers.
pub(super) fn watch(server: Server, session: Session) -> Guard {
    *watched() = Some((server, session));
    Guard
}

impl Drop for Guard {
    fn drop(&mut self) {
        *watched() = None;
    }
}

/// Replaces the hook of std. Only the place is printed: a message may quote data of the guest.
pub(super) fn install() {
    std::panic::set_hook(Box::new(|info| {
        log::error!("internal error in {}", place(info));
        if cfg!(panic = "abort") {
            answer_before_the_end(place(info));
        }
    }));
}

fn place(info: &PanicHookInfo<'_>) -> String {
    info.location()
        .map_or_else(|| "an unknown place".to_owned(), |at| format!("{}:{}", at.file(), at.line()))
}

/// The panicking thread may hold any lock, so another thread speaks, for a limited time.
fn answer_before_the_end(place: String) {
    let (done, finished) = mpsc::channel::<()>();
    let speak = move || {
        if let Some((server, session)) = watched().take() {
            server.fail_open_calls(&format!("internal error: a defect in {place} stopped it"));
            let flushed = session.flush(LAST_WORDS);
            log::debug!("last answers sent: {flushed}");
        }
        drop(done);
    };
    if let Err(error) = std::thread::Builder::new().name("last words".to_owned()).spawn(speak) {
        log::error!("no thread for the last answer: {error}");
    }
    // The sender is dropped when all is said.
    if finished.recv_timeout(LAST_WORDS) == Err(mpsc::RecvTimeoutError::Timeout) {
        log::error!("Packer did not take the last answer");
    }
}
