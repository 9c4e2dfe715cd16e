//! Another process that waits where a phase begins, so that it can be killed there.

use std::error::Error;
use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};

use disinherit_core::report::Report;

use crate::Outcome;
use crate::scrub::Ear;

/// Starts it for the image at `top` and returns when it waits. `variable` tells it what to do.
pub(crate) fn start(variable: &str, top: &Path, phase: &str) -> Result<Child, Box<dyn Error>> {
    let mut child = Command::new(std::env::current_exe()?)
        .env(variable, format!("{phase}:{}", top.display()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line)?;
    assert_eq!(line, "reached\n", "{phase}");
    Ok(child)
}

pub(crate) fn kill(mut child: Child) -> Outcome {
    child.kill()?;
    assert_eq!(child.wait()?.signal(), Some(9));
    Ok(())
}

/// The other process: does `work`, which tells of its phases, until the one in `request` begins.
pub(crate) fn child(
    request: &OsStr,
    work: impl FnOnce(&Path, Ear<'_>) -> Result<Report, Box<dyn Error>>,
) -> ExitCode {
    let (phase, top) = request.to_str().unwrap().split_once(':').unwrap();
    let report = work(Path::new(top), &mut |now| {
        if now == phase {
            println!("reached");
            // Until the parent kills.
            std::io::stdin().read_line(&mut String::new()).unwrap();
        }
    });
    println!("not reached: {:?}", report.map(|report| report.exit_code));
    ExitCode::FAILURE
}
