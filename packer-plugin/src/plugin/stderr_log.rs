//! Log lines on stderr, which Packer puts into its own log (shown with `PACKER_LOG=1`).

use std::io::Write;

use log::{LevelFilter, Log, Metadata, Record};

struct StderrLog;

impl Log for StderrLog {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        // Packer's crash detector searches for this text.
        let text = record.args().to_string().replace("panic:", "panic -");
        let line = format!("[{}] {text}\n", record.level());
        // Nobody is left to tell when stderr is gone.
        drop(std::io::stderr().write_all(line.as_bytes()));
    }

    fn flush(&self) {}
}

/// Becomes the process's logger, unless it has one. No time stamps: Packer adds them.
pub(super) fn install() {
    if log::set_logger(&StderrLog).is_ok() {
        log::set_max_level(LevelFilter::Debug);
    }
}
