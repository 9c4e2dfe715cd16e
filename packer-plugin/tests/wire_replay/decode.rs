//! Every recorded message is understood, and survives encoding again.

use packer_plugin_disinherit::wire::gob;
use packer_plugin_disinherit::wire::msgpack::{self, Limits, Value};

use crate::transcript::{Direction, Side, is_rpc, load};

fn check(name: &str, statuses: &[i64]) {
    let events = load(name);
    let mut seen = Vec::new();
    for side in [Side::Packer, Side::Plugin] {
        let direction = Direction::of(&events, side);
        for (stream, lane) in &direction.lanes {
            if is_rpc(*stream) {
                for value in lane.values() {
                    let mut bytes = Vec::new();
                    msgpack::encode(&value, &mut bytes);
                    assert_eq!(msgpack::decode(&bytes, Limits::default()).unwrap(), value);
                }
            } else if lane.content().windows(15).any(|part| part == b"CommandFinished") {
                seen.push(gob::exit_status(lane.content()).unwrap());
            }
        }
        let headers = direction.rpc(1);
        assert!(
            headers.iter().any(|value| value.get("ServiceMethod").is_some()),
            "{name} {side:?}"
        );
    }
    assert_eq!(seen, statuses, "{name}");
}

#[test]
fn every_message_of_the_recordings() {
    check("sdk0610-all-gob", &[123, 0, 1, 255, -1]);
    check("sdk0610-all-proto", &[123, 0, 1, 255, -1]);
    check("rust-std-codec2015", &[123, 0, 1, 255, -1]);
    check("p1160-json", &[123, 0, 1, 255, 2, 127]);
    check("p1160-retry", &[123, 0, 1, 255, 2, 127, 123, 0, 1, 255, 2, 127]);
    check("p166-exit3", &[0, 3]);
    check("p166-ssh-lost", &[0, 2_300_218]);
    check("p166-sdk0610-build", &[123, 0, 1, 255, 255, 127]);
}

#[test]
fn a_value_of_port_22022_is_signed_and_read_as_unsigned() {
    let value = msgpack::decode(&[0xd1, 0x56, 0x06], Limits::default()).unwrap();
    assert_eq!(value, Value::UInt(22022));
}
