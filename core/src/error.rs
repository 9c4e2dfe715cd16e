//! One error type for everything that can stop a run: operation, subject, remedy.
//!
//! The text never contains a secret: subjects are paths, user names and option names, never the
//! content of a file. The cause is kept as `source` and printed once, at the edge, by [`Error::report`].

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

/// What an error means for the caller; decides the exit code (table in `docs/exit-codes.md`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Wrong use of the command line, a policy or a configuration: exit code 2.
    Usage,
    /// Could not run, or finished in part: exit code 3.
    Failed,
    /// Refused before anything was written: exit code 4.
    Refused,
}

impl Kind {
    /// The process exit code for this kind.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Usage => 2,
            Self::Failed => 3,
            Self::Refused => 4,
        }
    }
}

/// An error that names the operation, its subject and, where there is one, the remedy.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    operation: Cow<'static, str>,
    subject: String,
    remedy: Option<Cow<'static, str>>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// Result with [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// `operation` is a verb phrase ("read", "replace"), `subject` what it was done to.
    pub fn new(
        kind: Kind,
        operation: impl Into<Cow<'static, str>>,
        subject: impl fmt::Display,
    ) -> Self {
        Self {
            kind,
            operation: operation.into(),
            subject: subject.to_string(),
            remedy: None,
            source: None,
        }
    }

    /// An operation that was tried and failed.
    pub fn failed(operation: impl Into<Cow<'static, str>>, subject: impl fmt::Display) -> Self {
        Self::new(Kind::Failed, operation, subject)
    }

    /// An operation that was refused before anything was written.
    pub fn refused(operation: impl Into<Cow<'static, str>>, subject: impl fmt::Display) -> Self {
        Self::new(Kind::Refused, operation, subject)
    }

    /// Wrong use: command line, policy, configuration.
    pub fn usage(operation: impl Into<Cow<'static, str>>, subject: impl fmt::Display) -> Self {
        Self::new(Kind::Usage, operation, subject)
    }

    /// Adds what the reader can do about it; a full sentence without a final stop.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<Cow<'static, str>>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// Adds the cause. It must not carry file content.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What the error means for the caller.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The remedy, where there is one.
    pub fn remedy_text(&self) -> Option<&str> {
        self.remedy.as_deref()
    }

    /// The whole chain on one line, the remedy last: `cannot OP SUBJECT: cause; REMEDY`.
    pub fn report(&self) -> String {
        let mut text = self.to_string();
        let mut cause = self.source.as_ref().map(|s| s.as_ref() as &dyn StdError);
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        if let Some(remedy) = &self.remedy {
            text.push_str("; ");
            text.push_str(remedy);
        }
        text
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = if self.kind == Kind::Refused { "refused to" } else { "cannot" };
        write!(f, "{verb} {} {}", self.operation, self.subject)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_ref().map(|s| s.as_ref() as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn report_is_one_line_with_cause_and_remedy() {
        let cause = std::io::Error::from_raw_os_error(28);
        let error = Error::failed("replace", "/etc/shadow")
            .because(cause)
            .remedy("free some space and run again");
        assert_eq!(
            error.report(),
            "cannot replace /etc/shadow: No space left on device (os error 28); free some space and run again"
        );
        assert_eq!(error.kind().exit_code(), 3);
    }

    #[test]
    fn refusals_say_so() {
        assert_eq!(Error::refused("scrub", "/").report(), "refused to scrub /");
        assert_eq!(Kind::Refused.exit_code(), 4);
        assert_eq!(Kind::Usage.exit_code(), 2);
    }
}
