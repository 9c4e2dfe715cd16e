//! Private keys in armour: PEM (RFC 7468, RFC 1421), OpenSSH, SSH2 (RFC 4716) and OpenPGP (RFC 9580),
//! as files or inside of strings with escaped line ends.

use std::ops::Range;

use memchr::memmem;
use zeroize::Zeroizing;

use super::check::{decode, entropy};
use crate::catalogue::Certainty;

/// The longest header before `PRIVATE KEY`, `-----BEGIN ENCRYPTED ` among them.
const HEAD: usize = 48;
/// The largest key that is taken for one: RSA with 16384 bits has 13 KiB, OpenPGP may have subkeys.
pub(super) const LONGEST: usize = 48 << 10;
/// An Ed25519 key in PKCS #8 has 64 characters; what is shorter is no key.
const SHORTEST: usize = 40;

/// The armour whose first line holds the anchor at `at`.
pub(super) fn read(text: &[u8], at: usize) -> Option<(Range<usize>, Certainty)> {
    let from = at.saturating_sub(HEAD);
    let before = text.get(from..at)?;
    let begin =
        memmem::rfind(before, b"-- BEGIN ").or_else(|| memmem::rfind(before, b"--BEGIN "))?;
    let dashes = before.get(..begin + 2)?.iter().rev().take_while(|b| **b == b'-').count();
    let start = from + begin + 2 - dashes;
    let label_at = start + dashes + memmem::find(text.get(start + dashes..at)?, b"BEGIN ")? + 6;
    let body_at = at + memmem::find(text.get(at..(at + 32).min(text.len()))?, b"----")?;
    let label = text.get(label_at..body_at)?.trim_ascii_end();
    if label.iter().any(|b| !b.is_ascii_alphanumeric() && *b != b' ') {
        return None;
    }
    let after = text.get(body_at..(body_at + LONGEST).min(text.len()))?;
    let dashes = after.iter().take_while(|b| **b == b'-').count();
    let (body, end) = match end_of(after, label) {
        Some((body_end, end)) => (after.get(dashes..body_end)?, end),
        // A key whose end is missing is still most of a key.
        None => {
            let body = after.get(dashes..)?;
            let is_body = |b: &u8| b.is_ascii_alphanumeric() || b" \t\r\n\\+/=:,.-".contains(b);
            let end = body.iter().take_while(|b| is_body(b)).count();
            (body.get(..end)?, dashes + end)
        }
    };
    let certainty = judge(label, body)?;
    Some((start..body_at + end, certainty))
}

/// Where the body ends, and the whole armour.
fn end_of(after: &[u8], label: &[u8]) -> Option<(usize, usize)> {
    memmem::find_iter(after, b"END ").find_map(|at| {
        let rest = after.get(at + 4..)?.strip_prefix(label)?;
        let rest = rest.strip_prefix(b" ").unwrap_or(rest);
        let dashes = rest.iter().take_while(|b| **b == b'-').count();
        let head = after.get(..at)?;
        let head = head.strip_suffix(b" ").unwrap_or(head);
        let body = head.iter().rposition(|b| *b != b'-').map_or(0, |last| last + 1);
        (dashes >= 4 && body < head.len()).then(|| (body, after.len() - rest.len() + dashes))
    })
}

fn judge(label: &[u8], body: &[u8]) -> Option<Certainty> {
    let encrypted = memmem::find(body, b"ENCRYPTED").is_some()
        || label.starts_with(b"PGP")
        || label.starts_with(b"SSH2");
    let bare = bare(body);
    if bare.len() < SHORTEST || entropy(&bare) < 3.0 {
        return None;
    }
    let head = bare.get(..bare.len().min(32) / 4 * 4).and_then(decode).unwrap_or_default();
    // A SEQUENCE of DER, or the magic of PROTOCOL.key.
    let known =
        head.starts_with(b"openssh-key-v1") || matches!(head.get(..2), Some([0x30, 0x20..=0x83]));
    Some(if encrypted || known { Certainty::Sure } else { Certainty::Likely })
}

/// The base64 of a body: without headers, line ends (escaped ones too), quotes and indentation.
fn bare(body: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(body.len()));
    let mut line_start = 0;
    let mut bytes = body.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => {
                bytes.next_if(|b| matches!(b, b'n' | b'r' | b't'));
                line_start = out.len();
            }
            b'\n' => line_start = out.len(),
            // A header line, or a string that goes on in the next line.
            b':' => {
                out.truncate(line_start);
                while bytes.next_if(|b| !matches!(b, b'\n' | b'\\')).is_some() {}
            }
            _ if byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=') => {
                out.push(byte);
            }
            _ => {}
        }
    }
    out
}

/// Armour that is base64 as a whole, beginning at the anchor.
pub(super) fn read_encoded(text: &[u8], at: usize) -> Option<Range<usize>> {
    let rest = text.get(at..(at + LONGEST * 4 / 3).min(text.len()))?;
    let is_part = |b: &u8| b.is_ascii_alphanumeric() || b"+/= \t\r\n".contains(b);
    let mut run = rest.iter().take_while(|b| is_part(b)).count();
    // What follows on the next lines may be the next key of a document: its words are no base64.
    let digits = loop {
        let part = rest.get(..run)?;
        let digits: Zeroizing<Vec<u8>> =
            part.iter().copied().filter(|b| !b.is_ascii_whitespace()).collect::<Vec<u8>>().into();
        if decode(&digits).is_some() {
            break digits;
        }
        run = part.trim_ascii_end().iter().rposition(u8::is_ascii_whitespace)?;
    };
    let decoded = decode(&digits)?;
    let end = rest.get(..run)?.trim_ascii_end().len();
    memmem::find(&decoded, b"PRIVATE KEY").map(|_| at..at + end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    /// The body of a key that nobody has.
    fn body(len: usize) -> String {
        let mut bytes = vec![0x30, 0x82];
        bytes.extend((0..len).map(|i| u8::try_from(i * 89 % 251).unwrap()));
        STANDARD.encode(bytes)
    }

    fn pem(label: &str, body: &str, newline: &str) -> String {
        let lines: Vec<&str> =
            body.as_bytes().chunks(64).map(|c| std::str::from_utf8(c).unwrap()).collect();
        format!(
            "-----BEGIN {label}-----{newline}{}{newline}-----END {label}-----",
            lines.join(newline)
        )
    }

    fn found(text: &str) -> Option<(Range<usize>, Certainty)> {
        read(text.as_bytes(), memmem::find(text.as_bytes(), b"PRIVATE KEY")?)
    }

    #[test]
    fn a_key_is_found_from_dash_to_dash() {
        for (label, newline) in [
            ("RSA PRIVATE KEY", "\n"),
            ("PRIVATE KEY", "\\n"),
            ("EC PRIVATE KEY", "\r\n"),
            ("PRIVATE KEY", "\n      "),
        ] {
            let key = pem(label, &body(300), newline);
            let text = format!("before: \"{key}\" after");
            assert_eq!(found(&text), Some((9..9 + key.len(), Certainty::Sure)), "{label}");
        }
    }

    #[test]
    fn an_encrypted_key_needs_no_der() {
        let text = "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00AA\n\n".to_owned()
            + &STANDARD.encode(body(90));
        let key =
            format!("-----BEGIN RSA PRIVATE KEY-----\n{text}\n-----END RSA PRIVATE KEY-----\n");
        assert_eq!(found(&key).unwrap().1, Certainty::Sure);
    }

    #[test]
    fn a_cut_key_is_one_and_a_header_alone_is_none() {
        let key = pem("PRIVATE KEY", &body(300), "\n");
        assert!(found(key.get(..200).unwrap()).is_some());
        assert_eq!(found("-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----"), None);
        assert_eq!(found("if line == '-----BEGIN PRIVATE KEY-----': pass"), None);
        assert_eq!(found("-----END PRIVATE KEY-----"), None);
    }

    #[test]
    fn armour_in_base64_is_found_with_its_lines() {
        let whole = STANDARD.encode(pem("PRIVATE KEY", &body(300), "\n"));
        let text = format!("tls.key: {whole}\nother: x\n");
        assert_eq!(read_encoded(text.as_bytes(), 9), Some(9..9 + whole.len()));
        let public = STANDARD.encode(pem("CERTIFICATE", &body(300), "\n"));
        assert_eq!(read_encoded(public.as_bytes(), 0), None);
    }
}
