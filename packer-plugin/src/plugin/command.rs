use std::fmt;
use std::io::Read;

/// Takes the pieces of an output stream as they come; see [`super::lines`].
pub type Sink = Box<dyn FnMut(&[u8]) + Send>;

/// A command for the guest's shell.
pub struct Command {
    pub(super) text: String,
    pub(super) stdin: Option<Box<dyn Read + Send>>,
    pub(super) stdout: Option<Sink>,
    pub(super) stderr: Option<Sink>,
}

impl Command {
    /// A command line as the communicator passes it on (ssh: to the login shell). It shows in
    /// process lists: secrets go through [`Command::stdin`].
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), stdin: None, stdout: None, stderr: None }
    }

    /// What the command reads; without it, nothing is connected.
    #[must_use]
    pub fn stdin(mut self, source: impl Read + Send + 'static) -> Self {
        self.stdin = Some(Box::new(source));
        self
    }

    /// Who takes its output; without it, the output is lost.
    #[must_use]
    pub fn stdout(mut self, sink: Sink) -> Self {
        self.stdout = Some(sink);
        self
    }

    /// Who takes its error output; without it, that is lost.
    #[must_use]
    pub fn stderr(mut self, sink: Sink) -> Self {
        self.stderr = Some(sink);
        self
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Command").field("length", &self.text.len()).finish_non_exhaustive()
    }
}

/// The exit status that Packer reports. 0 is no proof on its own: a lost ssh session and
/// `communicator = "none"` can give 0 too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExitStatus(pub i64);

impl ExitStatus {
    /// What Packer reports when the connection was lost without a status.
    pub const DISCONNECTED: Self = Self(2_300_218);

    /// Whether it is 0.
    #[must_use]
    pub fn success(self) -> bool {
        self.0 == 0
    }
}
