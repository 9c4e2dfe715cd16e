//! yamux, the stream multiplexer between Packer and its plugins.
//!
//! Source: the specification in hashicorp/yamux, and real bytes. Threads, no async: one thread
//! reads the socket and never waits for a slow consumer, one writes it. Every wait of a stream
//! ends on data, FIN, RST, a close from another thread or the end of the session.

mod flow;
mod header;
mod outbox;
mod receiver;
mod session;
mod stream;

pub use header::{Flags, HEADER_LEN, Header, HeaderError, Kind};
pub use session::{Incoming, Role, Session, SessionEnd};
pub use stream::{Handle, Stream};

/// Bytes that each direction of a new stream may carry before the receiver grants more.
pub const INITIAL_WINDOW: u32 = 256 * 1024;
