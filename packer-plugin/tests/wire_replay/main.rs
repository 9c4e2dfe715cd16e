//! Recorded connections of real Packers and plugins against this wire: decoded, replayed, damaged.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::too_many_lines,
    unreachable_pub,
    reason = "a test fails by a panic, and its program is its own output"
)]

mod damage;
mod decode;
mod hostile;
mod replay;
mod transcript;
