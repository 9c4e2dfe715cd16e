//! What tells a secret from a text that only looks like one. Pure, and bounded by the text's length.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

use crate::catalogue::Check;

/// True when `secret` fulfils `check`.
pub(super) fn fulfils(check: Check, secret: &[u8]) -> bool {
    match check {
        Check::Entropy(bits) => entropy(secret) >= bits,
        Check::Mixed => mixed(secret),
        Check::Crc32 => has_crc32(secret),
        Check::EncodedPair => encoded_pair(secret),
        Check::JwtHeader => jwt_header(secret),
        Check::Base64Of(bytes) => decode(secret).is_some_and(|d| d.len() == bytes),
    }
}

/// Shannon entropy in bits per byte; 0 for an empty text.
pub(super) fn entropy(text: &[u8]) -> f64 {
    let mut counts = [0u32; 256];
    for byte in text {
        if let Some(count) = counts.get_mut(usize::from(*byte)) {
            *count += 1;
        }
    }
    let all = f64::from(u32::try_from(text.len()).unwrap_or(u32::MAX)).max(1.0);
    let share = |count: &u32| f64::from(*count) / all;
    counts.iter().filter(|c| **c > 0).map(share).map(|p| -p * p.log2()).sum()
}

/// A digit and a letter.
pub(super) fn mixed(text: &[u8]) -> bool {
    text.iter().any(u8::is_ascii_digit) && text.iter().any(u8::is_ascii_alphabetic)
}

/// Parts of texts that stand where a secret will be, in documentation and templates. At least five
/// characters: in a random text a shorter word is chance.
const INSIDE: &[&str] = &[
    "example",
    "changeme",
    "change_me",
    "change-me",
    "placeholder",
    "your-",
    "your_",
    "dummy",
    "redacted",
    "xxxxxx",
    "insert",
    "replace",
    "sample",
    "removed",
    "......",
    "******",
    "______",
    "------",
    "_here",
    "foobar",
    "1234567890",
    "abcdefgh",
];

/// Words that are one of these are a name, a type or a switch.
const WHOLE: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "none",
    "null",
    "nil",
    "true",
    "false",
    "undefined",
    "default",
    "unset",
    "empty",
    "test",
    "admin",
    "root",
    "user",
    "string",
    "value",
    "key",
    "yes",
    "no",
    "on",
    "off",
    "enabled",
    "disabled",
    "required",
    "optional",
    "sufficient",
    "prompt",
    "ask",
    "file",
    "env",
];

/// Words and forms that stand where a secret will be.
pub(super) fn is_placeholder(secret: &[u8]) -> bool {
    let lower = Zeroizing::new(secret.to_ascii_lowercase());
    let Some(first) = lower.first() else { return true };
    let same = lower.iter().all(|b| b == first);
    // As a person writes it: in a random text letters of both cases stand mixed.
    let inside = |word: &&str| {
        let word = word.as_bytes();
        memchr::memmem::find_iter(&lower, word).any(|at| {
            let raw = secret.get(at..at + word.len()).unwrap_or_default();
            let rest = raw.get(1..).unwrap_or_default();
            !rest.iter().any(u8::is_ascii_uppercase) || !raw.iter().any(u8::is_ascii_lowercase)
        })
    };
    let whole = |word: &&str| lower.as_slice() == word.as_bytes();
    same || WHOLE.iter().any(whole) || INSIDE.iter().any(inside) || is_reference(secret)
}

/// A name of a value that stands elsewhere: `${X}`, `$X`, `{{ x }}`, `%(x)s`, `<x>`, `@x@`, `!vault`.
pub(super) fn is_reference(secret: &[u8]) -> bool {
    let ends = |open: &[u8], close: &[u8]| secret.starts_with(open) && secret.ends_with(close);
    let inside = |text: &[u8]| memchr::memmem::find(secret, text).is_some();
    let variable = secret.strip_prefix(b"$").is_some_and(|name| {
        // `$2b$10$...` is a hash, `$abc` a variable.
        !name.is_empty()
            && !name.contains(&b'$')
            && name.first().is_some_and(|b| !b.is_ascii_digit())
            && name.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_')
    });
    variable
        || ends(b"<", b">")
        || ends(b"@", b"@")
        || ends(b"%", b"%")
        || ends(b"[", b"]")
        || [
            &b"${"[..],
            b"$(",
            b"{{",
            b"}}",
            b"%(",
            b"<%",
            b"#{",
            b"%{",
            b"env:",
            b"getenv",
            b"os.environ",
        ]
        .iter()
        .any(|t| inside(t))
}

/// Base64 in the standard or the URL alphabet, padded or not.
pub(super) fn decode(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
    const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);
    let url = text.iter().any(|b| matches!(b, b'-' | b'_'));
    let decoded = if url { URL_SAFE.decode(text) } else { STANDARD.decode(text) };
    decoded.ok().map(Zeroizing::new)
}

fn has_crc32(secret: &[u8]) -> bool {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let start = secret.iter().rposition(|b| *b == b'_').map_or(0, |at| at + 1);
    let body = secret.get(start..).unwrap_or_default();
    let Some((body, sum)) = body.len().checked_sub(6).map(|at| body.split_at(at)) else {
        return false;
    };
    let mut crc = flate2::Crc::new();
    crc.update(body);
    let mut rest = crc.sum();
    let expected = (0..6).map(|_| {
        let digit = DIGITS.get(usize::try_from(rest % 62).unwrap_or_default());
        rest /= 62;
        digit.copied().unwrap_or_default()
    });
    expected.eq(sum.iter().rev().copied())
}

fn encoded_pair(secret: &[u8]) -> bool {
    decode(secret).is_some_and(|text| {
        let mut parts = text.splitn(2, |b| *b == b':');
        let (user, password) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let printable = |t: &[u8]| t.iter().all(|b| (b' '..0x7f).contains(b));
        !user.is_empty()
            && printable(user)
            && printable(password)
            && password.len() >= 3
            && !is_placeholder(password)
    })
}

fn jwt_header(secret: &[u8]) -> bool {
    let first = secret.split(|b| *b == b'.').next().unwrap_or_default();
    let header = URL_SAFE_NO_PAD.decode(first).or_else(|_| STANDARD_NO_PAD.decode(first));
    header
        .ok()
        .and_then(|text| serde_json::from_slice::<serde_json::Value>(&text).ok())
        .is_some_and(|value| value.get("alg").is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entropy_of_known_texts() {
        assert!(entropy(b"") < 0.001 && entropy(b"aaaa") < 0.001);
        assert!((entropy(b"abab") - 1.0).abs() < 1e-9);
        assert!((entropy(b"abcdefgh") - 3.0).abs() < 1e-9);
    }

    #[test]
    fn placeholders_and_references_are_no_secrets() {
        for text in [
            "changeme",
            "xxxxxxxx",
            "${DB_PASSWORD}",
            "$PASS",
            "{{ vault }}",
            "<password>",
            "%(pw)s",
            "your-token",
            "",
            "AKIAIOSFODNN7EXAMPLE",
        ] {
            assert!(is_placeholder(text.as_bytes()), "{text}");
        }
        for text in ["wsdUmMyfyOuR12", "k3Jd92ks", "$2b$10$N9qo8uLOickgx2ZMRZoMye", "correcthorse"]
        {
            assert!(!is_placeholder(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn the_checksum_is_that_of_github() {
        // CRC-32 of "123456789" is 0xcbf43926 (ITU-T V.42 check value), 3FK5ku... in base 62.
        let mut rest = 0xcbf4_3926_u64;
        let digits = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        let mut sum = Vec::new();
        for _ in 0..6 {
            sum.insert(0, digits[usize::try_from(rest % 62).unwrap()]);
            rest /= 62;
        }
        let mut token = b"ghp_123456789".to_vec();
        token.extend_from_slice(&sum);
        assert!(has_crc32(&token));
        token[5] = b'x';
        assert!(!has_crc32(&token) && !has_crc32(b"abc"));
    }

    #[test]
    fn base64_in_both_alphabets() {
        assert!(encoded_pair(b"YW5uOnMzY3IzdCE="));
        assert!(!encoded_pair(b"YW5uOg=="));
        assert!(jwt_header(b"eyJhbGciOiJIUzI1NiJ9.e30.x"));
        assert!(!jwt_header(b"eyJhIjoxfQ.e30.x"));
    }
}
