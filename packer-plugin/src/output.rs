//! The only place that prints. `println!` panics when the reader has gone; here that is an error.

use std::io::{self, Write};

use disinherit_core::event::Event;
use disinherit_core::{Error, Result};

/// Writes text to stdout, as it stands.
///
/// # Errors
/// When stdout is closed or full.
pub fn out(text: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
        .map_err(|e| Error::failed("write to", "standard output").because(e))
}

/// Writes one event for the plugin that started this program.
///
/// # Errors
/// When stdout is closed or full.
pub fn event(event: &Event) -> Result<()> {
    let line = event.to_line();
    out(&(line.map_err(|e| Error::failed("write", "an event").because(e))? + "\n"))
}

/// Writes a line to stderr. Nobody is left to tell when that fails.
pub fn err(line: &str) {
    drop(io::stderr().lock().write_all(format!("{line}\n").as_bytes()));
}
