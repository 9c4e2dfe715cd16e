//! A scrub of the running system removes its passwords and keys. It asks for the host name first,
//! so that nobody does that to the wrong terminal.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use disinherit_core::{Error, Result};

/// Asks on the terminal for the name of this host.
///
/// # Errors
/// Refused when there is no terminal, or another name is typed.
pub(super) fn host_name() -> Result<()> {
    let refused = || {
        Error::refused("scrub", "the running system without being asked twice")
            .remedy("pass --yes, or type the host name on a terminal")
    };
    let (stdin, mut stderr) = (std::io::stdin(), std::io::stderr());
    if !stdin.is_terminal() || !stderr.is_terminal() {
        return Err(refused());
    }
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    if name.is_empty() {
        return Err(refused());
    }
    let asked = write!(
        stderr,
        "This removes every password, key and history of the running system.\nType its name ({name}) to go on: "
    )
    .and_then(|()| stderr.flush());
    asked.map_err(|e| refused().because(e))?;
    let mut typed = String::new();
    stdin.lock().read_line(&mut typed).map_err(|e| refused().because(e))?;
    if typed.trim() == name { Ok(()) } else { Err(refused()) }
}
