//! Lines for the journal and the console. A closed pipe or a full disk must not end a boot step, so
//! a line that cannot be written is dropped.

use std::fmt::Display;
use std::io::Write as _;

/// One line or block on standard output; the units send it to the journal and the console.
pub(crate) fn say(text: impl Display) {
    let mut out = std::io::stdout().lock();
    drop(writeln!(out, "{text}").and_then(|()| out.flush()));
}

/// One line on standard error, with the program's name as sshd and systemd have it.
pub(crate) fn complain(text: impl Display) {
    drop(writeln!(std::io::stderr().lock(), "disinherit-firstboot: {text}"));
}
