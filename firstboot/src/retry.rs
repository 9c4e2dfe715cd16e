//! Opens SSH when a key arrives late, for agents that write keys after sshd would have started.
//!
//! The question is asked here, without a change and without a line in the journal; only when the
//! answer would be yes is sshd started, and its unit asks the gate.

use std::ffi::OsStr;
use std::time::Duration;

use disinherit_core::root::Root;
use disinherit_core::{Error, Result, seal};

use crate::decision::Decision;
use crate::{flag, gate, out, program};

const SYSTEMCTL: [&str; 2] = ["/usr/bin/systemctl", "/bin/systemctl"];
const RC_SERVICE: [&str; 2] = ["/sbin/rc-service", "/usr/sbin/rc-service"];
const FIRST: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_secs(300);

/// Waits until the gate has passed.
///
/// # Errors
/// When the system cannot be examined; the timer starts this again.
pub fn run(root: &Root) -> Result<()> {
    let mut said = None;
    let mut pause = FIRST;
    while !flag::is_set(root)? {
        let decision = gate::examine(root)?.decision;
        let would = summary(&decision);
        if said.as_ref() != Some(&would) {
            out::say(format_args!("retry: {would}"));
            said = Some(would);
            pause = FIRST;
        }
        if decision.open {
            start_sshd(root)?;
        }
        std::thread::sleep(pause);
        pause = longer(pause);
    }
    Ok(())
}

/// Starts the SSH units that the image enables, and no other.
///
/// # Errors
/// When systemctl is missing or refuses.
pub fn start_sshd(root: &Root) -> Result<()> {
    let units = seal::enabled_ssh(root)?;
    if !root.is_live() || units.is_empty() {
        return Ok(());
    }
    if program::exists(&SYSTEMCTL) {
        let words = ["--no-block", "start"].map(str::to_owned);
        return start(&SYSTEMCTL, &[&words[..], &units].concat());
    }
    units.iter().try_for_each(|unit| start(&RC_SERVICE, &[unit.as_str(), "start"]))
}

fn start<S: AsRef<OsStr>>(places: &[&str], arguments: &[S]) -> Result<()> {
    let answer = program::run(places, arguments)?;
    if answer.success {
        return Ok(());
    }
    Err(Error::failed("start", "sshd").because(answer.complaint))
}

/// What would be said about a decision in one line; equal lines are said once.
fn summary(decision: &Decision) -> String {
    let text = decision.text();
    let first = text.lines().next().unwrap_or_default().to_owned();
    let counting = decision.keys.len();
    format!("{first} ({counting} keys looked at)")
}

fn longer(pause: Duration) -> Duration {
    (pause * 2).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backs_off_to_five_minutes() {
        let pauses: Vec<u64> = std::iter::successors(Some(FIRST), |p| Some(longer(*p)))
            .take(7)
            .map(|p| p.as_secs())
            .collect();
        assert_eq!(pauses, [10, 20, 40, 80, 160, 300, 300]);
    }
}
