//! Running other programs: found in `PATH` or the system folders, ended with the test.

use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use crate::deadline::wait_for;
use crate::{Context, Result, failed};

/// Folders that an ordinary user's `PATH` leaves out but system tools live in.
const SYSTEM_FOLDERS: [&str; 3] = ["/usr/local/go/bin", "/usr/sbin", "/sbin"];

/// Where `name` is installed.
pub fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(SYSTEM_FOLDERS.iter().map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|candidate| candidate.is_file())
}

/// A command that is killed when the calling thread ends, in a session of its own, without
/// standard input.
///
/// A test that is interrupted may leave no virtual machine behind.
pub fn ended_with_us(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setsid");
    command.args(["setpriv", "--pdeathsig", "KILL"]).arg(program).stdin(Stdio::null());
    command
}

/// Runs to the end and returns standard output.
///
/// # Errors
/// When it cannot be started or ends with a status other than 0; its standard error is in
/// the text.
pub fn run(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().context(|| format!("start {name}"))?;
    if !output.status.success() {
        return Err(failed(format!("{name}: {}: {}", output.status, said(&output))));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Both outputs of a finished program as text, standard error last.
pub fn said(output: &Output) -> String {
    let mut text = String::from_utf8_lossy(&output.stdout).trim_end().to_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    if !text.is_empty() && !errors.trim().is_empty() {
        text.push('\n');
    }
    text.push_str(errors.trim_end());
    text
}

/// Starts with both outputs in the file `log`.
///
/// # Errors
/// When the file cannot be made or the program cannot be started.
pub fn start_logged(command: &mut Command, log: &Path) -> Result<Child> {
    let name = command.get_program().to_string_lossy().into_owned();
    let file = File::create(log).context(|| format!("create {}", log.display()))?;
    let both = file.try_clone().context(|| format!("share {}", log.display()))?;
    command.stdout(file).stderr(both).spawn().context(|| format!("start {name}"))
}

/// Waits for the end of `child`; a child that outlives `limit` is killed.
///
/// # Errors
/// When the limit passes.
pub fn wait_end(
    child: &mut Child,
    what: &str,
    limit: Duration,
) -> Result<std::process::ExitStatus> {
    let ended = wait_for(what, limit, || Ok(child.try_wait()?));
    if ended.is_err() {
        child.kill().context(|| format!("kill {what}"))?;
        child.wait().context(|| format!("reap {what}"))?;
    }
    ended
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_program_is_quoted() {
        let error = run(Command::new("sh").args(["-c", "echo out; echo err >&2; exit 7"])).err();
        let message = error.map(|e| e.to_string()).unwrap();
        assert!(message.contains("exit status: 7: out\nerr"), "{message}");
    }

    #[test]
    fn a_program_that_outlives_its_limit_is_killed() {
        let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
        assert!(wait_end(&mut child, "sleep", Duration::from_millis(200)).is_err());
        assert!(child.try_wait().unwrap().is_some());
    }

    #[test]
    fn missing_programs_are_not_found() {
        assert!(find("no-such-program-anywhere").is_none());
        assert!(find("sh").is_some());
    }
}
