//! Damaged recordings: whatever the bytes, the connection ends, in time and without a panic.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use packer_plugin_disinherit::plugin::{
    CancelToken, Command, Ended, FileInfo, Guest, Provisioner, lines, serve_connection,
};
use packer_plugin_disinherit::wire::msgpack::{self, Limits, Value};
use packer_plugin_disinherit::wire::spec::{Attr, Encoding};
use proptest::prelude::*;

use crate::replay::Puppet;
use crate::transcript::{Direction, Side, load};

/// Uses every call once and takes any failure.
struct Worker;

impl Provisioner for Worker {
    fn attributes(&self) -> &[Attr] {
        &[]
    }

    fn prepare(&self, _: Vec<Value>) -> Result<(), String> {
        Ok(())
    }

    fn provision(&self, _: Value, guest: Guest, cancel: CancelToken) -> Result<(), String> {
        let ui = guest.ui().clone();
        ui.say("start");
        let info = FileInfo { name: "f".to_owned(), size: 600_000, mode: 0o600 };
        let sent = guest.upload("/f", &mut std::io::repeat(1).take(600_000), &info, &cancel);
        let got = guest.download("/f", &mut Vec::new(), 1000, &cancel);
        let command = Command::new("true").stdin(std::io::repeat(2).take(600_000));
        let status = guest.run(command.stdout(lines(move |line| ui.say(line))));
        Err(format!("{sent:?} {got:?} {status:?}"))
    }
}

fn packer_bytes(name: &str) -> Vec<u8> {
    let events = load(name);
    events.into_iter().filter(|(side, _)| *side == Side::Packer).flat_map(|(_, b)| b).collect()
}

/// Feeds each part once the plugin has nothing more to say, closes, and waits for the end.
fn feed(parts: &[Vec<u8>], quiet: Duration, provisioner: Arc<dyn Provisioner>) -> Ended {
    let (packer, plugin) = UnixStream::pair().unwrap();
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || sender.send(serve_connection(plugin, Encoding::Gob, provisioner)));
    let mut reader = packer.try_clone().unwrap();
    reader.set_read_timeout(Some(quiet)).unwrap();
    let (more, rest) = mpsc::channel::<Vec<u8>>();
    let mut writer = packer.try_clone().unwrap();
    // The plugin may close on a bad byte; what follows then has no reader.
    let writing =
        std::thread::spawn(move || rest.iter().all(|part| writer.write_all(&part).is_ok()));
    let mut chunk = vec![0; 1 << 16];
    for part in parts {
        more.send(part.clone()).ok();
        while let Ok(1..) = reader.read(&mut chunk) {}
    }
    drop(more);
    writing.join().unwrap();
    drop(packer.shutdown(Shutdown::Write));
    drop(reader.set_read_timeout(None));
    std::thread::spawn(move || std::io::copy(&mut reader, &mut std::io::sink()));
    receiver.recv_timeout(Duration::from_secs(30)).expect("the connection did not end")
}

fn feed_at_once(bytes: Vec<u8>) -> Ended {
    feed(&[bytes], Duration::from_millis(20), Arc::new(Worker))
}

static PANICKED: AtomicBool = AtomicBool::new(false);

/// A puppet may panic when its recording is damaged; the plugin itself may not.
fn watch_for_panics() {
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map(|at| at.file().to_owned()).unwrap_or_default();
        if place.contains("packer-plugin/src") {
            PANICKED.store(true, Ordering::SeqCst);
        }
        eprintln!("{info}");
    }));
}

#[derive(Debug, Clone)]
enum Damage {
    Flip(prop::sample::Index, u8),
    Cut(prop::sample::Index),
    Drop(prop::sample::Index, usize),
    Insert(prop::sample::Index, Vec<u8>),
    Repeat(prop::sample::Index, usize),
}

impl Damage {
    fn apply(&self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        let len = bytes.len();
        match self {
            Self::Flip(at, bits) => bytes[at.index(len)] ^= bits,
            Self::Cut(at) => bytes.truncate(at.index(len)),
            Self::Drop(at, count) => {
                let at = at.index(len);
                bytes.drain(at..(at + count).min(len));
            }
            Self::Insert(at, more) => {
                let at = at.index(len);
                bytes.splice(at..at, more.iter().copied());
            }
            Self::Repeat(at, count) => {
                let at = at.index(len);
                let part = bytes[at..(at + count).min(len)].to_vec();
                bytes.splice(at..at, part);
            }
        }
    }
}

fn damage() -> impl Strategy<Value = Damage> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        (index(), 1_u8..).prop_map(|(at, bits)| Damage::Flip(at, bits)),
        index().prop_map(Damage::Cut),
        (index(), 1_usize..40).prop_map(|(at, count)| Damage::Drop(at, count)),
        (index(), prop::collection::vec(any::<u8>(), 1..40))
            .prop_map(|(a, b)| Damage::Insert(a, b)),
        (index(), 1_usize..400).prop_map(|(at, count)| Damage::Repeat(at, count)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    /// In the rhythm of the recording, so that the damage also meets a run with open streams.
    #[test]
    fn damage_in_the_middle_of_a_run_ends(
        name in prop::sample::select(vec![
            "p166-shell-json", "p166-cancel", "p166-exit3", "p166-file-download",
        ]),
        part in any::<prop::sample::Index>(),
        damage in damage(),
    ) {
        let events = load(name);
        let recorded = Direction::of(&events, Side::Plugin);
        let mut parts: Vec<_> =
            events.into_iter().filter(|(side, _)| *side == Side::Packer).map(|(_, b)| b).collect();
        let part = part.index(parts.len());
        damage.apply(&mut parts[part]);
        watch_for_panics();
        let puppet = Arc::new(Puppet { attributes: Vec::new(), recorded });
        feed(&parts, Duration::from_millis(3), puppet);
        prop_assert!(!PANICKED.load(Ordering::SeqCst));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn damaged_recordings_end(
        name in prop::sample::select(vec![
            "sdk0610-all-gob", "p166-shell-json", "p166-cancel", "p1160-retry",
            "p166-sdk0610-build", "sdk0610-keepalive", "p1160-validate-no-override",
        ]),
        damages in prop::collection::vec(damage(), 1..4),
    ) {
        let mut bytes = packer_bytes(name);
        for damage in &damages {
            damage.apply(&mut bytes);
        }
        watch_for_panics();
        feed_at_once(bytes);
        prop_assert!(!PANICKED.load(Ordering::SeqCst));
    }

    #[test]
    fn any_bytes_end(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        feed_at_once(bytes);
    }

    #[test]
    fn any_bytes_are_a_value_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        drop(msgpack::decode(&bytes, Limits { depth: 8, bytes: 1000 }));
    }

    #[test]
    fn values_survive(value in value()) {
        let mut bytes = Vec::new();
        msgpack::encode(&value, &mut bytes);
        let back = msgpack::decode(&bytes, Limits::default()).unwrap();
        prop_assert!(back == value);
        bytes.pop();
        prop_assert!(msgpack::decode(&bytes, Limits::default()).is_err());
    }
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Nil),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1e9..1e9_f64).prop_map(Value::F64),
        "\\PC{0,300}".prop_map(Value::Str),
        prop::collection::vec(any::<u8>(), 0..70_000).prop_map(Value::Bin),
        (any::<i8>(), prop::collection::vec(any::<u8>(), 1..300))
            .prop_map(|(kind, bytes)| Value::Ext(kind, bytes)),
    ];
    leaf.prop_recursive(4, 40, 20, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..20).prop_map(Value::Array),
            prop::collection::vec((inner.clone(), inner), 0..20).prop_map(Value::Map),
        ]
    })
}

#[test]
fn a_whole_recording_ends_well_and_a_cut_one_says_so() {
    let bytes = packer_bytes("sdk0610-prepare-error");
    assert_eq!(feed_at_once(bytes.clone()), Ended::Clean);
    let cut = feed_at_once(bytes[..bytes.len() - 1].to_vec());
    assert!(matches!(&cut, Ended::Broken(text) if text.contains("inside")), "{cut:?}");
    let http = feed_at_once(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec());
    assert!(matches!(&http, Ended::Broken(text) if text.contains("yamux")), "{http:?}");
}
