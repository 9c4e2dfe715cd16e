use std::ffi::{OsStr, OsString};
use std::path::Path;

use super::DEFAULT_COMPONENT;

/// How the program was started, as far as Packer is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Invocation {
    /// `describe`.
    Describe,
    /// `start provisioner NAME`, or no arguments under the file name `packer-provisioner-*`.
    Start {
        /// The component.
        name: String,
        /// Whether the schema is wanted as protobuf.
        protobuf: bool,
    },
    /// Anything else: a person.
    Other,
}

impl Invocation {
    /// Judges the whole argument vector, the program's name first.
    ///
    /// `--protobuf` counts wherever it stands, as in packer-plugin-sdk.
    #[must_use]
    pub fn from_args(args: &[OsString]) -> Self {
        let Some((program, rest)) = args.split_first() else { return Self::Other };
        let protobuf = rest.iter().any(|arg| arg == "--protobuf");
        let rest: Vec<&OsStr> =
            rest.iter().map(OsString::as_os_str).filter(|arg| *arg != "--protobuf").collect();
        match rest.as_slice() {
            [] if is_single_component(program) => {
                Self::Start { name: DEFAULT_COMPONENT.to_owned(), protobuf }
            }
            [word] if *word == "describe" => Self::Describe,
            [word, kind, name] if *word == "start" && *kind == "provisioner" => {
                Self::Start { name: name.to_string_lossy().into_owned(), protobuf }
            }
            _ => Self::Other,
        }
    }
}

/// Packer up to 1.10 starts `packer-provisioner-NAME` without arguments; only 1.6 and older need
/// that name, and they expect the handshake of three fields.
pub(super) fn is_single_component(program: &OsStr) -> bool {
    Path::new(program)
        .file_name()
        .is_some_and(|name| name.as_encoded_bytes().starts_with(b"packer-provisioner-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(args: &[&str]) -> Invocation {
        Invocation::from_args(&args.iter().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn what_packer_does() {
        let start = |name: &str, protobuf| Invocation::Start { name: name.to_owned(), protobuf };
        assert_eq!(judge(&["/p/x", "describe"]), Invocation::Describe);
        assert_eq!(judge(&["x", "start", "provisioner", "n"]), start("n", false));
        assert_eq!(judge(&["x", "start", "provisioner", "--protobuf", "n"]), start("n", true));
        assert_eq!(judge(&["x", "start", "provisioner", "n", "--protobuf"]), start("n", true));
        assert_eq!(judge(&["/a/packer-provisioner-x"]), start(DEFAULT_COMPONENT, false));
        for other in [&["x"][..], &["x", "start"], &["x", "start", "builder", "n"], &[]] {
            assert_eq!(judge(other), Invocation::Other);
        }
    }
}
