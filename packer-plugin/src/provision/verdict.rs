//! What a scrub comes to: the report, the table, and the fate of the build.

use std::path::PathBuf;

use disinherit_core::event::End;
use disinherit_core::{Error, Result};

use super::report;
use super::session::Session;
use super::watch::Heard;
use crate::config::Settings;

/// Writes the report, shows the table, and decides.
///
/// # Errors
/// With the cause of the failed build: what remains, or why the scrub did not finish.
pub(super) fn conclude(session: &Session, settings: &Settings, heard: Heard) -> Result<()> {
    let written = match (&settings.report_path, &heard.report) {
        (Some(path), Some(report)) => Some(report::write(path, report)),
        _ => None,
    };
    let (path, unwritten) = match written {
        Some(Ok(path)) => (Some(path), None),
        Some(Err(error)) => (None, Some(error)),
        None => (None, None),
    };
    let exit = heard.end.as_ref().map(|end| end.exit);
    if let (Some(report), Some(exit)) = (&heard.report, exit) {
        session.machine.say(&report::table(report, exit, path.as_deref()));
        let shown = path.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
        session.machine.machine("disinherit-result", &[&exit.to_string(), &shown]);
    }
    let verdict = judge(settings, &heard, path);
    match (verdict, unwritten) {
        (Ok(Some(warning)), None) => {
            session.machine.error(&warning);
            Ok(())
        }
        (Ok(None), None) => Ok(()),
        // A build without the report that was asked for is not what was asked for.
        (Ok(_), Some(error)) => Err(error),
        (Err(error), unwritten) => {
            if let Some(unwritten) = unwritten {
                session.machine.error(&unwritten.report());
            }
            Err(error)
        }
    }
}

/// `Ok` with a warning where the build goes on in spite of findings.
fn judge(settings: &Settings, heard: &Heard, path: Option<PathBuf>) -> Result<Option<String>> {
    let Some(End { exit, error }) = &heard.end else { return Err(lost(heard)) };
    let place = match &path {
        Some(path) => format!("the whole report is {}", path.display()),
        None => "set report_path to get the whole report".to_owned(),
    };
    let cause = || match error {
        Some(error) => error.clone(),
        None if heard.errors.is_empty() => heard.status.clone(),
        None => Vec::from(heard.errors.clone()).join("; "),
    };
    match (exit, &heard.report) {
        (0, Some(_)) => Ok(None),
        (0, None) => Err(Error::failed("believe", "a scrub that ended without a report")
            .remedy("use a guest_binary of the same version as the plugin")),
        (1, report) => {
            let what = report.as_ref().map_or("findings".into(), report::remains);
            if settings.keep_going {
                return Ok(Some(format!("Warning: keep_going lets this image pass with {what}")));
            }
            let remedy = "remove it in an earlier provisioner, or allow it in a policy file";
            Err(Error::failed("pass", format!("this image: {what}")).because(place).remedy(remedy))
        }
        (2, _) => Err(Error::failed("use", "the policy or the options in the guest")
            .because(cause())
            .remedy("correct policy_files and the options of the provisioner")),
        (4, _) => Err(Error::refused("scrub", "the guest; nothing was written").because(cause())),
        (code, _) => Err(Error::failed("finish", format!("the scrub (exit code {code})"))
            .because(cause())
            .remedy(format!("do not use this machine or its image; {place}"))),
    }
}

fn lost(heard: &Heard) -> Error {
    let mut cause =
        format!("the connection or the program ended without a result ({})", heard.status);
    if let Some(last) = heard.errors.back() {
        cause.push_str("; the last line was: ");
        cause.push_str(last);
    }
    Error::failed("finish", "the scrub")
        .because(cause)
        .remedy("do not use this machine or its image; run the build again")
}
