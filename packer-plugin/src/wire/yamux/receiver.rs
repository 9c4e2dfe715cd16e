use std::io::{self, Read};
use std::sync::{Arc, mpsc};

use super::INITIAL_WINDOW;
use super::header::{Flags, HEADER_LEN, Header, Kind};
use super::session::{SessionEnd, Shared};
use super::stream::{Endpoint, Stream};

/// Streams that may be open at once, as in hashicorp/yamux's backlog.
const MAX_STREAMS: usize = 256;
const CODE_PROTOCOL_ERROR: u32 = 1;

/// The reading thread: parses, hands over, answers pings, wakes; waits only for the socket.
pub(super) struct Receiver<R> {
    pub(super) shared: Arc<Shared>,
    pub(super) accepted: mpsc::Sender<Stream>,
    pub(super) source: R,
}

impl<R: Read> Receiver<R> {
    /// Runs until the session is over; says why.
    pub(super) fn run(&mut self) -> SessionEnd {
        let reason = self.frames();
        if matches!(reason, SessionEnd::Protocol(_)) {
            self.session_frame(Kind::GoAway, Flags::NONE, CODE_PROTOCOL_ERROR);
        }
        reason
    }

    fn frames(&mut self) -> SessionEnd {
        loop {
            if let Err(end) = self.frame() {
                return end;
            }
            if self.shared.outbox.is_closed() {
                return SessionEnd::Io("the other side does not read any more".to_owned());
            }
        }
    }

    fn frame(&mut self) -> Result<(), SessionEnd> {
        let header = self.header()?;
        match header.kind {
            Kind::Data | Kind::WindowUpdate => self.stream_frame(header),
            Kind::Ping if header.flags.has(Flags::SYN) => {
                self.session_frame(Kind::Ping, Flags::ACK, header.length);
                Ok(())
            }
            // An answer to a ping that we never sent, or the notice that no new stream will be
            // accepted: the streams that exist go on in both cases.
            Kind::Ping | Kind::GoAway => Ok(()),
        }
    }

    fn header(&mut self) -> Result<Header, SessionEnd> {
        let mut bytes = [0; HEADER_LEN];
        let mut filled = 0;
        while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.source.read(rest) {
                Ok(0) if filled == 0 => return Err(SessionEnd::Closed),
                Ok(0) => return Err(SessionEnd::Truncated),
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // How a killed peer looks when it had not read everything.
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                    return Err(SessionEnd::Closed);
                }
                Err(error) => return Err(SessionEnd::Io(error.to_string())),
            }
        }
        Ok(Header::from_bytes(bytes)?)
    }

    fn stream_frame(&mut self, header: Header) -> Result<(), SessionEnd> {
        if header.kind == Kind::Data && header.length > INITIAL_WINDOW {
            let text = format!("a data frame of {} bytes is larger than any window", header.length);
            return Err(SessionEnd::Protocol(text));
        }
        let endpoint = if header.flags.has(Flags::SYN) {
            self.accept(header.stream)?
        } else {
            self.shared.streams().get(&header.stream).cloned()
        };
        let credit = match header.kind {
            Kind::Data => {
                self.payload(endpoint.as_deref(), header.length)?;
                0
            }
            _ => header.length,
        };
        // Frames of a stream that is already forgotten are late, not wrong.
        if let Some(endpoint) = endpoint {
            if endpoint.apply(header.flags, credit)? {
                self.shared.forget(header.stream);
            }
        }
        Ok(())
    }

    fn accept(&self, id: u32) -> Result<Option<Arc<Endpoint>>, SessionEnd> {
        if id == 0 || id % 2 != self.shared.peer_parity {
            let text = format!("the peer opened stream {id}, an id that is not its own");
            return Err(SessionEnd::Protocol(text));
        }
        let endpoint = Endpoint::new(id);
        {
            let mut streams = self.shared.streams();
            if streams.contains_key(&id) {
                let text = format!("the peer opened stream {id} twice");
                return Err(SessionEnd::Protocol(text));
            }
            if streams.len() >= MAX_STREAMS {
                drop(streams);
                self.answer(id, Flags::RST);
                return Ok(None);
            }
            streams.insert(id, Arc::clone(&endpoint));
        }
        self.answer(id, Flags::ACK);
        let stream = Stream::new(Arc::clone(&endpoint), Arc::clone(&self.shared));
        // Nobody accepts any more: the stream closes itself when dropped here.
        drop(self.accepted.send(stream));
        Ok(Some(endpoint))
    }

    /// Moves `length` bytes from the socket to the stream, or to nowhere.
    fn payload(&mut self, endpoint: Option<&Endpoint>, length: u32) -> Result<(), SessionEnd> {
        if let Some(endpoint) = endpoint {
            endpoint.flow().admit(length)?;
        }
        let mut chunk = [0; 16 * 1024];
        let mut left = usize::try_from(length).unwrap_or(usize::MAX);
        while left > 0 {
            let want = left.min(chunk.len());
            let Some(part) = chunk.get_mut(..want) else { break };
            match self.source.read(part) {
                Ok(0) => return Err(SessionEnd::Truncated),
                Ok(count) => {
                    left -= count;
                    if let (Some(endpoint), Some(data)) = (endpoint, part.get(..count)) {
                        endpoint.receive(data);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(SessionEnd::Io(error.to_string())),
            }
        }
        Ok(())
    }

    fn answer(&self, stream: u32, flags: Flags) {
        self.shared.send(Header { kind: Kind::WindowUpdate, flags, stream, length: 0 });
    }

    fn session_frame(&self, kind: Kind, flags: Flags, length: u32) {
        self.shared.send(Header { kind, flags, stream: 0, length });
    }
}
