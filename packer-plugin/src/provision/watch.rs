//! The scrub while it runs: its events, its output, its end.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use disinherit_core::event::{End, Event, Progress};
use serde_json::Value;

use super::folder::Folder;
use super::lines::Lines;
use super::machine::{Job, Launch};
use super::privilege::Privilege;
use super::script;
use super::session::{Session, Stop, printable};
use crate::config::Settings;
use crate::plugin::{CancelToken, Sink, Waited};

/// How often to look whether a scrub that has told its end also ends.
const LOOK: Duration = Duration::from_secs(1);
/// How long the connection may stay open after the end was told.
const LINGER: Duration = Duration::from_secs(15);
/// Progress of one step is shown at most this often.
const PACE: Duration = Duration::from_secs(5);
/// Lines of error output that are kept to name a cause.
const KEPT: usize = 5;

/// What is known when the scrub is over.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// The last event; without it the connection was lost or the program died.
    pub(super) end: Option<End>,
    /// The report.
    pub(super) report: Option<Value>,
    /// Last lines of error output.
    pub(super) errors: VecDeque<String>,
    /// What the communicator said at the end, fit for a person.
    pub(super) status: String,
}

/// Starts the scrub as root and listens to its end.
///
/// # Errors
/// When it cannot be started, or the run is cancelled: then the scrub has been stopped.
pub(super) fn run(
    session: &Arc<Session>,
    settings: &Settings,
    privilege: &Privilege,
    folder: &Folder,
) -> Result<Heard, Stop> {
    let shared = Arc::new(Mutex::new(Listener::default()));
    let path = format!("{}/{}", folder.path, script::RUN);
    let launch = Launch {
        command: privilege.command(&path, &script::vars(settings)),
        stdin: privilege.stdin(),
        stdout: sink(session, &shared, Listener::out),
        stderr: sink(session, &shared, Listener::err),
    };
    let started = session.machine.start(launch);
    let job = started.map_err(|error| Stop::from_guest("start", "the scrub", error))?;
    let status = listen(session, job, &shared, folder)?;
    let mut heard = std::mem::take(&mut lock(&shared).heard);
    heard.status = status;
    Ok(heard)
}

/// Waits for the end of the command; says how it ended.
fn listen(
    session: &Session,
    job: Box<dyn Job>,
    shared: &Arc<Mutex<Listener>>,
    folder: &Folder,
) -> Result<String, Stop> {
    loop {
        match job.wait(&session.cancel, Some(LOOK)) {
            Waited::Exited(status) => return Ok(format!("exit status {}", status.0)),
            Waited::Failed(error) => return Ok(error.to_string()),
            Waited::Cancelled => {
                stop(session, job, folder);
                return Err(Stop::Cancelled);
            }
            Waited::TimedOut => {
                let ended = lock(shared).ended;
                if ended.is_some_and(|at| at.elapsed() > LINGER) {
                    job.abandon();
                    return Ok("the connection stayed open".into());
                }
            }
        }
    }
}

/// Stops the scrub by a second command and waits for the first one's end.
fn stop(session: &Session, job: Box<dyn Job>, folder: &Folder) {
    session.machine.say("Stopping the scrub in the guest");
    let limit = Duration::from_secs(u64::from(script::GRACE) + 15);
    let answer = session.ask("stop", &script::stop(folder), &CancelToken::new(), limit);
    let stopped = matches!(&answer, Ok(answer) if answer.value("stopped") == Some("yes"));
    let ended = match job.wait(&CancelToken::new(), Some(LINGER)) {
        Waited::Exited(_) | Waited::Failed(_) => true,
        Waited::Cancelled | Waited::TimedOut => {
            job.abandon();
            false
        }
    };
    if !stopped && !ended {
        session.machine.error("The scrub may still run in the guest; do not use this machine");
    }
}

/// Stops a scrub whose connection was lost, should it still run.
pub(super) fn stop_lost(session: &Session, folder: &Folder) {
    let limit = Duration::from_secs(u64::from(script::GRACE) + 15);
    let answer = session.ask("stop", &script::stop(folder), &CancelToken::new(), limit);
    if !matches!(&answer, Ok(answer) if answer.value("stopped") == Some("yes")) {
        session.machine.error("The scrub may still run in the guest; do not use this machine");
    }
}

#[derive(Default)]
struct Listener {
    heard: Heard,
    ended: Option<Instant>,
    shown: Option<(String, Instant)>,
}

fn lock(shared: &Mutex<Listener>) -> MutexGuard<'_, Listener> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Cuts a stream into lines and gives each to the listener; the last one when the stream ends.
struct Stream {
    lines: Lines,
    session: Arc<Session>,
    shared: Arc<Mutex<Listener>>,
    take: fn(&mut Listener, &Session, &str),
}

impl Drop for Stream {
    fn drop(&mut self) {
        let Self { lines, session, shared, take } = self;
        lines.finish(&mut |line| take(&mut lock(shared), session, line));
    }
}

fn sink(
    session: &Arc<Session>,
    shared: &Arc<Mutex<Listener>>,
    take: fn(&mut Listener, &Session, &str),
) -> Sink {
    let (session, shared) = (Arc::clone(session), Arc::clone(shared));
    let mut stream = Stream { lines: Lines::default(), session, shared, take };
    Box::new(move |piece| {
        let Stream { lines, session, shared, take } = &mut stream;
        lines.push(piece, &mut |line| take(&mut lock(shared), session, line));
    })
}

impl Listener {
    fn out(&mut self, session: &Session, line: &str) {
        match Event::from_line(line) {
            None => session.machine.say(&session.redact(&printable(line))),
            Some(Ok(Event::Progress(progress))) => self.progress(session, &progress),
            Some(Ok(Event::Report(report))) => self.heard.report = Some(report),
            Some(Ok(Event::End(end))) => {
                self.heard.end = Some(end);
                self.ended = Some(Instant::now());
            }
            // Cut by a lost connection; that the end is missing says the rest.
            Some(Err(error)) => log::warn!("an event of the guest cannot be read: {error}"),
        }
    }

    fn err(&mut self, session: &Session, line: &str) {
        let line = session.redact(&printable(line));
        session.machine.error(&line);
        if self.heard.errors.len() == KEPT {
            self.heard.errors.pop_front();
        }
        self.heard.errors.push_back(line);
    }

    fn progress(&mut self, session: &Session, progress: &Progress) {
        let Progress { step, done, total, text } = progress;
        let last = *total > 0 && done == total;
        let recent = |(shown, at): &(String, Instant)| shown == step && at.elapsed() < PACE;
        if !last && self.shown.as_ref().is_some_and(recent) {
            return;
        }
        self.shown = Some((step.clone(), Instant::now()));
        let count = if *total > 0 { format!(" {done}/{total}") } else { String::new() };
        let text = if text.is_empty() { String::new() } else { format!(": {text}") };
        session.machine.say(&session.redact(&printable(&format!("{step}{count}{text}"))));
    }
}
