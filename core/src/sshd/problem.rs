//! What is wrong with a configuration.

use std::fmt;

use super::config::Source;

/// Something in the files that keeps sshd from starting, or that could not be followed here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where it stands.
    pub source: Source,
    /// What it is.
    pub what: What,
}

/// Kinds of [`Problem`]. Never the text of the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// A keyword without arguments.
    NoArgument,
    /// A quote that is never closed.
    OpenQuote,
    /// A `Match` that sshd 9.2 does not know or does not accept. Its block counts as undecidable.
    BadMatch,
    /// Includes nested deeper than 16, a file that includes itself, or more than 4096 files.
    IncludeTooDeep,
    /// An include that begins with `~`: sshd looks for it below its own working directory.
    IncludeTilde,
    /// An include that exists and cannot be read as a file, or a folder that cannot be listed.
    Unreadable,
    /// A key file whose path has a `%` that sshd does not expand there (logins end in an error), or
    /// lies in the home of a named user (`~bob/`), which is not looked up here.
    BadToken,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.what {
            What::NoArgument => "keyword without arguments",
            What::OpenQuote => "quote is not closed",
            What::BadMatch => "Match condition that sshd does not accept",
            What::IncludeTooDeep => "includes nested too deeply, or in a circle",
            What::IncludeTilde => "include that begins with ~",
            What::Unreadable => "included file cannot be read",
            What::BadToken => "path with an unknown token",
        };
        write!(f, "{}:{}: {what}", self.source.file, self.source.line)
    }
}
