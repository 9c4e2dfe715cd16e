//! A core of our own, that does what real ones seldom do.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use packer_plugin_disinherit::plugin::{
    CancelToken, Command, Ended, Guest, Provisioner, serve_connection,
};
use packer_plugin_disinherit::wire::broker::{Broker, Expectation};
use packer_plugin_disinherit::wire::msgpack::Value;
use packer_plugin_disinherit::wire::rpc::{CallError, Client, Handler, Job, Server};
use packer_plugin_disinherit::wire::spec::{Attr, Encoding};
use packer_plugin_disinherit::wire::yamux::{Flags, HEADER_LEN, Header, Kind, Role, Session};

const PATIENCE: Duration = Duration::from_secs(20);

type Run = fn(Guest, CancelToken) -> Result<(), String>;

struct Scripted(Run);

impl Provisioner for Scripted {
    fn attributes(&self) -> &[Attr] {
        &[]
    }

    fn prepare(&self, _: Vec<Value>) -> Result<(), String> {
        Ok(())
    }

    fn provision(&self, _: Value, guest: Guest, cancel: CancelToken) -> Result<(), String> {
        (self.0)(guest, cancel)
    }
}

/// The core's side of one connection.
struct Core {
    session: Session,
    broker: Broker,
    client: Client,
    plugin: JoinHandle<Ended>,
}

impl Core {
    fn new(run: Run) -> Self {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let plugin = std::thread::spawn(move || {
            serve_connection(theirs, Encoding::Gob, Arc::new(Scripted(run)))
        });
        let reader = ours.try_clone().unwrap();
        let (session, incoming) = Session::start(Role::Client, reader, Leaving(ours)).unwrap();
        let (broker, _) = Broker::start(session.clone(), incoming, &[]).unwrap();
        let client = Client::start(broker.dial(0).unwrap()).unwrap();
        Self { session, broker, client, plugin }
    }

    /// Sends Provision; the calls of the run go to `handler`.
    fn provision(
        &self,
        handler: impl Handler + 'static,
    ) -> packer_plugin_disinherit::wire::rpc::Pending {
        let expected: Expectation = self.broker.expect_next();
        let argument =
            Value::map([("GeneratedData", Value::Nil), ("StreamID", expected.id().into())]);
        let pending = self.client.begin("Provisioner.Provision", &argument, None).unwrap();
        std::thread::spawn(move || {
            let server = Server::new(expected.wait(Some(PATIENCE)).unwrap());
            drop(server.run(&handler));
        });
        pending
    }

    fn end(self) -> Ended {
        assert!(self.session.flush(PATIENCE));
        self.session.shut();
        self.plugin.join().unwrap()
    }
}

/// Shuts the socket down when the writing thread ends, as the end of a process does.
struct Leaving(UnixStream);

impl Write for Leaving {
    fn write(&mut self, data: &[u8]) -> std::io::Result<usize> {
        self.0.write(data)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Drop for Leaving {
    fn drop(&mut self) {
        drop(self.0.shutdown(std::net::Shutdown::Both));
    }
}

struct Answering<F>(F);

impl<F: Fn(Value) -> Job + Send + Sync> Handler for Answering<F> {
    fn accept(&self, _: &str, argument: Value) -> Job {
        (self.0)(argument)
    }
}

fn outcome(pending: &packer_plugin_disinherit::wire::rpc::Pending) -> Result<Value, CallError> {
    pending.wait(Some(Instant::now() + PATIENCE)).expect("no answer")
}

#[test]
fn unknown_methods_and_early_cancels_are_answered() {
    let core =
        Core::new(|_, cancel| if cancel.is_cancelled() { Err("old".into()) } else { Ok(()) });
    let error = core.client.call("Provisioner.Fly", &Value::Nil).unwrap_err();
    assert_eq!(error, CallError::Refused("rpc: can't find method Provisioner.Fly".to_owned()));
    core.client.call("Provisioner.Cancel", &Value::Nil).unwrap();
    for argument in [Value::Nil, Value::map([("Configs", Value::Bool(true))])] {
        assert!(core.client.call("Provisioner.Prepare", &argument).is_err());
    }
    assert!(core.client.call("Provisioner.Provision", &Value::Nil).is_err());
    assert_eq!(outcome(&core.provision(Answering(|_| Job::Now(Ok(Value::Nil))))), Ok(Value::Nil));
    assert_eq!(core.end(), Ended::Clean);
}

#[test]
fn a_cancel_right_behind_provision_counts() {
    let core = Core::new(|_, cancel| match cancel.wait(PATIENCE) {
        true => Err("context canceled".to_owned()),
        false => Ok(()),
    });
    for _ in 0..50 {
        let pending = core.provision(Answering(|_| Job::Now(Ok(Value::Nil))));
        core.client.call("Provisioner.Cancel", &Value::Nil).unwrap();
        assert_eq!(outcome(&pending), Err(CallError::Refused("context canceled".to_owned())));
    }
    assert_eq!(core.end(), Ended::Clean);
}

#[test]
fn answers_may_come_in_any_order() {
    let core = Core::new(|guest, _| {
        let calls: Vec<_> = (0..5)
            .map(|n| {
                let ui = guest.ui().clone();
                std::thread::spawn(move || ui.say(&n.to_string()))
            })
            .collect();
        calls.into_iter().for_each(|call| call.join().unwrap());
        Ok(())
    });
    // Nobody is answered before all five have called.
    let barrier = Arc::new(std::sync::Barrier::new(5));
    let pending = core.provision(Answering(move |_| {
        let barrier = Arc::clone(&barrier);
        Job::Later(Box::new(move || {
            barrier.wait();
            Ok(Value::Nil)
        }))
    }));
    assert_eq!(outcome(&pending), Ok(Value::Nil));
    assert_eq!(core.end(), Ended::Clean);
}

/// Core leaves the response stream open when it refuses a command.
#[test]
fn a_refused_start_closes_the_response_stream() {
    let core = Core::new(|guest, _| match guest.run(Command::new("x").stdout(Box::new(|_| {}))) {
        Err(error) => Err(error.to_string()),
        Ok(status) => Err(format!("{status:?}")),
    });
    let broker = core.broker.clone();
    let (sender, receiver) = mpsc::channel();
    let pending = core.provision(Answering(move |argument: Value| {
        let (broker, sender) = (broker.clone(), sender.clone());
        Job::Later(Box::new(move || {
            let id = |key| u32::try_from(argument.get(key).unwrap().as_u64().unwrap()).unwrap();
            let stdout = broker.dial(id("StdoutStreamId")).unwrap();
            let response = broker.dial(id("ResponseStreamId")).unwrap();
            drop(stdout);
            sender.send(response).unwrap();
            Err("no shell".to_owned())
        }))
    }));
    let text = "start a command on the guest was refused: no shell".to_owned();
    assert_eq!(outcome(&pending), Err(CallError::Refused(text)));
    let mut response = receiver.recv().unwrap();
    assert_eq!(response.read(&mut [0]).unwrap(), 0, "the plugin closed its end");
    assert_eq!(core.end(), Ended::Clean);
}

/// A sink that does not return may not stop pings, other streams or the cancellation.
#[test]
fn a_stuck_consumer_holds_up_nothing_else() {
    let core = Core::new(|guest, cancel| {
        let release = CancelToken::new();
        let token = release.clone();
        let stuck = Box::new(move |_: &[u8]| assert!(token.wait(PATIENCE)));
        let running = guest.start(Command::new("yes").stdout(stuck)).map_err(|e| e.to_string())?;
        assert!(cancel.wait(PATIENCE));
        running.abandon();
        release.cancel();
        Err("context canceled".to_owned())
    });
    let broker = core.broker.clone();
    let (sender, receiver) = mpsc::channel();
    let pending = core.provision(Answering(move |argument: Value| {
        let (broker, sender) = (broker.clone(), sender.clone());
        Job::Later(Box::new(move || {
            let id = |key| u32::try_from(argument.get(key).unwrap().as_u64().unwrap()).unwrap();
            let stdout = broker.dial(id("StdoutStreamId")).unwrap();
            let response = broker.dial(id("ResponseStreamId")).unwrap();
            std::thread::spawn(move || {
                // More than the window: this write ends with the reset only.
                let error = (&stdout).write_all(&vec![b'y'; 1 << 20]).unwrap_err();
                sender.send((error.kind(), response)).unwrap();
            });
            Ok(Value::Nil)
        }))
    }));
    core.client.call("Provisioner.ConfigSpec", &Value::Nil).unwrap();
    core.client.call("Provisioner.Cancel", &Value::Nil).unwrap();
    assert_eq!(outcome(&pending), Err(CallError::Refused("context canceled".to_owned())));
    let (kind, _response) = receiver.recv_timeout(PATIENCE).unwrap();
    assert_eq!(kind, std::io::ErrorKind::ConnectionReset);
    assert_eq!(core.end(), Ended::Clean);
}

/// Frames of our own making: what comes back, and how the connection ends.
fn raw(frames: &[u8]) -> (Vec<u8>, Ended) {
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let plugin = std::thread::spawn(move || {
        serve_connection(theirs, Encoding::Gob, Arc::new(Scripted(|_, _| Ok(()))))
    });
    drop(ours.write_all(frames));
    drop(ours.shutdown(std::net::Shutdown::Write));
    let mut answer = Vec::new();
    // A plugin that hangs up on unread bytes resets the connection; what it said is still read.
    drop(ours.read_to_end(&mut answer));
    (answer, plugin.join().unwrap())
}

fn frame(kind: Kind, flags: Flags, stream: u32, length: u32) -> [u8; HEADER_LEN] {
    Header { kind, flags, stream, length }.to_bytes()
}

#[test]
fn pings_are_echoed() {
    let (answer, end) = raw(&frame(Kind::Ping, Flags::SYN, 0, 0xdead_beef));
    assert_eq!(answer, frame(Kind::Ping, Flags::ACK, 0, 0xdead_beef));
    assert_eq!(end, Ended::Clean);
}

#[test]
fn a_broken_peer_is_named() {
    let syn = frame(Kind::WindowUpdate, Flags::SYN, 1, 0);
    let mut flood = syn.to_vec();
    for _ in 0..2 {
        flood.extend(frame(Kind::Data, Flags::NONE, 1, 200_000));
        flood.extend(vec![1; 200_000]);
    }
    let twice = [syn, syn].concat();
    let cases: [(&[u8], &str); 5] = [
        (&flood, "window"),
        (&twice, "twice"),
        (&frame(Kind::WindowUpdate, Flags::SYN, 2, 0), "not its own"),
        (&frame(Kind::Data, Flags::SYN, 1, 300_000), "larger than any window"),
        (&[0, 0, 0], "inside a yamux frame"),
    ];
    for (frames, text) in cases {
        let (_, end) = raw(frames);
        assert!(matches!(&end, Ended::Broken(why) if why.contains(text)), "{text}: {end:?}");
    }
}

#[test]
fn a_stream_that_nobody_asked_for_is_closed() {
    let core = Core::new(|_, _| Ok(()));
    let error = core.broker.dial(77).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
    core.client.call("Provisioner.ConfigSpec", &Value::Nil).unwrap();
    assert_eq!(core.end(), Ended::Clean);
}
