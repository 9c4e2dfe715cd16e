//! Other programs: by absolute path, with a clean environment, never through a shell.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};

use disinherit_core::{Error, Result};

/// What a program answered.
#[derive(Debug)]
pub struct Answer {
    /// It ended with status 0.
    pub success: bool,
    /// Its status; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Last line of its standard error, control characters escaped, at most 300 bytes.
    pub complaint: String,
}

/// True when one of `places` is there.
pub fn exists(places: &[&str]) -> bool {
    places.iter().any(|place| Path::new(place).is_file())
}

/// Runs the first of `places` that exists and waits for it.
///
/// # Errors
/// When none exists or it cannot be started.
pub fn run<S: AsRef<OsStr>>(places: &[&str], arguments: &[S]) -> Result<Answer> {
    let program = places
        .iter()
        .find(|place| Path::new(place).is_file())
        .ok_or_else(|| Error::failed("find", places.join(" or ")).remedy("install it"))?;
    let output = Command::new(program)
        .args(arguments)
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LC_ALL", "C")
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .output()
        .map_err(|e| Error::failed("start", program).because(e))?;
    let (success, code) = (output.status.success(), output.status.code());
    Ok(Answer { success, code, complaint: last_line(&output.stderr) })
}

fn last_line(text: &[u8]) -> String {
    let line =
        text.split(|b| *b == b'\n').rfind(|l| !l.trim_ascii().is_empty()).unwrap_or_default();
    let line = line.trim_ascii();
    disinherit_core::path::escape(line.get(..300).unwrap_or(line)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_the_program_said_last() {
        let answer = run(&["/nowhere/ls", "/bin/ls"], &["/nonexistent-folder"]).unwrap();
        assert!(!answer.success);
        assert!(answer.complaint.contains("nonexistent-folder"), "{answer:?}");
        assert!(run(&["/nowhere/ls"], &[""]).unwrap_err().report().contains("/nowhere/ls"));
    }
}
