//! Recorded connections played again: what Packer sent is fed, in the order of the recording, to
//! this plugin; what it answers must be what the recorded plugin answered.

use std::io::{Cursor, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use packer_plugin_disinherit::plugin::{
    CancelToken, Command, Ended, FileInfo, Guest, Provisioner, Waited, serve_connection,
};
use packer_plugin_disinherit::wire::msgpack::Value;
use packer_plugin_disinherit::wire::spec::{self, Attr, AttrType, Encoding};

use crate::transcript::{Direction, Side, is_rpc, load};

const PATIENCE: Duration = Duration::from_secs(30);

/// Makes the calls that the recorded plugin made, in its order, and answers as it did.
pub(crate) struct Puppet {
    pub(crate) attributes: Vec<Attr>,
    pub(crate) recorded: Direction,
}

/// The requests on a stream: method and argument.
fn calls(values: &[Value]) -> Vec<(String, Value)> {
    let pairs = values.chunks_exact(2);
    pairs.map(|pair| (method(&pair[0]).to_owned(), pair[1].clone())).collect()
}

fn method(header: &Value) -> &str {
    header.get("ServiceMethod").and_then(Value::as_str).unwrap()
}

impl Puppet {
    /// The recorded error of a method, if its last answer was one.
    fn error(&self, of: &str) -> Option<String> {
        let values = self.recorded.rpc(1);
        let header = values.chunks(2).map(|pair| &pair[0]).rfind(|header| method(header) == of)?;
        let text = header.get("Error").and_then(Value::as_str).unwrap();
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// What the recorded plugin sent on the stream of a broker id.
    fn sent(&self, id: u64) -> Vec<u8> {
        let mut lanes = self.recorded.lanes.iter();
        let lane =
            lanes.find(|(stream, lane)| !is_rpc(**stream) && lane.id().map(u64::from) == Some(id));
        lane.map(|(_, lane)| lane.content().to_vec()).unwrap_or_default()
    }

    fn start(&self, guest: &Guest, argument: &Value) -> packer_plugin_disinherit::plugin::Running {
        let id = |key: &str| argument.get(key).and_then(Value::as_u64).unwrap();
        let mut command = Command::new(argument.get("Command").and_then(Value::as_str).unwrap());
        if id("StdinStreamId") > 0 {
            command = command.stdin(Cursor::new(self.sent(id("StdinStreamId"))));
        }
        if id("StdoutStreamId") > 0 {
            command = command.stdout(Box::new(|_| {}));
        }
        if id("StderrStreamId") > 0 {
            command = command.stderr(Box::new(|_| {}));
        }
        guest.start(command).unwrap()
    }
}

impl Provisioner for Puppet {
    fn attributes(&self) -> &[Attr] {
        &self.attributes
    }

    fn prepare(&self, _: Vec<Value>) -> Result<(), String> {
        self.error("Provisioner.Prepare").map_or(Ok(()), Err)
    }

    fn provision(&self, _: Value, guest: Guest, cancel: CancelToken) -> Result<(), String> {
        let mut running = Vec::new();
        for (method, argument) in calls(&self.recorded.rpc(2)) {
            let text = argument.as_str().unwrap_or_default();
            match method.as_str() {
                "Ui.Say" => guest.ui().say(text),
                "Ui.Message" => guest.ui().message(text),
                "Ui.Error" => guest.ui().error(text),
                "Ui.Machine" => {
                    let args = argument.get("Args").and_then(Value::as_array).unwrap();
                    let args: Vec<_> = args.iter().map(|arg| arg.as_str().unwrap()).collect();
                    let category = argument.get("Category").and_then(Value::as_str).unwrap();
                    guest.ui().machine(category, &args);
                }
                "Communicator.Start" => running.push(self.start(&guest, &argument)),
                "Communicator.Upload" => {
                    let content =
                        self.sent(argument.get("ReaderStreamId").unwrap().as_u64().unwrap());
                    let size = content.len() as u64;
                    let info = FileInfo { name: "f".to_owned(), size, mode: 0o600 };
                    let path = argument.get("Path").and_then(Value::as_str).unwrap();
                    guest.upload(path, &mut Cursor::new(content), &info, &cancel).unwrap();
                }
                "Communicator.Download" => {
                    let path = argument.get("Path").and_then(Value::as_str).unwrap();
                    guest.download(path, &mut Vec::new(), 1 << 30, &cancel).unwrap();
                }
                other => panic!("the recording calls {other}"),
            }
        }
        let error = self.error("Provisioner.Provision");
        if error.as_deref() == Some("context canceled") {
            assert!(cancel.wait(PATIENCE));
        } else {
            for command in running {
                let waited = command.wait(&CancelToken::new(), Some(PATIENCE));
                assert!(matches!(waited, Waited::Exited(_)), "{waited:?}");
            }
        }
        error.map_or(Ok(()), Err)
    }
}

/// Arguments and replies without what is not ours to repeat.
fn normal(values: &[Value]) -> Vec<String> {
    let mut out: Vec<String> = values
        .chunks(2)
        .map(|pair| {
            let body = match pair.get(1) {
                Some(Value::Map(pairs)) => {
                    let kept = pairs.iter().filter(|(key, _)| {
                        !matches!(key.as_str(), Some("FileInfo" | "ConfigSpec"))
                    });
                    Value::Map(kept.cloned().collect())
                }
                other => other.cloned().unwrap_or(Value::Nil),
            };
            let seq = pair[0].get("Seq").and_then(Value::as_u64).unwrap();
            let error = pair[0].get("Error").and_then(Value::as_str);
            format!("{seq:03} {} {error:?} {}", method(&pair[0]), plain(&body))
        })
        .collect();
    // Answers to calls that were open together may come in any order.
    out.sort();
    out
}

/// A value as text, with its content (`Debug` hides that).
fn plain(value: &Value) -> String {
    match value {
        Value::Map(pairs) => {
            let mut pairs: Vec<_> =
                pairs.iter().map(|(k, v)| format!("{}: {}", plain(k), plain(v))).collect();
            pairs.sort();
            format!("{{{}}}", pairs.join(", "))
        }
        Value::Array(items) => format!("{:?}", items.iter().map(plain).collect::<Vec<_>>()),
        Value::UInt(number) => number.to_string(),
        Value::Str(text) => text.clone(),
        other => format!("{other:?}"),
    }
}

fn replay(name: &str, attributes: Vec<Attr>, encoding: Encoding) {
    let events = load(name);
    let recorded = Direction::of(&events, Side::Plugin);
    let puppet = Arc::new(Puppet { attributes, recorded: recorded.clone() });
    let (mut packer, plugin) = UnixStream::pair().unwrap();
    let serving = std::thread::spawn(move || serve_connection(plugin, encoding, puppet));
    let (sender, receiver) = mpsc::channel();
    let mut source = packer.try_clone().unwrap();
    std::thread::spawn(move || {
        let mut chunk = vec![0; 1 << 16];
        while let Ok(count @ 1..) = source.read(&mut chunk) {
            sender.send(chunk[..count].to_vec()).unwrap();
        }
    });
    let (mut expected, mut actual) = (Direction::default(), Direction::default());
    for (side, bytes) in &events {
        if *side == Side::Plugin {
            expected.push(bytes);
            continue;
        }
        wait_for(name, &expected, &mut actual, &receiver);
        packer.write_all(bytes).unwrap();
    }
    wait_for(name, &expected, &mut actual, &receiver);
    packer.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(serving.join().unwrap(), Ended::Clean, "{name}");
    while let Ok(bytes) = receiver.try_recv() {
        actual.push(&bytes);
    }
    assert_eq!(expected.pongs, actual.pongs, "{name}: answers to pings");
    for (stream, lane) in &expected.lanes {
        let ours = &actual.lanes[stream];
        assert_eq!(lane.id(), ours.id(), "{name}: stream {stream}");
        if is_rpc(*stream) {
            assert_eq!(normal(&lane.values()), normal(&ours.values()), "{name}: stream {stream}");
        } else {
            assert_eq!(lane.content(), ours.content(), "{name}: stream {stream}");
        }
    }
}

/// Takes the plugin's bytes until it is as far as the recorded one was.
fn wait_for(
    name: &str,
    expected: &Direction,
    actual: &mut Direction,
    source: &mpsc::Receiver<Vec<u8>>,
) {
    loop {
        let done = actual.progress();
        let wanted = expected.progress();
        let behind = wanted.iter().find(|(stream, count)| done.get(stream).unwrap_or(&0) < count);
        let Some((stream, count)) = behind else { return };
        match source.recv_timeout(PATIENCE) {
            Ok(bytes) => actual.push(&bytes),
            Err(error) => panic!(
                "{name}: stream {stream} is not at {count}: {error}, {done:?}, {:?}",
                normal(&actual.rpc(1)).last()
            ),
        }
    }
}

fn one(name: &'static str, kind: AttrType) -> Attr {
    Attr { name, kind, required: false, help: "" }
}

#[test]
fn configuration_is_checked_as_recorded() {
    for name in ["p166-sdk0610-validate-ok", "p166-sdk0610-validate-bad", "sdk0610-prepare-error"] {
        replay(name, vec![one("s", AttrType::String)], Encoding::Gob);
    }
    replay("p1160-validate-no-override", vec![one("s", AttrType::String)], Encoding::Protobuf);
}

#[test]
fn runs_go_as_recorded() {
    for name in [
        "p166-exit3",
        "p166-ssh-lost",
        "p166-shell-json",
        "p166-file-download",
        "p166-cancel",
        "sdk0610-cancel",
        "sdk0610-keepalive",
    ] {
        replay(name, Vec::new(), Encoding::Gob);
    }
}

/// The recorded bytes were read by packer-plugin-sdk 0.6.10 and two Packers.
#[test]
fn the_schema_is_the_recorded_one() {
    let text = || Box::new(AttrType::String);
    let mut attributes = vec![
        one("s", AttrType::String),
        one("b", AttrType::Bool),
        one("n", AttrType::Number),
        one("ls", AttrType::List(text())),
        one("ms", AttrType::Map(text())),
        one("lm", AttrType::List(Box::new(AttrType::Map(text())))),
    ];
    attributes[0].required = true;
    let recorded = Direction::of(&load("rust-std-codec2015"), Side::Plugin).rpc(1);
    let recorded = recorded[1].get("ConfigSpec").and_then(Value::as_bytes).unwrap().to_vec();
    assert_eq!(spec::encode(&attributes, Encoding::Gob), recorded);
}

/// Go writes the map of attributes in any order; each entry has one form only.
#[test]
fn the_protobuf_entry_is_the_recorded_one() {
    let recorded = Direction::of(&load("p1160-validate-no-override"), Side::Plugin).rpc(1);
    let recorded = recorded[1].get("ConfigSpec").and_then(Value::as_bytes).unwrap().to_vec();
    let mut attribute = one("s", AttrType::String);
    attribute.required = true;
    let ours = spec::encode(&[attribute], Encoding::Protobuf);
    let entry = &ours[2..];
    assert!(recorded.windows(entry.len()).any(|part| part == entry));
}
