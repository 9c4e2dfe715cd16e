//! What a person runs without Packer, and what the plugin runs in the guest.

mod confirm;
mod events;
mod meter;
mod request;
mod rules;
mod scrub;

use std::process::ExitCode;

use disinherit_core::{Error, Result};

use crate::cli::{AuditArgs, BundleArgs, RulesArgs, ScrubArgs};
use crate::{output, payload};

/// Looks for credentials and changes nothing.
///
/// # Errors
/// See docs/exit-codes.md.
pub fn audit(args: AuditArgs) -> Result<ExitCode> {
    scrub::run(&request::of_audit(args)).map(ExitCode::from)
}

/// Removes credentials, looks again, and says what is left.
///
/// # Errors
/// See docs/exit-codes.md.
pub fn scrub(args: ScrubArgs) -> Result<ExitCode> {
    scrub::run(&request::of_scrub(args)).map(ExitCode::from)
}

/// Lists the rules of the catalogue.
///
/// # Errors
/// The catalogue is broken, no rule answers to the filter, or standard output is closed.
pub fn rules(args: &RulesArgs) -> Result<ExitCode> {
    output::out(&rules::list(args)?)?;
    Ok(ExitCode::SUCCESS)
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
