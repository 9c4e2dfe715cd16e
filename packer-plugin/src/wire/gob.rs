//! The two gob messages of the protocol: a command's exit status (read) and the schema (written).
//!
//! Source: the documentation of Go's `encoding/gob`, and real bytes of both ends.
//! An unsigned number below 128 is one byte; else one byte with the negated count of big-endian
//! bytes that follow. A signed number is zigzag in an unsigned one. A stream is a sequence of
//! length-prefixed messages; each starts with a signed type id, negative for a type definition.

mod spec;
mod status;

pub(super) use spec::config_spec;
pub use status::{StatusError, exit_status};

fn put_uint(number: u64, out: &mut Vec<u8>) {
    if let Ok(small @ 0..0x80) = u8::try_from(number) {
        out.push(small);
        return;
    }
    let bytes = number.to_be_bytes();
    let used: Vec<u8> = bytes.into_iter().skip_while(|byte| *byte == 0).collect();
    // 1..=8 bytes are used, so the negated count is 0xff..=0xf8.
    out.push(u8::try_from(used.len()).unwrap_or(8).wrapping_neg());
    out.extend_from_slice(&used);
}

fn put_int(number: i64, out: &mut Vec<u8>) {
    let zigzag = number.wrapping_shl(1) ^ (number >> 63);
    put_uint(u64::from_ne_bytes(zigzag.to_ne_bytes()), out);
}

fn take_uint(bytes: &mut &[u8]) -> Option<u64> {
    let (first, rest) = bytes.split_first()?;
    if *first < 0x80 {
        *bytes = rest;
        return Some(u64::from(*first));
    }
    let count = usize::from(first.wrapping_neg());
    if count > 8 {
        return None;
    }
    let (number, rest) = rest.split_at_checked(count)?;
    *bytes = rest;
    Some(number.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
}

fn take_int(bytes: &mut &[u8]) -> Option<i64> {
    let zigzag = take_uint(bytes)?;
    let magnitude = i64::try_from(zigzag >> 1).ok()?;
    Some(if zigzag & 1 == 0 { magnitude } else { !magnitude })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn signed_numbers_survive(number: i64) {
            let mut bytes = Vec::new();
            put_int(number, &mut bytes);
            let mut rest = bytes.as_slice();
            prop_assert_eq!(take_int(&mut rest), Some(number));
            prop_assert!(rest.is_empty());
        }

        #[test]
        fn unsigned_numbers_survive(number: u64) {
            let mut bytes = Vec::new();
            put_uint(number, &mut bytes);
            let mut rest = bytes.as_slice();
            prop_assert_eq!(take_uint(&mut rest), Some(number));
            prop_assert!(rest.is_empty());
        }
    }
}
