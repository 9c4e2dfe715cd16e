use super::{take_int, take_uint};

/// The response stream held no exit status.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StatusError {
    /// It ended before a value came.
    #[error("the stream ended before the exit status")]
    Missing,
    /// It is no gob of `CommandFinished`.
    #[error("the exit status is malformed")]
    Malformed,
}

/// Reads `CommandFinished { ExitStatus int }`, the whole content of a command's response stream.
///
/// The type id is that of the writing process and means nothing here. Status 0 is an absent field.
///
/// # Errors
/// [`StatusError`]; the Go SDK reports 123 in both cases.
pub fn exit_status(mut stream: &[u8]) -> Result<i64, StatusError> {
    loop {
        if stream.is_empty() {
            return Err(StatusError::Missing);
        }
        let len = take_uint(&mut stream).ok_or(StatusError::Malformed)?;
        let len = usize::try_from(len).map_err(|_| StatusError::Malformed)?;
        let (mut message, rest) = stream.split_at_checked(len).ok_or(StatusError::Malformed)?;
        stream = rest;
        let id = take_int(&mut message).ok_or(StatusError::Malformed)?;
        if id > 0 {
            return struct_value(message).ok_or(StatusError::Malformed);
        }
    }
}

fn struct_value(mut message: &[u8]) -> Option<i64> {
    let status = match take_uint(&mut message)? {
        0 => return message.is_empty().then_some(0),
        1 => take_int(&mut message)?,
        _ => return None,
    };
    (message == [0]).then_some(status)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A definition and a value as Packer 1.6.6 and packer-plugin-sdk 0.6.10 send them.
    fn stream(value: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x2b, 0x7f, 0x03, 0x01, 0x01, 0x0f];
        bytes.extend_from_slice(b"CommandFinished");
        bytes.extend_from_slice(&[0x01, 0xff, 0x80, 0x00, 0x01, 0x01, 0x01, 0x0a]);
        bytes.extend_from_slice(b"ExitStatus");
        bytes.extend_from_slice(&[0x01, 0x04, 0x00, 0x00, 0x00]);
        bytes.extend_from_slice(value);
        bytes
    }

    #[test]
    fn real_values() {
        let table: [(i64, &[u8]); 11] = [
            (0, &[0x03, 0xff, 0x80, 0x00]),
            (1, &[0x05, 0xff, 0x80, 0x01, 0x02, 0x00]),
            (2, &[0x05, 0xff, 0x80, 0x01, 0x04, 0x00]),
            (63, &[0x05, 0xff, 0x80, 0x01, 0x7e, 0x00]),
            (64, &[0x06, 0xff, 0x80, 0x01, 0xff, 0x80, 0x00]),
            (-1, &[0x05, 0xff, 0x80, 0x01, 0x01, 0x00]),
            (123, &[0x06, 0xff, 0x80, 0x01, 0xff, 0xf6, 0x00]),
            (127, &[0x06, 0xff, 0x80, 0x01, 0xff, 0xfe, 0x00]),
            (128, &[0x07, 0xff, 0x80, 0x01, 0xfe, 0x01, 0x00, 0x00]),
            (255, &[0x07, 0xff, 0x80, 0x01, 0xfe, 0x01, 0xfe, 0x00]),
            (2_300_218, &[0x08, 0xff, 0x80, 0x01, 0xfd, 0x46, 0x32, 0x74, 0x00]),
        ];
        for (status, value) in table {
            assert_eq!(exit_status(&stream(value)), Ok(status));
        }
    }

    #[test]
    fn every_cut_is_an_error() {
        let whole = stream(&[0x07, 0xff, 0x80, 0x01, 0xfe, 0x01, 0xfe, 0x00]);
        for cut in 0..whole.len() {
            assert!(exit_status(&whole[..cut]).is_err(), "cut at {cut}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_end(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            drop(exit_status(&bytes));
        }
    }
}
