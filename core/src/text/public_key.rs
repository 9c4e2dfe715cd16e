//! SSH public key blobs (RFC 4253 section 6.6, RFC 5656, RFC 8709, OpenSSH's PROTOCOL.u2f and
//! PROTOCOL.certkeys): fingerprint, kind, and whether anybody could use the key.

mod blob;
mod weakness;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

pub use blob::{Curve, Kind};
pub use weakness::Weakness;

use blob::{Key, parse};

/// The fingerprint that `ssh-keygen -l` prints, `SHA256:` and 43 characters of base64. That of a
/// certificate is that of the key inside it; that of an unknown blob is over its bytes.
pub fn fingerprint(blob: &[u8]) -> String {
    format!("SHA256:{}", STANDARD_NO_PAD.encode(digest(blob)))
}

/// Whether a text has the form of a [`fingerprint`].
pub fn is_fingerprint(text: &str) -> bool {
    let digest = text.strip_prefix("SHA256:").and_then(|t| STANDARD_NO_PAD.decode(t).ok());
    digest.is_some_and(|bytes| bytes.len() == 32)
}

/// SHA-256 of the plain key blob, of the inner key for a certificate: what a deny list compares.
pub fn digest(blob: &[u8]) -> [u8; 32] {
    let plain = plain(blob);
    hmac_sha256::Hash::hash(plain.as_deref().unwrap_or(blob))
}

/// The kind of key; [`Kind::Unknown`] when the type is not known or the blob is cut or malformed.
pub fn kind(blob: &[u8]) -> Kind {
    parse(blob).map_or(Kind::Unknown, |parsed| parsed.key.kind())
}

/// True when the blob begins with a type that is known here and is cut or malformed: sshd reads no
/// key in it, whereas a type that is not known may be one of a newer release.
pub fn is_broken(blob: &[u8]) -> bool {
    blob::names_known_type(blob) && parse(blob).is_none()
}

/// True when the blob is a certificate of a known kind.
pub fn is_certificate(blob: &[u8]) -> bool {
    parse(blob).is_some_and(|parsed| parsed.certificate)
}

/// The plain key blob: the key inside a certificate, else the blob itself. `None` when the blob is
/// malformed or its type unknown.
pub fn plain(blob: &[u8]) -> Option<Vec<u8>> {
    parse(blob).map(|parsed| parsed.plain())
}

/// The RSA modulus without leading zeros. Two RSA keys with one modulus open with one private key,
/// whatever their exponents.
pub fn rsa_modulus(blob: &[u8]) -> Option<Vec<u8>> {
    match parse(blob)?.key {
        Key::Rsa { modulus, .. } => Some(modulus.to_vec()),
        _ => None,
    }
}

/// Judges the key itself (for a certificate the key inside): `Ok` when nothing says that a stranger
/// could use it. Not checked: whether a point lies on its curve (nobody can sign for one that does
/// not; sshd itself refuses such ECDSA keys), and lists of known private keys.
///
/// # Errors
/// The first weakness found; also for blobs that sshd would not parse.
pub fn check(blob: &[u8]) -> Result<(), Weakness> {
    weakness::check(&parse(blob).ok_or(Weakness::Malformed)?.key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RFC 4251 `string`s one after the other.
    pub(super) fn strings(parts: &[&[u8]]) -> Vec<u8> {
        parts
            .iter()
            .flat_map(|p| [&u32::try_from(p.len()).unwrap().to_be_bytes()[..], p].concat())
            .collect()
    }

    #[test]
    fn a_certificate_counts_as_its_key() {
        let point = [7u8; 32];
        let plain_blob = strings(&[b"ssh-ed25519", &point]);
        let cert = strings(&[b"ssh-ed25519-cert-v01@openssh.com", b"nonce", &point, b"rest"]);
        assert!(is_certificate(&cert) && !is_certificate(&plain_blob));
        assert_eq!(plain(&cert), Some(plain_blob.clone()));
        assert_eq!(fingerprint(&cert), fingerprint(&plain_blob));
        assert_eq!(digest(&cert), digest(&plain_blob));
        assert_eq!(kind(&cert), Kind::Ed25519);

        let sk = strings(&[b"sk-ssh-ed25519@openssh.com", &point, b"ssh:"]);
        let sk_cert =
            strings(&[b"sk-ssh-ed25519-cert-v01@openssh.com", b"nonce", &point, b"ssh:", b"rest"]);
        assert_eq!(plain(&sk_cert), Some(sk));
    }

    #[test]
    fn cut_and_foreign_blobs_are_unknown() {
        let blob = strings(&[b"ssh-ed25519", &[7; 32]]);
        for end in 0..blob.len() {
            assert_eq!(kind(&blob[..end]), Kind::Unknown);
            assert_eq!(check(&blob[..end]), Err(Weakness::Malformed));
            assert_eq!(is_broken(&blob[..end]), end >= 4 + "ssh-ed25519".len());
        }
        assert_eq!(kind(&[&blob[..], b"x"].concat()), Kind::Unknown, "bytes behind the key");
        let foreign = strings(&[b"ssh-xmss@openssh.com", b""]);
        assert_eq!(kind(&foreign), Kind::Unknown);
        assert!(!is_broken(&foreign) && !is_broken(&blob));
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200), pick in 0usize..12) {
            let names: [&[u8]; 12] = [
                b"ssh-rsa", b"ssh-dss", b"ssh-ed25519", b"ecdsa-sha2-nistp256", b"ssh-rsa-cert-v01@openssh.com",
                b"sk-ssh-ed25519@openssh.com", b"sk-ecdsa-sha2-nistp256@openssh.com", b"ecdsa-sha2-nistp521",
                b"ssh-ed25519-cert-v01@openssh.com", b"ecdsa-sha2-nistp384-cert-v01@openssh.com", b"", b"x",
            ];
            for blob in [bytes.clone(), [strings(&[names[pick]]), bytes].concat()] {
                let _ = (fingerprint(&blob), kind(&blob), plain(&blob), rsa_modulus(&blob)).0;
                prop_assert_eq!(check(&blob) == Err(Weakness::Malformed), kind(&blob) == Kind::Unknown);
            }
        }
    }
}
