//! Values for the examples of rules, made up anew in each run: no secret, not even a false one, lies
//! in the repository. `<<hex 40>>` becomes 40 hexadecimal digits, and so on.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

/// Random bytes from the kernel, enough for every example.
#[derive(Debug)]
pub(super) struct Dice(Vec<u8>);

impl Dice {
    pub(super) fn new() -> Self {
        use std::io::Read as _;
        let mut bytes = vec![0; 1 << 16];
        std::fs::File::open("/dev/urandom").unwrap().read_exact(&mut bytes).unwrap();
        Self(bytes)
    }

    fn byte(&mut self) -> u8 {
        self.0.pop().unwrap_or_else(|| {
            *self = Self::new();
            7
        })
    }

    fn text(&mut self, alphabet: &str, count: usize) -> String {
        let letters: Vec<char> = alphabet.chars().collect();
        (0..count).map(|_| letters[usize::from(self.byte()) % letters.len()]).collect()
    }

    /// A text that holds a digit, a small and a capital letter.
    fn mixed(&mut self, alphabet: &str, count: usize) -> String {
        loop {
            let text = self.text(alphabet, count);
            let has = |test: fn(&char) -> bool| {
                text.chars().any(|c| test(&c)) || count < 9 || !alphabet.chars().any(|c| test(&c))
            };
            if has(char::is_ascii_digit)
                && has(char::is_ascii_uppercase)
                && has(char::is_ascii_lowercase)
            {
                return text;
            }
        }
    }

    fn bytes(&mut self, head: &[u8], count: usize) -> Vec<u8> {
        head.iter().copied().chain((0..count).map(|_| self.byte()).collect::<Vec<u8>>()).collect()
    }

    fn armour(label: &str, body: &[u8], newline: &str) -> String {
        let text = STANDARD.encode(body);
        let lines: Vec<&str> =
            text.as_bytes().chunks(64).map(|c| std::str::from_utf8(c).unwrap()).collect();
        format!(
            "-----BEGIN {label}-----{newline}{}{newline}-----END {label}-----",
            lines.join(newline)
        )
    }

    fn jwt(&mut self) -> String {
        let id = self.text("0123456789abcdef", 32);
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let signature =
            self.text("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_-", 43);
        format!(
            "{}.{}.{signature}",
            part(r#"{"alg":"HS256","typ":"JWT"}"#),
            part(&format!(r#"{{"sub":"{id}"}}"#))
        )
    }

    fn value(&mut self, word: &str, rest: &str, before: &str) -> String {
        const DER: &[u8] = &[0x30, 0x82, 0x04, 0xa2];
        let count = rest.parse().unwrap_or(0);
        match word {
            "hex" => self.text("0123456789abcdef", count),
            "HEX" => self.text("0123456789ABCDEF", count),
            "digits" => self.text("123456789", 1) + &self.text("0123456789", count - 1),
            "letters" => self.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", count),
            "lower" => self.mixed("abcdefghijklmnopqrstuvwxyz0123456789", count),
            "upper" => self.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", count),
            "b32" => self.mixed("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", count),
            "bech32" => self.text("QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L", count),
            "crypt" => {
                self.text("./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", count)
            }
            "alnum" => {
                self.mixed("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", count)
            }
            "base64" => {
                self.mixed(
                    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz+/",
                    count - 1,
                ) + "A"
            }
            "base64url" => {
                self.mixed(
                    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_-",
                    count - 1,
                ) + "A"
            }
            "wgkey" => STANDARD.encode(self.bytes(&[], 32)),
            "crc32" => crc32(before),
            "pair" => {
                let password = self.text("abcdefghkmnpqrstuvwxyz23456789", 16);
                STANDARD.encode(format!("ann:{password}"))
            }
            "jwt" => self.jwt(),
            "pem" | "pem-in-json" | "encoded-pem" => {
                let body = self.bytes(DER, 300);
                let newline = if word == "pem-in-json" { "\\n" } else { "\n" };
                let text = Self::armour(rest, &body, newline);
                if word == "encoded-pem" { STANDARD.encode(text) } else { text }
            }
            "openssh" => {
                let body = self.bytes(b"openssh-key-v1\0", 300);
                Self::armour("OPENSSH PRIVATE KEY", &body, "\n")
            }
            "pgp" => {
                let body = self.bytes(&[0x95], 300);
                Self::armour("PGP PRIVATE KEY BLOCK", &body, "\n")
            }
            _ => panic!("no value is called {word}"),
        }
    }

    /// The example with its values.
    pub(super) fn fill(&mut self, example: &str) -> String {
        let mut out = String::new();
        let mut rest = example;
        while let Some((head, tail)) = rest.split_once("<<") {
            let (name, tail) = tail.split_once(">>").unwrap();
            out.push_str(head);
            let (word, argument) = name.split_once(' ').unwrap_or((name, ""));
            let value = self.value(word, argument, &out);
            out.push_str(&value);
            rest = tail;
        }
        out + rest
    }
}

/// The checksum of what stands behind the last `_` of the text before it.
fn crc32(before: &str) -> String {
    const DIGITS: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let body = before.rsplit('_').next().unwrap();
    let mut crc = u32::MAX;
    for byte in body.bytes() {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
        }
    }
    let mut rest = !crc;
    let mut sum = [0; 6];
    for digit in sum.iter_mut().rev() {
        *digit = DIGITS[usize::try_from(rest % 62).unwrap()];
        rest /= 62;
    }
    String::from_utf8(sum.to_vec()).unwrap()
}
