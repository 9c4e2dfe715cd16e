use std::collections::BTreeMap;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{CancelToken, Guest, Provisioner, panic_guard};
use crate::wire::broker::Broker;
use crate::wire::msgpack::Value;
use crate::wire::rpc::{Client, Handler, Job, Outcome, Server};
use crate::wire::spec::{self, Encoding};
use crate::wire::yamux::{Handle, Role, Session, SessionEnd};

/// How long a run may clean up on this machine after Packer has gone.
const FAREWELL: Duration = Duration::from_secs(5);

/// How a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// Packer left between two messages.
    Clean,
    /// Something broke; the text says what.
    Broken(String),
}

/// Serves one connection of Packer until it ends.
#[must_use]
pub fn serve_connection(
    connection: UnixStream,
    encoding: Encoding,
    provisioner: Arc<dyn Provisioner>,
) -> Ended {
    match Connection::open(connection, encoding, provisioner) {
        Ok(connection) => connection.serve(),
        // Packer changed its mind before the first call.
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionAborted => Ended::Clean,
        Err(error) => Ended::Broken(format!("set up the connection to Packer: {error}")),
    }
}

struct Connection {
    session: Session,
    server: Server,
    service: Arc<Service>,
}

impl Connection {
    fn open(
        connection: UnixStream,
        encoding: Encoding,
        provisioner: Arc<dyn Provisioner>,
    ) -> std::io::Result<Self> {
        let writer = connection.try_clone()?;
        let (session, incoming) = Session::start(Role::Server, connection, writer)?;
        let (broker, mut expected) = Broker::start(session.clone(), incoming, &[0])?;
        let control = match expected.pop() {
            Some(first) => first.wait(None).map_err(|error| match session.end() {
                Some(SessionEnd::Closed) | None => error,
                Some(end) => std::io::Error::new(std::io::ErrorKind::InvalidData, end),
            })?,
            None => return Err(std::io::ErrorKind::NotFound.into()),
        };
        let server = Server::new(control);
        let service = Arc::new(Service {
            provisioner,
            encoding,
            broker,
            runs: Arc::default(),
            next: AtomicU64::new(0),
        });
        Ok(Self { session, server, service })
    }

    fn serve(self) -> Ended {
        let _guard = panic_guard::watch(self.server.clone(), self.session.clone());
        let served = self.server.run(&*self.service);
        // Only now: an error in the middle of a run also ends it.
        self.service.runs.cancel_all();
        if !self.service.runs.wait_until_none(FAREWELL) {
            log::warn!("the run did not end within {} s after Packer had gone", FAREWELL.as_secs());
        }
        let flushed = self.session.flush(Duration::from_secs(1));
        log::debug!("connection ended; all answers sent: {flushed}");
        let end = self.session.end();
        self.session.shut();
        match (served, end) {
            (_, Some(end @ (SessionEnd::Protocol(_) | SessionEnd::Truncated))) => {
                Ended::Broken(end.to_string())
            }
            (Ok(()), _) | (Err(_), Some(SessionEnd::Closed)) => Ended::Clean,
            (Err(error), _) => Ended::Broken(error.to_string()),
        }
    }
}

/// The methods of `Provisioner`.
struct Service {
    provisioner: Arc<dyn Provisioner>,
    encoding: Encoding,
    broker: Broker,
    runs: Arc<Runs>,
    next: AtomicU64,
}

impl Handler for Service {
    fn accept(&self, method: &str, argument: Value) -> Job {
        match method {
            "Provisioner.ConfigSpec" => Job::Now(Ok(self.config_spec())),
            "Provisioner.Prepare" => self.prepare(&argument),
            "Provisioner.Provision" => self.provision(argument),
            "Provisioner.Cancel" => {
                // Without a run there is nothing to cancel; the next one gets a fresh token.
                self.runs.cancel_all();
                Job::Now(Ok(Value::Nil))
            }
            other => Job::Now(Err(format!("rpc: can't find method {other}"))),
        }
    }
}

impl Service {
    fn config_spec(&self) -> Value {
        let bytes = spec::encode(self.provisioner.attributes(), self.encoding);
        Value::map([("ConfigSpec", Value::Bin(bytes))])
    }

    fn prepare(&self, argument: &Value) -> Job {
        let configs = match argument.get("Configs") {
            Some(Value::Array(configs)) => configs.clone(),
            Some(Value::Nil) => Vec::new(),
            _ => return Job::Now(Err("Prepare without a list of Configs".to_owned())),
        };
        let provisioner = Arc::clone(&self.provisioner);
        Job::Later(Box::new(move || provisioner.prepare(configs).map(|()| Value::Nil)))
    }

    fn provision(&self, argument: Value) -> Job {
        let stream = argument.get("StreamID").and_then(Value::as_u64);
        let Some(stream) = stream.and_then(|id| u32::try_from(id).ok()) else {
            return Job::Now(Err("Provision without a StreamID".to_owned()));
        };
        let data = take(argument, "GeneratedData");
        // Registered here, on the thread that also takes the Cancel: one that follows at once
        // finds this run.
        let run = self.runs.register(self.next.fetch_add(1, Ordering::Relaxed));
        let provisioner = Arc::clone(&self.provisioner);
        let broker = self.broker.clone();
        Job::Later(Box::new(move || run.execute(&*provisioner, broker, stream, data)))
    }
}

/// Moves a value out of a map; absent and nil give an empty map.
fn take(argument: Value, key: &str) -> Value {
    let Value::Map(pairs) = argument else { return Value::Map(Vec::new()) };
    pairs
        .into_iter()
        .rev()
        .find(|(name, value)| name.as_str() == Some(key) && !value.is_nil())
        .map_or_else(|| Value::Map(Vec::new()), |(_, value)| value)
}

/// The runs without an answer.
#[derive(Debug, Default)]
struct Runs {
    tokens: Mutex<BTreeMap<u64, CancelToken>>,
    changed: Condvar,
}

impl Runs {
    fn tokens(&self) -> MutexGuard<'_, BTreeMap<u64, CancelToken>> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn register(self: &Arc<Self>, number: u64) -> Run {
        let token = CancelToken::new();
        self.tokens().insert(number, token.clone());
        Run { number, token, runs: Arc::clone(self), stream: None }
    }

    fn cancel_all(&self) {
        let tokens: Vec<_> = self.tokens().values().cloned().collect();
        for token in tokens {
            token.cancel();
        }
    }

    fn wait_until_none(&self, limit: Duration) -> bool {
        let end = Instant::now() + limit;
        let mut tokens = self.tokens();
        while !tokens.is_empty() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.changed.wait_timeout(tokens, left);
            tokens = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

/// One Provision. Dropping it, after a panic too, closes its stream and takes it off the list.
struct Run {
    number: u64,
    token: CancelToken,
    runs: Arc<Runs>,
    stream: Option<Handle>,
}

impl Run {
    fn execute(
        mut self,
        provisioner: &dyn Provisioner,
        broker: Broker,
        stream: u32,
        data: Value,
    ) -> Outcome {
        let lost = |error: std::io::Error| format!("open the stream for the guest: {error}");
        let stream = broker.dial(stream).map_err(lost)?;
        self.stream = Some(stream.handle());
        let client = Client::start(stream).map_err(lost)?;
        let guest = Guest::new(client, broker);
        provisioner.provision(data, guest, self.token.clone())?;
        Ok(Value::Nil)
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // Before the answer goes out, as the Go SDK does.
        if let Some(stream) = &self.stream {
            stream.close();
        }
        self.runs.tokens().remove(&self.number);
        self.runs.changed.notify_all();
    }
}
