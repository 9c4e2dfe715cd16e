//! Taking a key blob apart: RFC 4251 strings in the order of each key type.

use std::fmt;

/// The kind of a key, a certificate counting as the key inside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `ssh-rsa`.
    Rsa,
    /// `ssh-dss`.
    Dsa,
    /// `ecdsa-sha2-*`.
    Ecdsa(Curve),
    /// `ssh-ed25519`.
    Ed25519,
    /// `sk-ecdsa-sha2-nistp256@openssh.com`: ECDSA in a FIDO token.
    SkEcdsa,
    /// `sk-ssh-ed25519@openssh.com`: Ed25519 in a FIDO token.
    SkEd25519,
    /// Nothing that is known here, or malformed.
    Unknown,
}

/// A curve of RFC 5656.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Curve {
    /// `nistp256`.
    P256,
    /// `nistp384`.
    P384,
    /// `nistp521`.
    P521,
}

impl Curve {
    /// Length of an uncompressed point in bytes (SEC 1 section 2.3.3): `04`, x, y.
    pub(super) const fn point_length(self) -> usize {
        match self {
            Self::P256 => 65,
            Self::P384 => 97,
            Self::P521 => 133,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::P256 => "nistp256",
            Self::P384 => "nistp384",
            Self::P521 => "nistp521",
        }
    }

    fn from_name(name: &[u8]) -> Option<Self> {
        [Self::P256, Self::P384, Self::P521].into_iter().find(|c| c.name().as_bytes() == name)
    }
}

impl fmt::Display for Kind {
    /// The name that `ssh-keygen -l` puts in brackets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rsa => "RSA",
            Self::Dsa => "DSA",
            Self::Ecdsa(_) => "ECDSA",
            Self::Ed25519 => "ED25519",
            Self::SkEcdsa => "ECDSA-SK",
            Self::SkEd25519 => "ED25519-SK",
            Self::Unknown => "unknown",
        })
    }
}

/// The fields of a key that the checks need.
pub(super) enum Key<'a> {
    Rsa { exponent: &'a [u8], modulus: &'a [u8] },
    Dsa,
    Ecdsa { named: Curve, inside: &'a [u8], point: &'a [u8], token: bool },
    Ed25519 { point: &'a [u8], token: bool },
}

impl Key<'_> {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Rsa { .. } => Kind::Rsa,
            Self::Dsa => Kind::Dsa,
            Self::Ecdsa { token: true, .. } => Kind::SkEcdsa,
            Self::Ecdsa { named, .. } => Kind::Ecdsa(*named),
            Self::Ed25519 { token: true, .. } => Kind::SkEd25519,
            Self::Ed25519 { .. } => Kind::Ed25519,
        }
    }

    /// True when an ECDSA blob names the same curve in its type and inside.
    pub(super) fn curve_fits(&self) -> bool {
        !matches!(self, Self::Ecdsa { named, inside, .. } if Curve::from_name(inside) != Some(*named))
    }
}

/// A blob taken apart.
pub(super) struct Parsed<'a> {
    pub(super) key: Key<'a>,
    pub(super) certificate: bool,
    /// Type name of the plain key.
    name: Vec<u8>,
    /// The bytes of the key's fields, without type name and nonce.
    fields: &'a [u8],
}

impl Parsed<'_> {
    pub(super) fn plain(&self) -> Vec<u8> {
        let length = u32::try_from(self.name.len()).unwrap_or_default();
        [&length.to_be_bytes(), self.name.as_slice(), self.fields].concat()
    }
}

/// `None` when the type is unknown, a field is missing or a plain key has bytes behind its fields.
pub(super) fn parse(blob: &[u8]) -> Option<Parsed<'_>> {
    let mut rest = blob;
    let (name, certificate) = plain_name(string(&mut rest)?);
    if certificate {
        string(&mut rest)?; // the nonce
    }
    let start = rest;
    let key = key(&name, &mut rest)?;
    if !certificate && !rest.is_empty() {
        return None;
    }
    let fields = start.get(..start.len() - rest.len())?;
    Some(Parsed { key, certificate, name, fields })
}

/// Type name of the key inside (`PROTOCOL.certkeys`), and whether the blob is a certificate.
fn plain_name(name: &[u8]) -> (Vec<u8>, bool) {
    let Some(stem) = name.strip_suffix(b"-cert-v01@openssh.com".as_slice()) else {
        return (name.to_vec(), false);
    };
    let vendor: &[u8] = if stem.starts_with(b"sk-") { b"@openssh.com" } else { b"" };
    ([stem, vendor].concat(), true)
}

/// True when the blob begins with a type that is taken apart here, so that a blob which cannot be
/// is broken and not merely foreign.
pub(super) fn names_known_type(blob: &[u8]) -> bool {
    let mut rest = blob;
    string(&mut rest).is_some_and(|name| KNOWN.contains(&plain_name(name).0.as_slice()))
}

/// The types that [`key`] reads.
const KNOWN: [&[u8]; 8] = [
    b"ssh-rsa",
    b"ssh-dss",
    b"ssh-ed25519",
    b"sk-ssh-ed25519@openssh.com",
    b"sk-ecdsa-sha2-nistp256@openssh.com",
    b"ecdsa-sha2-nistp256",
    b"ecdsa-sha2-nistp384",
    b"ecdsa-sha2-nistp521",
];

fn key<'a>(name: &[u8], rest: &mut &'a [u8]) -> Option<Key<'a>> {
    Some(match name {
        b"ssh-rsa" => Key::Rsa { exponent: mpint(rest)?, modulus: mpint(rest)? },
        b"ssh-dss" => {
            for _ in 0..4 {
                mpint(rest)?; // p, q, g, y
            }
            Key::Dsa
        }
        b"ssh-ed25519" => Key::Ed25519 { point: string(rest)?, token: false },
        b"sk-ssh-ed25519@openssh.com" => {
            let point = string(rest)?;
            string(rest)?; // the application
            Key::Ed25519 { point, token: true }
        }
        b"sk-ecdsa-sha2-nistp256@openssh.com" => {
            let (inside, point) = (string(rest)?, string(rest)?);
            string(rest)?; // the application
            Key::Ecdsa { named: Curve::P256, inside, point, token: true }
        }
        _ => {
            let named = Curve::from_name(name.strip_prefix(b"ecdsa-sha2-".as_slice())?)?;
            Key::Ecdsa { named, inside: string(rest)?, point: string(rest)?, token: false }
        }
    })
}

/// Cuts a `string` of RFC 4251 section 5 off the front.
fn string<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, tail) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (head, tail) = tail.split_at_checked(length)?;
    *rest = tail;
    Some(head)
}

/// Cuts a positive `mpint` off the front, without its leading zeros.
fn mpint<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let number = string(rest)?;
    if number.first().is_some_and(|b| b & 0x80 != 0) {
        return None;
    }
    let zeros = number.iter().take_while(|b| **b == 0).count();
    number.get(zeros..)
}
