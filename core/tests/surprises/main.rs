//! What people and programs leave in images that no rule was written for: links, shared inodes,
//! odd names, half-written files. A scrub goes on, touches nobody else's, and says what it saw.

#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

mod accounts;
mod copies;
mod image;
mod links;
