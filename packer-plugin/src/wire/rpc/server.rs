use std::collections::BTreeMap;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::wire::msgpack::{self, Limits, Value};
use crate::wire::yamux::Stream;

/// Calls that may be open at once; Packer has two (Provision and Cancel).
const MAX_OPEN: usize = 64;

/// Reply, or the text that the user reads.
pub type Outcome = Result<Value, String>;

/// What a call needs.
pub enum Job {
    /// It is done.
    Now(Outcome),
    /// It takes time: run on a thread of its own.
    Later(Box<dyn FnOnce() -> Outcome + Send>),
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Now(_) => "Now",
            Self::Later(_) => "Later",
        })
    }
}

/// The methods behind a connection.
pub trait Handler: Send + Sync {
    /// Takes one call. Runs on the reading thread, in the order of the calls, so that a Cancel
    /// sees the Provision before it; whatever waits belongs into [`Job::Later`].
    fn accept(&self, method: &str, argument: Value) -> Job;
}

/// Why serving ended, other than by a clean end of the stream.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The bytes are no RPC message; nothing after them can be trusted.
    #[error("malformed RPC message: {0}")]
    Malformed(String),
    /// The connection ended inside a message.
    #[error("the connection ended inside an RPC message")]
    Truncated,
    /// The stream failed.
    #[error("the RPC connection failed")]
    Io(#[source] std::io::Error),
}

impl From<msgpack::Error> for ServeError {
    fn from(error: msgpack::Error) -> Self {
        match error {
            msgpack::Error::End | msgpack::Error::Truncated => Self::Truncated,
            msgpack::Error::Io(error) => Self::Io(error),
            other => Self::Malformed(other.to_string()),
        }
    }
}

/// Serves the calls of one stream.
#[derive(Debug, Clone)]
pub struct Server {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    stream: Stream,
    /// Number and method of the calls without an answer.
    open: Mutex<BTreeMap<u64, String>>,
    /// Held while an answer is written, so that two never mix.
    writing: Mutex<()>,
}

impl Server {
    /// A server on a stream that belongs to nobody else.
    #[must_use]
    pub fn new(stream: Stream) -> Self {
        let shared = Shared { stream, open: Mutex::default(), writing: Mutex::new(()) };
        Self { shared: Arc::new(shared) }
    }

    /// Reads calls until the stream ends between two of them.
    ///
    /// # Errors
    /// [`ServeError`].
    pub fn run(&self, handler: &dyn Handler) -> Result<(), ServeError> {
        let mut source = &self.shared.stream;
        loop {
            let header = match msgpack::read(&mut source, Limits::default()) {
                Err(msgpack::Error::End) => return Ok(()),
                other => other?,
            };
            let argument = msgpack::read(&mut source, Limits::default())?;
            let method = header.get("ServiceMethod").and_then(Value::as_str);
            let number = header.get("Seq").and_then(Value::as_u64);
            let (Some(method), Some(number)) = (method, number) else {
                let text = "a request header has no ServiceMethod or no Seq".to_owned();
                return Err(ServeError::Malformed(text));
            };
            self.start(handler, method, number, argument);
        }
    }

    fn start(&self, handler: &dyn Handler, method: &str, number: u64, argument: Value) {
        {
            let mut open = self.shared.open();
            if open.len() >= MAX_OPEN || open.contains_key(&number) {
                drop(open);
                let text = format!("{method}: too many calls, or a call number used twice");
                self.shared.write(method, number, Err(text));
                return;
            }
            open.insert(number, method.to_owned());
        }
        let job = guarded(|| Ok(handler.accept(method, argument)));
        match job {
            Ok(Job::Now(outcome)) => self.shared.answer(number, outcome),
            Err(text) => self.shared.answer(number, Err(text)),
            Ok(Job::Later(work)) => {
                let shared = Arc::clone(&self.shared);
                let spawned = std::thread::Builder::new()
                    .name(method.to_owned())
                    .spawn(move || shared.answer(number, guarded(work)));
                if let Err(error) = spawned {
                    let text = format!("{method}: the system gives no thread: {error}");
                    self.shared.answer(number, Err(text));
                }
            }
        }
    }

    /// Answers every open call with an error; for a process that is about to die.
    pub fn fail_open_calls(&self, text: &str) {
        let open: Vec<u64> = self.shared.open().keys().copied().collect();
        for number in open {
            self.shared.answer(number, Err(text.to_owned()));
        }
    }
}

/// Turns a panic into an error text. The panic hook has logged where it happened.
fn guarded<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        Err("internal error: a defect of this plugin stopped it; PACKER_LOG=1 shows where"
            .to_owned())
    })
}

impl Shared {
    fn open(&self) -> MutexGuard<'_, BTreeMap<u64, String>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers a call once; a second answer to the same number is dropped.
    fn answer(&self, number: u64, outcome: Outcome) {
        let method = self.open().remove(&number);
        if let Some(method) = method {
            self.write(&method, number, outcome);
        }
    }

    fn write(&self, method: &str, number: u64, outcome: Outcome) {
        let (text, body) = match outcome {
            Ok(value) => (String::new(), value),
            // Go takes an empty text for success.
            Err(text) if text.is_empty() => ("unknown error".to_owned(), Value::Map(Vec::new())),
            Err(text) => (text, Value::Map(Vec::new())),
        };
        let header = Value::map([
            ("ServiceMethod", method.into()),
            ("Seq", number.into()),
            ("Error", text.into()),
        ]);
        let mut message = Vec::new();
        msgpack::encode(&header, &mut message);
        msgpack::encode(&body, &mut message);
        let _alone = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = (&self.stream).write_all(&message) {
            log::debug!("the answer to {method} could not be sent: {error}");
        }
    }
}
