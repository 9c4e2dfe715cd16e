//! What a run says while it runs: a line on standard error for a person, or one JSON event a line
//! for the provisioner.

use std::sync::Arc;

use disinherit_core::apply;
use disinherit_core::content::Looked;
use disinherit_core::event::{End, Event, Progress};
use disinherit_core::report::Report;
use disinherit_core::{Error, Result};

use super::meter::{Meter, Shown};
use crate::output;

/// An event per file would flood Packer's output.
const EVERY: usize = 25;

/// Where progress, report and end go.
#[derive(Debug)]
pub(super) struct Events {
    json: bool,
    /// What shows that a long step lives.
    meter: Option<Meter>,
    /// The phase below the files that was told of last, and its tenth.
    phase: (String, u64),
}

impl Events {
    pub(super) fn new(json: bool) -> Self {
        let shown = if json { Shown::Events } else { Shown::Person };
        Self { json, meter: Some(Meter::start(shown)), phase: (String::new(), 0) }
    }

    /// The run is over, and the terminal is free for other words.
    pub(super) fn quiet(&mut self) {
        self.meter = None;
    }

    /// The report: as an event, or as `text` for a person.
    pub(super) fn report(&self, report: &Report, text: Option<&str>) -> Result<()> {
        if self.json {
            let value = serde_json::to_value(report)
                .map_err(|e| Error::failed("write", "the report").because(e))?;
            return output::event(&Event::Report(value));
        }
        output::out(text.unwrap_or_default())
    }

    /// The last event: how the run ended, with the cause where it failed.
    pub(super) fn end(&self, result: &Result<u8>) -> Result<()> {
        if !self.json {
            return Ok(());
        }
        output::event(&Event::End(match result {
            Ok(exit) => End { exit: *exit, error: None },
            Err(error) => End { exit: error.kind().exit_code(), error: Some(error.report()) },
        }))
    }
}

impl apply::Progress for Events {
    fn begin(&mut self, what: &str) {
        if let Some(meter) = &self.meter {
            meter.begin(what);
        }
        if self.json {
            tell("look", 0, 0, what);
        }
    }

    fn looking(&mut self, what: &str, looked: &Arc<Looked>) {
        self.begin(what);
        if let Some(meter) = &self.meter {
            meter.looking(what, looked);
        }
    }

    /// A closed pipe must not stop a scrub half-way: the report will say that it could not be told.
    fn step(&mut self, done: usize, total: usize, what: &str) {
        if let Some(meter) = &self.meter {
            meter.step(done, total, what);
        }
        if !self.json || done % EVERY != 0 && done != total {
            return;
        }
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        tell("scrub", count(done), count(total), what);
    }

    /// A word when a phase begins, and one for each tenth of it.
    fn phase(&mut self, name: &str, done: u64, total: u64) {
        if let Some(meter) = &self.meter {
            meter.bytes(name, done, total);
        }
        let tenth = (done * 10).checked_div(total).unwrap_or_default();
        if !self.json || self.phase == (name.to_owned(), tenth) {
            return;
        }
        self.phase = (name.to_owned(), tenth);
        tell("erase", done >> 20, total >> 20, &format!("{name}, MiB"));
    }
}

pub(super) fn tell(step: &str, done: u64, total: u64, text: &str) {
    let progress = Progress { step: step.into(), done, total, text: text.to_owned() };
    if let Err(error) = output::event(&Event::Progress(progress)) {
        log::debug!("{}", error.report());
    }
}
