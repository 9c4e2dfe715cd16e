//! A source that ends where it fails.

use std::cell::Cell;
use std::io::{self, Read};

/// Ends where its source fails, so that what came before is looked into, and keeps the error.
pub(super) struct Ending<'a, R> {
    source: R,
    error: &'a Cell<Option<io::Error>>,
    ended: bool,
}

impl<'a, R: Read> Ending<'a, R> {
    pub(super) fn new(source: R, error: &'a Cell<Option<io::Error>>) -> Self {
        Self { source, error, ended: false }
    }
}

impl<R: Read> Read for Ending<'_, R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.ended {
            return Ok(0);
        }
        match self.source.read(out) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                self.ended = true;
                self.error.set(Some(error));
                Ok(0)
            }
            other => other,
        }
    }
}
