//! What a person runs without Packer, and what the plugin runs in the guest.

use std::process::ExitCode;

use disinherit_core::{Error, Result};

use crate::cli::{AuditArgs, BundleArgs, ScrubArgs};
use crate::payload;

/// Looks for credentials and changes nothing.
///
/// # Errors
/// See docs/exit-codes.md.
pub fn audit(_: AuditArgs) -> Result<ExitCode> {
    Err(no_engine("audit"))
}

/// Removes credentials.
///
/// # Errors
/// See docs/exit-codes.md.
pub fn scrub(_: ScrubArgs) -> Result<ExitCode> {
    Err(no_engine("scrub"))
}

/// Lists the rules of the catalogue.
///
/// # Errors
/// See docs/exit-codes.md.
pub fn rules() -> Result<ExitCode> {
    Err(no_engine("list rules"))
}

/// Makes a plugin that carries guest programs.
///
/// # Errors
/// When a file cannot be read or written, or is no ELF program.
pub fn bundle(args: &BundleArgs) -> Result<ExitCode> {
    let own = || {
        std::env::current_exe()
            .map_err(|e| Error::failed("find", "the plugin's own file").because(e))
    };
    let plugin = args.plugin.clone().map_or_else(own, Ok)?;
    payload::write(&plugin, &args.programs, &args.output)?;
    Ok(ExitCode::SUCCESS)
}

fn no_engine(what: &'static str) -> Error {
    Error::refused(what, "anything").because("this build has no scrub engine")
}
