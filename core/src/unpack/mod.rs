//! Unpackers whose memory has a bound, for files that anybody may have written.

mod xz;
mod zstd;

#[cfg(test)]
pub(crate) use xz::tests::packed as packed_xz;
pub(crate) use xz::xz;
pub(crate) use zstd::{Zstd, zstd_frame};
