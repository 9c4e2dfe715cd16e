//! The first boot of an image that was sealed by disinherit, and every boot after it.
//!
//! ```text
//! early   State, Identity -> Phase -> strip | set aside | restore | nothing     before any injection
//!         (cloud-init, agents, credentials inject)
//! gate    State, Identity -> Phase -> evidence -> Decision -> adopt -> flag     before sshd
//! assert  flag?                                                                 sshd's ExecStartPre
//! ```
//!
//! Deciding is pure ([`phase`], most of [`evidence`]); every change is one atomic, durable step, and
//! every order of steps may be cut anywhere and begun again. What closes is the absence of the flag:
//! whatever goes wrong here, sshd does not start.

pub mod authorize;
pub mod cli;
pub mod decision;
pub mod deliver;
pub mod early;
pub mod edit;
pub mod evidence;
pub mod flag;
pub mod gate;
pub mod host_keys;
pub mod logins;
mod out;
pub mod phase;
pub mod program;
pub mod quarantine;
pub mod retry;
pub mod revoked;
pub mod seal;
pub mod sshd_test;
pub mod state;
pub mod status;
pub mod strip;
mod trial;
mod turn;

use std::ffi::OsString;
use std::path::PathBuf;

use disinherit_core::Result;
use disinherit_core::root::Root;

use cli::Command;
use decision::Reason;
use phase::Phase;

/// Runs the command line and returns the exit code; these are in [`cli::HELP`].
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    match Command::parse(arguments).and_then(run) {
        Ok(code) => code,
        Err(error) => {
            out::complain(error.report());
            error.kind().exit_code()
        }
    }
}

const OPEN: u8 = 0;
const CLOSED: u8 = 1;

fn run(command: Command) -> Result<u8> {
    let open = |open: bool| if open { OPEN } else { CLOSED };
    match command {
        Command::Help => out::say(cli::HELP.trim_end()),
        Command::Version => out::say(env!("CARGO_PKG_VERSION")),
        Command::Early => run_early()?,
        Command::Gate => return Ok(open(run_gate()?)),
        Command::Assert => {
            let passed = flag::is_set(&Root::live()?)?;
            if !passed {
                out::complain(
                    "SSH IS CLOSED: the gate has not passed; see disinherit-firstboot status",
                );
            }
            return Ok(open(passed));
        }
        Command::Retry => retry::run(&Root::live()?)?,
        Command::Status { json } => {
            let status = status::Status::read(&Root::live()?)?;
            out::say(if json { status.to_json()? } else { status.to_text() });
            return Ok(open(status.passed));
        }
        Command::Authorize { user, file } => {
            let root = Root::live()?;
            let keys = {
                let _turn = turn::take(&root)?;
                authorize::authorize(&root, &user, &file)?
            };
            for key in keys {
                out::say(format_args!("authorized {} for {user}", key.fingerprint()));
            }
            retry::start_sshd(&root)?;
        }
        Command::Seal { root } => tell(&seal::seal(&rooted(root)?)?),
        Command::Unseal { root } => {
            let root = rooted(root)?;
            tell(&seal::unseal(&root, root.is_live())?);
        }
        Command::Refresh => tell(&seal::refresh(&Root::live()?)?),
    }
    Ok(OPEN)
}

fn rooted(dir: Option<PathBuf>) -> Result<Root> {
    dir.map_or_else(Root::live, |dir| Root::offline(&dir))
}

fn tell(lines: &[String]) {
    for line in lines {
        out::say(line);
    }
}

fn run_early() -> Result<()> {
    let root = Root::live()?;
    let _turn = turn::take(&root)?;
    let phase = early::run(&root, &mut |_| Ok(()))?;
    out::say(match phase {
        Phase::NotSealed => "not sealed: nothing to do".to_owned(),
        Phase::Strip { .. } => "inherited logins removed; SSH waits for an injected key".to_owned(),
        Phase::Waiting => "no key was accepted so far; SSH waits for an injected key".to_owned(),
        Phase::Adopted => "adopted: nothing to do".to_owned(),
        Phase::Returned => "the old identity is back: logins restored".to_owned(),
        Phase::Changed { from, .. } => {
            format!("identity changed; the disk belongs to {from}; passwords are set aside")
        }
    });
    Ok(())
}

fn run_gate() -> Result<bool> {
    let root = Root::live()?;
    let _turn = turn::take(&root)?;
    let decision = gate::run(&root, &mut |_| Ok(()))?;
    if decision.reason != Reason::NotSealed {
        decision.publish(&root)?;
    }
    out::say(decision.text());
    if decision.reason == Reason::KeyAccepted && decision.datasource.is_none() {
        // cloud-init prints this itself.
        out::say(host_keys::announcement(&root)?);
    }
    Ok(decision.open)
}
