//! Reads a recorded connection and takes it apart, one direction at a time.

use std::collections::BTreeMap;
use std::path::Path;

use packer_plugin_disinherit::wire::msgpack::{self, Limits, Value};
use packer_plugin_disinherit::wire::yamux::{Flags, HEADER_LEN, Header, Kind};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Side {
    Packer,
    Plugin,
}

/// The reads in their order.
pub(crate) fn load(name: &str) -> Vec<(Side, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    let text = std::fs::read_to_string(folder.join(format!("{name}.hex"))).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let mut words = line.split(' ').skip(1);
            let side = match words.next().unwrap() {
                "P>p" => Side::Packer,
                _ => Side::Plugin,
            };
            (side, unhex(words.next().unwrap()))
        })
        .collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<_> =
        text.chars().map(|c| u8::try_from(c.to_digit(16).unwrap()).unwrap()).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// One direction of one stream.
#[derive(Default, Debug, Clone)]
pub(crate) struct Lane {
    pub(crate) bytes: Vec<u8>,
    pub(crate) finished: bool,
}

impl Lane {
    /// The broker id that opened or acknowledged the stream.
    pub(crate) fn id(&self) -> Option<u32> {
        Some(u32::from_le_bytes(self.bytes.get(..4)?.try_into().ok()?))
    }

    /// What follows the broker id.
    pub(crate) fn content(&self) -> &[u8] {
        self.bytes.get(4..).unwrap_or_default()
    }

    /// The complete msgpack values behind the id.
    pub(crate) fn values(&self) -> Vec<Value> {
        let mut rest = self.content();
        let mut values = Vec::new();
        loop {
            match msgpack::read(&mut rest, Limits::default()) {
                Ok(value) => values.push(value),
                Err(msgpack::Error::End | msgpack::Error::Truncated) => return values,
                Err(other) => panic!("not msgpack: {other}"),
            }
        }
    }
}

/// Everything that one side sent, by stream.
#[derive(Default, Debug, Clone)]
pub(crate) struct Direction {
    buffer: Vec<u8>,
    pub(crate) lanes: BTreeMap<u32, Lane>,
    pub(crate) pongs: usize,
}

impl Direction {
    pub(crate) fn of(events: &[(Side, Vec<u8>)], side: Side) -> Self {
        let mut direction = Self::default();
        for (_, bytes) in events.iter().filter(|(from, _)| *from == side) {
            direction.push(bytes);
        }
        direction
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
        while let Some(head) = self.buffer.get(..HEADER_LEN) {
            let header = Header::from_bytes(head.try_into().unwrap()).unwrap();
            let payload = match header.kind {
                Kind::Data => header.length as usize,
                _ => 0,
            };
            let Some(frame) = self.buffer.get(..HEADER_LEN + payload) else { return };
            let data = frame[HEADER_LEN..].to_vec();
            self.buffer.drain(..HEADER_LEN + payload);
            if header.stream == 0 {
                self.pongs +=
                    usize::from(header.kind == Kind::Ping && header.flags.has(Flags::ACK));
                continue;
            }
            let lane = self.lanes.entry(header.stream).or_default();
            lane.bytes.extend(data);
            lane.finished |= header.flags.has(Flags::FIN);
        }
    }

    /// Values of a stream that carries RPC.
    pub(crate) fn rpc(&self, stream: u32) -> Vec<Value> {
        self.lanes.get(&stream).map(Lane::values).unwrap_or_default()
    }

    /// How far the side has come, by stream: values on RPC streams, bytes on the others.
    pub(crate) fn progress(&self) -> BTreeMap<u32, usize> {
        let count = |(stream, lane): (&u32, &Lane)| {
            let values = if is_rpc(*stream) { lane.values().len() } else { lane.content().len() };
            // Being open counts as one, the broker id as another.
            (*stream, 1 + usize::from(lane.id().is_some()) + values)
        };
        self.lanes.iter().map(count).collect()
    }
}

/// Stream 1 carries Packer's calls; what the plugin opens (even) carries those of a run.
pub(crate) fn is_rpc(stream: u32) -> bool {
    stream == 1 || stream % 2 == 0
}
