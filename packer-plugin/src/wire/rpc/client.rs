use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::wire::msgpack::{self, Limits, Value};
use crate::wire::yamux::{Handle, Stream};

/// Why a call gave no reply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The other side refused, in its words.
    #[error("{0}")]
    Refused(String),
    /// The connection was lost before an answer came.
    #[error("the connection to Packer was lost: {0}")]
    Lost(String),
}

/// What to do on the reading thread when the answer is there; the flag says whether it is a reply.
type OnAnswer = Box<dyn FnOnce(bool) + Send>;

struct Waiting {
    slot: Arc<Slot>,
    on_answer: Option<OnAnswer>,
}

#[derive(Debug, Default)]
struct Slot {
    answer: Mutex<Option<Result<Value, CallError>>>,
    changed: Condvar,
}

struct State {
    next: u64,
    waiting: HashMap<u64, Waiting>,
    /// Why no call can be made any more.
    lost: Option<String>,
}

struct Shared {
    stream: Stream,
    state: Mutex<State>,
    /// Held while a call gets its number and goes out: two messages never mix. Apart from `state`,
    /// so that answers are read while a call waits for the window.
    writing: Mutex<()>,
}

/// Makes calls on a stream; clones share it, from any number of threads.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("stream", &self.shared.stream.id()).finish_non_exhaustive()
    }
}

/// A call that was sent.
#[derive(Debug)]
pub struct Pending {
    slot: Arc<Slot>,
}

impl Client {
    /// Takes the stream and starts the thread that reads the answers.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(stream: Stream) -> io::Result<Self> {
        let state = State { next: 0, waiting: HashMap::new(), lost: None };
        let shared = Arc::new(Shared { stream, state: Mutex::new(state), writing: Mutex::new(()) });
        let reading = Arc::clone(&shared);
        std::thread::Builder::new().name("rpc answers".to_owned()).spawn(move || {
            let reason = reading.read_answers();
            reading.lose(&reason);
        })?;
        Ok(Self { shared })
    }

    /// Calls and waits for the reply.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn call(&self, method: &str, argument: &Value) -> Result<Value, CallError> {
        let pending = self.begin(method, argument, None)?;
        pending.wait(None).unwrap_or_else(|| Err(CallError::Lost("no answer".to_owned())))
    }

    /// Sends a call. `on_answer` runs once, when the answer is there or can come no more.
    ///
    /// # Errors
    /// [`CallError::Lost`]; `on_answer` has run then.
    pub fn begin(
        &self,
        method: &str,
        argument: &Value,
        on_answer: Option<OnAnswer>,
    ) -> Result<Pending, CallError> {
        let slot = Arc::new(Slot::default());
        let alone = self.shared.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = self.shared.state();
        if let Some(reason) = state.lost.clone() {
            drop((state, alone));
            if let Some(on_answer) = on_answer {
                on_answer(false);
            }
            return Err(CallError::Lost(reason));
        }
        let number = state.next;
        state.next += 1;
        state.waiting.insert(number, Waiting { slot: Arc::clone(&slot), on_answer });
        drop(state);
        let mut message = Vec::new();
        let header = Value::map([("ServiceMethod", method.into()), ("Seq", number.into())]);
        msgpack::encode(&header, &mut message);
        msgpack::encode(argument, &mut message);
        let written = (&self.shared.stream).write_all(&message);
        drop(alone);
        if let Err(error) = written {
            self.shared.lose(&error.to_string());
            return Err(CallError::Lost(error.to_string()));
        }
        Ok(Pending { slot })
    }

    /// A handle to close the stream from elsewhere.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.shared.stream.handle()
    }
}

impl Pending {
    /// Waits for the answer; `None` when `deadline` passed before.
    ///
    /// # Errors
    /// The inner result is the call's.
    #[must_use]
    pub fn wait(&self, deadline: Option<Instant>) -> Option<Result<Value, CallError>> {
        let mut answer = self.slot.answer.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(answer) = answer.take() {
                return Some(answer);
            }
            answer = match deadline {
                None => self.slot.changed.wait(answer).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return None;
                    }
                    let waited = self.slot.changed.wait_timeout(answer, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }
}

impl Waiting {
    fn finish(self, answer: Result<Value, CallError>) {
        let replied = answer.is_ok();
        *self.slot.answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
        self.slot.changed.notify_all();
        if let Some(on_answer) = self.on_answer {
            on_answer(replied);
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read_answers(&self) -> String {
        let mut source = &self.stream;
        loop {
            let header = match msgpack::read(&mut source, Limits::default()) {
                Ok(header) => header,
                Err(msgpack::Error::End) => return "it was closed".to_owned(),
                Err(msgpack::Error::Io(error)) => return error.to_string(),
                Err(error) => return error.to_string(),
            };
            let body = match msgpack::read(&mut source, Limits::default()) {
                Ok(body) => body,
                Err(error) => return error.to_string(),
            };
            let Some(number) = header.get("Seq").and_then(Value::as_u64) else {
                return "an answer has no Seq".to_owned();
            };
            // A text that is not UTF-8 is still an error text.
            let refusal = match header.get("Error") {
                None | Some(Value::Nil) => None,
                Some(text) => text.as_bytes().filter(|text| !text.is_empty()),
            };
            let answer = match refusal {
                None => Ok(body),
                Some(text) => Err(CallError::Refused(String::from_utf8_lossy(text).into_owned())),
            };
            let waiting = self.state().waiting.remove(&number);
            match waiting {
                Some(waiting) => waiting.finish(answer),
                None => log::warn!("an answer to call {number} came, which nobody made"),
            }
        }
    }

    fn lose(&self, reason: &str) {
        let waiting = {
            let mut state = self.state();
            state.lost.get_or_insert_with(|| reason.to_owned());
            std::mem::take(&mut state.waiting)
        };
        for waiting in waiting.into_values() {
            waiting.finish(Err(CallError::Lost(reason.to_owned())));
        }
    }
}
