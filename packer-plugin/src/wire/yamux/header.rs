/// Length of every header on the wire.
pub const HEADER_LEN: usize = 12;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Payload follows, `length` bytes of it.
    Data,
    /// `length` is added to the sender's window.
    WindowUpdate,
    /// On stream 0; `length` is opaque and echoed.
    Ping,
    /// On stream 0; `length` 0 normal, 1 protocol error, 2 internal error.
    GoAway,
}

/// Bits that may ride on Data and WindowUpdate; SYN and ACK also on Ping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags(pub u16);

impl Flags {
    /// Opens a stream; on Ping the question.
    pub const SYN: Self = Self(1);
    /// Accepts a stream; on Ping the answer.
    pub const ACK: Self = Self(2);
    /// The sender writes no more.
    pub const FIN: Self = Self(4);
    /// The stream is void in both directions.
    pub const RST: Self = Self(8);
    /// None of them.
    pub const NONE: Self = Self(0);

    /// Whether all bits of `other` are set.
    #[must_use]
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// The fixed part of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// What the frame is.
    pub kind: Kind,
    /// Its flags.
    pub flags: Flags,
    /// The stream, 0 for the session itself.
    pub stream: u32,
    /// Depends on `kind`.
    pub length: u32,
}

/// Twelve bytes that are no header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// The first byte is not 0.
    #[error(
        "yamux version {0} is not supported (this is version 0): the peer does not speak yamux"
    )]
    Version(u8),
    /// The second byte is above 3.
    #[error("yamux frame type {0} does not exist")]
    Kind(u8),
}

impl Header {
    /// Big endian, in the order version, type, flags, stream, length.
    #[must_use]
    pub fn to_bytes(self) -> [u8; HEADER_LEN] {
        let kind = match self.kind {
            Kind::Data => 0,
            Kind::WindowUpdate => 1,
            Kind::Ping => 2,
            Kind::GoAway => 3,
        };
        let [f0, f1] = self.flags.0.to_be_bytes();
        let [s0, s1, s2, s3] = self.stream.to_be_bytes();
        let [l0, l1, l2, l3] = self.length.to_be_bytes();
        [0, kind, f0, f1, s0, s1, s2, s3, l0, l1, l2, l3]
    }

    /// The inverse of [`Header::to_bytes`].
    ///
    /// # Errors
    /// A wrong version or an unknown type.
    pub fn from_bytes(bytes: [u8; HEADER_LEN]) -> Result<Self, HeaderError> {
        let [version, kind, f0, f1, s0, s1, s2, s3, l0, l1, l2, l3] = bytes;
        if version != 0 {
            return Err(HeaderError::Version(version));
        }
        let kind = match kind {
            0 => Kind::Data,
            1 => Kind::WindowUpdate,
            2 => Kind::Ping,
            3 => Kind::GoAway,
            other => return Err(HeaderError::Kind(other)),
        };
        Ok(Self {
            kind,
            flags: Flags(u16::from_be_bytes([f0, f1])),
            stream: u32::from_be_bytes([s0, s1, s2, s3]),
            length: u32::from_be_bytes([l0, l1, l2, l3]),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn first_frame_of_packer() {
        let bytes = [0, 1, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0];
        let header = Header { kind: Kind::WindowUpdate, flags: Flags::SYN, stream: 1, length: 0 };
        assert_eq!(Header::from_bytes(bytes), Ok(header));
        assert_eq!(header.to_bytes(), bytes);
    }

    proptest! {
        #[test]
        fn any_twelve_bytes_come_back_or_are_refused(bytes: [u8; HEADER_LEN]) {
            match Header::from_bytes(bytes) {
                Ok(header) => prop_assert_eq!(header.to_bytes(), bytes),
                Err(HeaderError::Version(version)) => prop_assert_eq!(version, bytes[0]),
                Err(HeaderError::Kind(kind)) => prop_assert!(kind > 3),
            }
        }
    }
}
