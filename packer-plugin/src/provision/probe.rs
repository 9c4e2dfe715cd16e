//! The first words with a guest: is it there, is it Linux, and how does one become root.

use std::time::{Duration, Instant};

use disinherit_core::Error;
use serde_json::Value;

use super::session::{Answer, Session, Stop};
use crate::config::Settings;
use crate::elf::{self, Arch};
use crate::plugin::ExitStatus;

/// Between two tries to reach a guest.
const PAUSE: Duration = Duration::from_secs(2);

/// What a guest said of itself.
#[derive(Debug)]
pub(super) struct Facts {
    /// Its architecture.
    pub(super) arch: Arch,
    /// The SSH user.
    pub(super) uid: u32,
    /// What sudo does for that user.
    pub(super) sudo: Sudo,
}

/// What sudo does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sudo {
    /// It asks nothing.
    Free,
    /// It wants a password.
    Password,
    /// It is not there.
    Missing,
}

/// Refuses communicators that are no shell on a Unix machine. What Packer says of them is a hint
/// only; the probe decides.
///
/// # Errors
/// For winrm and none.
pub(super) fn check_communicator(data: &Value) -> Result<(), Error> {
    match data.get("ConnType").and_then(Value::as_str) {
        Some(kind @ ("winrm" | "none")) => {
            Err(Error::refused("scrub", format!("through the communicator {kind:?}"))
                .because("this provisioner works in a Linux guest")
                .remedy("set communicator = \"ssh\", or leave the provisioner out of this build"))
        }
        _ => Ok(()),
    }
}

/// Asks the guest, again and again while it cannot be reached.
///
/// # Errors
/// When it stays out of reach, does not run what it is told, or is no Linux.
pub(super) fn probe(session: &Session, settings: &Settings) -> Result<Facts, Stop> {
    let (a, b) = (rand::random::<u16>(), rand::random::<u16>());
    let script = format!(
        "echo token=$(({a} * 65536 + {b})); echo os=$(uname -s); echo arch=$(uname -m); \
         echo uid=$(id -u); if ! command -v sudo >/dev/null 2>&1; then echo sudo=missing; \
         elif sudo -n true </dev/null >/dev/null 2>&1; then echo sudo=free; \
         else echo sudo=password; fi"
    );
    let answer = reach(session, settings.start_retry_timeout, &script)?;
    let token = (u64::from(a) * 65536 + u64::from(b)).to_string();
    if answer.value("token") != Some(token.as_str()) {
        return Err(no_shell(&answer).into());
    }
    let os = answer.value("os").unwrap_or_default();
    if os != "Linux" {
        return Err(Error::refused("scrub", format!("a guest that runs {os:?}"))
            .because("this provisioner knows Linux only")
            .into());
    }
    let named = answer.value("arch").unwrap_or_default();
    let arch = elf::arch(named).ok_or_else(|| {
        Error::refused("scrub", format!("a guest of the architecture {named:?}"))
            .because("no program is known to run there")
    })?;
    let uid =
        answer.value("uid").and_then(|uid| uid.parse().ok()).ok_or_else(|| no_shell(&answer))?;
    let sudo = match answer.value("sudo") {
        Some("free") => Sudo::Free,
        Some("password") => Sudo::Password,
        _ => Sudo::Missing,
    };
    Ok(Facts { arch, uid, sudo })
}

/// Asks until the guest could be reached, the time is over, or the run is cancelled.
fn reach(session: &Session, limit: Duration, script: &str) -> Result<Answer, Stop> {
    let start = Instant::now();
    let mut told = false;
    loop {
        let tried = session.script("reach", script);
        let lost = match &tried {
            Ok(answer) => answer.status == ExitStatus::DISCONNECTED,
            Err(Stop::Failed(_)) => true,
            Err(Stop::Cancelled) => false,
        };
        if !lost || start.elapsed() >= limit {
            return tried;
        }
        if !told {
            session.machine.say("The guest cannot be reached yet; trying again");
            told = true;
        }
        if session.cancel.wait(PAUSE) {
            return Err(Stop::Cancelled);
        }
    }
}

fn no_shell(answer: &Answer) -> Error {
    let why = if answer.out.trim().is_empty() && answer.status.success() {
        "the communicator ran nothing and called it a success, as communicator = \"none\" does"
    } else {
        "it did not run a line of shell"
    };
    Error::refused("scrub", "a guest whose answers cannot be trusted")
        .because(format!("{why} (exit status {}: {})", answer.status.0, answer.err))
        .remedy("use a Linux guest and communicator = \"ssh\"")
}
