//! Go's net/rpc over msgpack: two values per message, a header and a body, nothing around them.
//!
//! Request header `{ServiceMethod, Seq}`, response header `{ServiceMethod, Seq, Error}`. Numbers
//! start at 0 per direction of a connection. Answers come in any order. A failed call has an
//! error text and an empty map as body.

mod client;
mod server;

pub use client::{CallError, Client, Pending};
pub use server::{Handler, Job, Outcome, ServeError, Server};
