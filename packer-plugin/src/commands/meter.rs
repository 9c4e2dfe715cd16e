//! What a person sees while a run takes its time: one line that is drawn again on a terminal, and a
//! line now and then in a log. Both go to standard error; the report has standard output for itself.
//! With events, what has no steps of its own is told as events.
//!
//! A thread of its own draws, so that a long step shows that it lives.

use std::io::{IsTerminal as _, Write as _};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use disinherit_core::content::Looked;

/// How often a terminal is drawn, and how often a log gets a line.
const DRAWN: Duration = Duration::from_millis(150);
const LOGGED: Duration = Duration::from_secs(5);
/// Cells of the bar.
const CELLS: u64 = 24;

/// Where the run stands.
#[derive(Debug, Clone, Default)]
struct Stand {
    what: String,
    done: u64,
    /// 0 where nobody knows.
    total: u64,
    /// What `done` and `total` count; empty for steps.
    unit: &'static str,
    /// Counted by others meanwhile.
    looked: Option<Arc<Looked>>,
}

/// Where the line goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    /// To a person, on standard error.
    Person,
    /// As events, for whoever started this program. Steps and phases are told elsewhere.
    Events,
}

/// Draws until it is dropped.
#[derive(Debug)]
pub(super) struct Meter {
    stand: Arc<Mutex<Stand>>,
    /// `None` once it has ended. Dropping the sender ends the thread.
    thread: Option<(mpsc::Sender<()>, JoinHandle<()>)>,
}

impl Meter {
    /// Begins to draw. Where no thread can be had nothing is drawn: nobody's work fails for it.
    pub(super) fn start(shown: Shown) -> Self {
        let stand = Arc::new(Mutex::new(Stand::default()));
        let (sender, ended) = mpsc::channel();
        let seen = Arc::clone(&stand);
        let terminal = shown == Shown::Person && std::io::stderr().is_terminal();
        let draw = move || match shown {
            Shown::Person => draw(&seen, terminal, &ended),
            Shown::Events => tell(&seen, &ended),
        };
        let thread = thread::Builder::new().name("progress".to_owned()).spawn(draw);
        Self { stand, thread: thread.ok().map(|thread| (sender, thread)) }
    }

    /// A stage of which nobody knows how long it takes.
    pub(super) fn begin(&self, what: &str) {
        self.set(Stand { what: what.to_owned(), ..Stand::default() });
    }

    /// A look through files that are counted meanwhile.
    pub(super) fn looking(&self, what: &str, looked: &Arc<Looked>) {
        let looked = Some(Arc::clone(looked));
        self.set(Stand { what: what.to_owned(), looked, ..Stand::default() });
    }

    /// `done` of `total` steps are through.
    pub(super) fn step(&self, done: usize, total: usize, what: &str) {
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        let (done, total) = (count(done), count(total));
        self.set(Stand { what: what.to_owned(), done, total, ..Stand::default() });
    }

    /// `done` of `total` bytes are behind us.
    pub(super) fn bytes(&self, what: &str, done: u64, total: u64) {
        let (done, total) = (done >> 20, total >> 20);
        self.set(Stand { what: what.to_owned(), done, total, unit: " MiB", looked: None });
    }

    fn set(&self, stand: Stand) {
        *self.stand.lock().unwrap_or_else(PoisonError::into_inner) = stand;
    }

    /// Draws no more, and leaves an empty line on a terminal.
    pub(super) fn end(&mut self) {
        if let Some((sender, thread)) = self.thread.take() {
            drop(sender);
            if thread.join().is_err() {
                log::debug!("the progress line ended early");
            }
        }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.end();
    }
}

/// Events of what nobody else tells of, while it lasts.
fn tell(stand: &Mutex<Stand>, ended: &mpsc::Receiver<()>) {
    while ended.recv_timeout(LOGGED) == Err(RecvTimeoutError::Timeout) {
        let stand = stand.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(looked) = &stand.looked {
            let text = format!("{}: {}", stand.what, counted(looked));
            super::events::tell("look", 0, 0, &text);
        }
    }
}

/// `1234 files, 56 MiB`.
fn counted(looked: &Looked) -> String {
    format!("{} files, {} MiB", looked.files(), looked.bytes() >> 20)
}

fn draw(stand: &Mutex<Stand>, terminal: bool, ended: &mpsc::Receiver<()>) {
    let start = Instant::now();
    let every = if terminal { DRAWN } else { LOGGED };
    let mut drawn = false;
    while ended.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
        let stand = stand.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if stand.what.is_empty() {
            continue;
        }
        let width = if terminal { usize::from(columns()) } else { usize::MAX };
        let line = line(&stand, start.elapsed(), terminal, width);
        write(&if terminal { format!("\r{line}\x1b[K") } else { format!("{line}\n") });
        drawn = true;
    }
    if terminal && drawn {
        write("\r\x1b[K");
    }
}

/// Nobody is left to tell when standard error is closed.
fn write(text: &str) {
    let mut stderr = std::io::stderr().lock();
    drop(stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush()));
}

/// Columns of the terminal at standard error; 80 where it does not say.
fn columns() -> u16 {
    match rustix::termios::tcgetwinsize(std::io::stderr()) {
        Ok(size) if size.ws_col > 0 => size.ws_col,
        _ => 80,
    }
}

/// `disinherit   12 s  [######------------------]  30 of 120 MiB  what`.
fn line(stand: &Stand, elapsed: Duration, bar: bool, width: usize) -> String {
    let mut text = format!("disinherit {:>4} s  ", elapsed.as_secs());
    if stand.total > 0 {
        if bar {
            text.push_str(&format!("{}  ", cells(stand.done, stand.total)));
        }
        text.push_str(&format!("{} of {}{}  ", stand.done, stand.total, stand.unit));
    }
    text.push_str(&stand.what);
    if let Some(looked) = &stand.looked {
        text.push_str(&format!(": {}", counted(looked)));
    }
    // A line that wraps could not be drawn over.
    text.chars().take(width.saturating_sub(1)).collect()
}

fn cells(done: u64, total: u64) -> String {
    let full = done.min(total).saturating_mul(CELLS).checked_div(total).unwrap_or_default();
    let cell = |i| if i < full { '#' } else { '-' };
    format!("[{}]", (0..CELLS).map(cell).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stand(done: u64, total: u64, unit: &'static str) -> Stand {
        Stand { what: "delete /root/.bash_history".into(), done, total, unit, looked: None }
    }

    #[test]
    fn a_bar_on_a_terminal_and_words_in_a_log() {
        let twelve = Duration::from_secs(12);
        assert_eq!(
            line(&stand(30, 120, " MiB"), twelve, true, 200),
            "disinherit   12 s  [######------------------]  30 of 120 MiB  delete /root/.bash_history"
        );
        assert_eq!(
            line(&stand(3, 40, ""), twelve, false, usize::MAX),
            "disinherit   12 s  3 of 40  delete /root/.bash_history"
        );
        assert_eq!(line(&stand(0, 0, ""), twelve, true, 30), "disinherit   12 s  delete /ro");
    }

    #[test]
    fn a_look_shows_what_it_has_read() {
        let looked = Arc::new(Looked::default());
        looked.add(3 << 20);
        looked.add(1);
        let stand = Stand { what: "look".into(), looked: Some(looked), ..Stand::default() };
        assert_eq!(
            line(&stand, Duration::from_secs(2), true, 200),
            "disinherit    2 s  look: 2 files, 3 MiB"
        );
    }

    #[test]
    fn the_bar_is_full_at_the_end_and_never_longer() {
        assert_eq!(cells(0, 7), format!("[{}]", "-".repeat(24)));
        assert_eq!(cells(7, 7), format!("[{}]", "#".repeat(24)));
        assert_eq!(cells(u64::MAX, 7), cells(7, 7));
        assert_eq!(cells(1, u64::MAX), cells(0, 7));
    }

    #[test]
    fn a_meter_ends_at_once_and_only_once() {
        let start = Instant::now();
        let mut meter = Meter::start(Shown::Person);
        meter.begin("look");
        meter.step(1, 2, "x");
        meter.bytes("y", 1 << 20, 2 << 20);
        meter.end();
        meter.end();
        assert!(start.elapsed() < LOGGED);
    }
}
