//! Keyed fingerprints: two findings of the same secret look the same, and nobody who reads them can
//! try passwords against them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use hmac_sha256::HMAC;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

use crate::{Error, Result};

/// How a fingerprint begins, so that it is not taken for that of a public key.
pub const PREFIX: &str = "HMAC:";
/// Of the 32 bytes these are enough to tell secrets apart.
const BYTES: usize = 12;

/// With a shorter key a reader of the report could try all of them.
const SHORTEST_KEY: usize = 16;

/// What fingerprints are made with: a text of a policy, or random bytes of one run.
#[derive(Clone)]
pub struct Key(Zeroizing<Vec<u8>>);

/// Never the key.
impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key")
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        if text.len() < SHORTEST_KEY {
            return Err(serde::de::Error::custom("a fingerprint_key has at least 16 characters"));
        }
        Ok(Self(text.as_bytes().to_vec().into()))
    }
}

/// As the policy has it, for the guest that is to make the same fingerprints.
impl Serialize for Key {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        std::str::from_utf8(&self.0).map_err(serde::ser::Error::custom)?.serialize(serializer)
    }
}

impl Key {
    /// A key of this run alone.
    ///
    /// # Errors
    /// The kernel gives no random bytes.
    pub fn random() -> Result<Self> {
        let mut bytes = Zeroizing::new(vec![0; 32]);
        rustix::rand::getrandom(bytes.as_mut_slice(), rustix::rand::GetRandomFlags::empty())
            .map_err(|e| Error::failed("read", "random bytes").because(std::io::Error::from(e)))?;
        Ok(Self(bytes))
    }

    /// The fingerprint of a secret, `HMAC:` and 16 characters.
    pub fn mark(&self, secret: &[u8]) -> String {
        let sum = HMAC::mac(secret, self.0.as_slice());
        format!("{PREFIX}{}", STANDARD_NO_PAD.encode(sum.get(..BYTES).unwrap_or_default()))
    }
}

/// True for what looks like a fingerprint of ours.
pub fn is_mark(text: &str) -> bool {
    text.strip_prefix(PREFIX)
        .is_some_and(|sum| STANDARD_NO_PAD.decode(sum).is_ok_and(|bytes| bytes.len() == BYTES))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_secret_has_the_same_mark_under_one_key_alone() {
        let key = |text: &str| serde_yaml::from_str::<Key>(text);
        let (a, b) = (key("sixteen letters!").unwrap(), Key::random().unwrap());
        assert!(
            key("short").is_err() && serde_yaml::to_string(&a).unwrap() == "sixteen letters!\n"
        );
        assert_eq!(a.mark(b"x"), key("sixteen letters!").unwrap().mark(b"x"));
        assert_ne!(a.mark(b"x"), a.mark(b"y"));
        assert_ne!(a.mark(b"x"), b.mark(b"x"));
        assert!(is_mark(&a.mark(b"x")) && !is_mark("HMAC:x") && !is_mark("SHA256:abc"));
    }
}
