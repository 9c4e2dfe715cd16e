//! Packer's plugin protocol, bottom up.
//!
//! One unix socket carries yamux streams ([`yamux`]); each stream starts with a broker id
//! ([`broker`]); stream 0 and the streams named in its calls carry Go's net/rpc over msgpack
//! ([`rpc`], [`msgpack`]). Two messages inside are not msgpack: the exit status of a command
//! ([`gob`]) and the configuration schema ([`spec`], as gob or protobuf).
//!
//! Parsers and encoders here do no I/O of their own; whatever a peer sends ends in a value or in
//! an error, never in a panic, and never in an allocation larger than the peer has paid for.

pub mod broker;
pub mod gob;
pub mod msgpack;
mod protobuf;
pub mod rpc;
pub mod spec;
pub mod yamux;
