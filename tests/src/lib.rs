//! Harness of the end-to-end tests: real Debian trees and images, booted in containers and
//! virtual machines, reached by real `ssh`, built by a real Packer.
//!
//! Nothing here stands in for the thing itself. What a machine cannot run is named by
//! [`needs`], counted as ignored, and fails where everything must run.
//!
//! | module | gives |
//! |---|---|
//! | [`base`] | the dirty Debian base: bootable image, unpacked tree, planted secrets |
//! | [`nspawn`] | a container booted from a throw-away layer over a tree |
//! | [`qemu`], [`seed`] | a virtual machine with an identity and what its platform tells it |
//! | [`launch`] | an instance of an image with a key that its platform injects |
//! | [`mounted`] | the disk of a base, mounted, and made bootable again |
//! | [`ssh`] | logins with the real client, by key and by password |
//! | [`packer`] | a real Packer building from the base |
//! | [`promise`] | what `make demo` shows, one function for each boot |
//! | [`tree`] | a snapshot of a tree and what differs between two |
//! | [`timing`] | named steps with their times |
//! | [`cases`] | which test proves which case of `docs/test-cases.md` |
//! | [`escape`] | planted credentials, controls, and a search of its own for what stays |
//! | [`dist`] | the programs that `make dist` made |
//! | [`command`], [`deadline`] | processes that die with the test; waiting for a condition, with a limit |
//! | [`needs`] | what a test needs, and what happens where it is missing |

pub mod base;
pub mod cases;
pub mod command;
pub mod deadline;
pub mod dist;
pub mod escape;
pub mod launch;
pub mod layer;
pub mod mounted;
pub mod needs;
pub mod nspawn;
pub mod packer;
pub mod promise;
pub mod qemu;
pub mod seed;
pub mod ssh;
pub mod timing;
pub mod tree;
pub mod values;
pub mod volume;

/// A failed expectation or a step that could not be done; the text says which.
#[derive(Debug)]
pub struct Failure(String);

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

// Not an `Error` itself, so that every error becomes one through `?`.
impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

/// Result of a step of a test.
pub type Result<T = (), E = Failure> = std::result::Result<T, E>;

/// A failure whose text is `text`.
pub fn failed(text: impl Into<String>) -> Failure {
    Failure(text.into())
}

/// Fails with `text` unless `holds`.
///
/// # Errors
/// When the expectation does not hold.
pub fn expect(holds: bool, text: impl FnOnce() -> String) -> Result {
    if holds { Ok(()) } else { Err(failed(text())) }
}

/// Adds the subject to a failure, so that a table of failures can be read.
pub trait Context<T> {
    /// `subject` says what was being done, such as `read /path`.
    ///
    /// # Errors
    /// The failure, with the subject in front.
    fn context(self, subject: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: std::fmt::Display> Context<T> for std::result::Result<T, E> {
    fn context(self, subject: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| failed(format!("{}: {error}", subject())))
    }
}
