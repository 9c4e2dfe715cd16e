//! The command line: few words, no options worth a library.

use std::ffi::OsString;
use std::path::PathBuf;

use disinherit_core::{Error, Result};

/// What was asked for.
#[derive(Debug, PartialEq, Eq)]
pub enum Command {
    /// Remove inherited logins; a unit calls it.
    Early,
    /// Decide whether sshd may start; a unit calls it.
    Gate,
    /// Succeed when the gate has passed in this boot; sshd's unit calls it.
    Assert,
    /// Ask again until a key arrives; a unit calls it.
    Retry,
    /// Put keys from a file into a user's login file and declare them.
    Authorize {
        /// Login name.
        user: String,
        /// File with lines as in `authorized_keys`.
        file: PathBuf,
    },
    /// Say what was decided.
    Status {
        /// As one JSON object.
        json: bool,
    },
    /// Write the manifest and install the units.
    Seal {
        /// A mounted image instead of the running system.
        root: Option<PathBuf>,
    },
    /// Take back what sealing has installed.
    Unseal {
        /// A mounted image instead of the running system.
        root: Option<PathBuf>,
    },
    /// Write units and drop-ins of a sealed system again; a package calls it after an upgrade.
    Refresh,
    /// Print this help.
    Help,
    /// Print the version.
    Version,
}

/// Text of `--help`.
pub const HELP: &str = "\
disinherit-firstboot: no inherited login, new host keys, sshd only with an injected key

usage: disinherit-firstboot COMMAND

run by systemd:
  early                 remove logins that the image carried; before anything injects one
  gate                  let sshd start when the platform has injected a usable key
  assert                succeed when the gate has passed in this boot
  retry                 ask the gate again until a key arrives (10 s, then up to 5 minutes)

run by you, as root:
  status [--json]       what was decided, from which evidence
  authorize USER FILE   accept the public keys in FILE for USER (from a platform's assistant)
  seal [--root DIR]     record what this image carries and install the units; changes no login
  unseal [--root DIR]   remove units and drop-ins; SSH no longer waits for a key
  refresh               on a sealed system, write them as this version has them (after an upgrade)

exit codes: 0 open or done, 1 closed, 2 wrong use, 3 could not run or finished in part, 4 refused
files: /var/lib/disinherit/{manifest,state}.json, /run/disinherit/passed
";

impl Command {
    /// Parses the arguments after the program's name.
    ///
    /// # Errors
    /// `Kind::Usage`, naming what was not understood.
    pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Self> {
        let arguments: Vec<OsString> = arguments.into_iter().collect();
        let words: Vec<&str> = arguments.iter().map(|a| a.to_str().unwrap_or("\u{fffd}")).collect();
        Ok(match words.as_slice() {
            ["early"] => Self::Early,
            ["gate"] => Self::Gate,
            ["assert"] => Self::Assert,
            ["retry"] => Self::Retry,
            ["status"] => Self::Status { json: false },
            ["status", "--json"] => Self::Status { json: true },
            ["authorize", user, _] => Self::Authorize {
                user: (*user).to_owned(),
                file: arguments.get(2).map(PathBuf::from).unwrap_or_default(),
            },
            ["seal"] => Self::Seal { root: None },
            ["seal", "--root", _] => Self::Seal { root: arguments.get(2).map(PathBuf::from) },
            ["unseal"] => Self::Unseal { root: None },
            ["unseal", "--root", _] => Self::Unseal { root: arguments.get(2).map(PathBuf::from) },
            ["refresh"] => Self::Refresh,
            ["--help" | "-h" | "help"] => Self::Help,
            ["--version" | "-V"] => Self::Version,
            [] => return Err(usage("run", "without a command")),
            [name, ..] => {
                return Err(usage(
                    "understand",
                    &format!("the command {name:?} with its arguments"),
                ));
            }
        })
    }
}

fn usage(operation: &'static str, subject: &str) -> Error {
    Error::usage(operation, subject).remedy("see disinherit-firstboot --help")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Command> {
        Command::parse(words.iter().map(OsString::from))
    }

    #[test]
    fn every_command_of_the_help_is_understood() {
        for (words, wanted) in [
            (&["early"][..], Command::Early),
            (&["status", "--json"], Command::Status { json: true }),
            (&["seal", "--root", "/mnt"], Command::Seal { root: Some("/mnt".into()) }),
            (&["unseal"], Command::Unseal { root: None }),
            (&["refresh"], Command::Refresh),
            (
                &["authorize", "ann", "k"],
                Command::Authorize { user: "ann".into(), file: "k".into() },
            ),
        ] {
            assert_eq!(parse(words).unwrap(), wanted);
        }
        for name in
            ["early", "gate", "assert", "retry", "status", "authorize", "seal", "unseal", "refresh"]
        {
            assert!(HELP.contains(&format!("  {name}")), "{name}");
            let page = include_str!("../../docs/man/disinherit-firstboot.8");
            assert!(page.contains(name), "{name} is not in the manual page");
        }
    }

    #[test]
    fn anything_else_is_wrong_use() {
        for words in [&[][..], &["gate", "--force"], &["seal", "--root"], &["authorize", "ann"]] {
            assert_eq!(parse(words).unwrap_err().kind().exit_code(), 2, "{words:?}");
        }
    }
}
