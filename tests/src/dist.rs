//! The released programs, as `make dist` leaves them.

use std::path::PathBuf;

use crate::base::repository;
use crate::{Result, failed};

/// Packer's plugin with the guest programs inside, static.
///
/// # Errors
/// When it has not been built.
pub fn plugin() -> Result<PathBuf> {
    built("packer-plugin-disinherit")
}

/// What goes into the image, static.
///
/// # Errors
/// When it has not been built.
pub fn firstboot() -> Result<PathBuf> {
    built("disinherit-firstboot")
}

/// Whether `make dist` has run.
pub fn is_built() -> bool {
    plugin().is_ok() && firstboot().is_ok()
}

fn built(name: &str) -> Result<PathBuf> {
    let folder = match std::env::var_os("DISINHERIT_DIST") {
        Some(given) => PathBuf::from(given),
        None => repository().join("build/dist"),
    };
    let program = folder.join(name);
    if program.is_file() {
        return Ok(program);
    }
    Err(failed(format!("{} is missing: make dist", program.display())))
}
