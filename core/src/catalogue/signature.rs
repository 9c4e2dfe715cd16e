//! What a rule of the content scan looks for, as the catalogue writes it down.

use serde::{Deserialize, Serialize};

/// What a secret looks like; for rules with `find: content`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signature {
    /// Literals, one of which stands in every match. The scan looks for these alone and reads on
    /// only where one stands, so they should be long and rare. At least 3 bytes.
    pub anchors: Vec<String>,
    /// The anchors stand in lower, upper or mixed case.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub any_case: bool,
    /// How the text round the anchor is read.
    #[serde(default)]
    pub read: Reader,
    /// A regular expression (crate regex, bytes, ASCII classes) that takes in the anchor. What is
    /// cut is the group `cut`, or `secret`, or the whole match; the secret is the group `secret`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// How many bytes the match may begin before the anchor.
    #[serde(default = "before")]
    pub before: usize,
    /// How many bytes the match may go on behind the beginning of the anchor.
    #[serde(default = "after")]
    pub after: usize,
    /// How sure it is that a match is a secret.
    pub certainty: Certainty,
    /// What every match fulfils.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<Check>,
    /// What a genuine secret fulfils; one that does not is only likely.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<Check>,
    /// What is put in the place of the secret; nothing by default.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub put: String,
    /// Texts that the rule finds, for its test: `<<hex 40>>` and the like stand for a value that
    /// the test makes up.
    pub matches: Vec<String>,
    /// Texts that the rule does not find.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rejects: Vec<String>,
}

fn before() -> usize {
    64
}

fn after() -> usize {
    512
}

/// How the text round an anchor is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reader {
    /// By the rule's regular expression.
    #[default]
    Pattern,
    /// A private key in armour (RFC 7468, OpenSSH, SSH2, PGP), as a file or inside of a string.
    Armour,
    /// Armour that is base64 as a whole, as Kubernetes and cloud-config keep it.
    EncodedArmour,
    /// A name that says secret, a sign, a value: `DB_PASSWORD=...`, `"token": "..."`.
    Assignment,
}

/// How sure it is that a match is a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Certainty {
    /// It may be one: reported, and removed where policy says `content: remove`.
    Likely,
    /// It is one.
    Sure,
}

impl std::fmt::Display for Certainty {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Likely => "likely",
            Self::Sure => "sure",
        })
    }
}

/// What the secret of a match fulfils, written as a word and a number: `entropy 3.5`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Check {
    /// `entropy BITS`: Shannon entropy of its bytes, in bits per byte, is at least this.
    Entropy(f64),
    /// `mixed`: it holds a digit and a letter.
    Mixed,
    /// `crc32`: the last six characters are the CRC-32 of what stands between the last `_` and
    /// them, in base 62, as GitHub and npm make their tokens.
    Crc32,
    /// `encoded-pair`: it is base64 of printable text with a colon, a user and a password.
    EncodedPair,
    /// `jwt-header`: its first part is base64url of a JSON object with `alg` (RFC 7515).
    JwtHeader,
    /// `base64 BYTES`: it is base64 of this many bytes.
    Base64Of(usize),
}

impl TryFrom<String> for Check {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let (word, number) = text.split_once(' ').unwrap_or((&text, ""));
        let wrong = |_| format!("a number behind {word}, not {number:?}");
        match (word, number) {
            ("entropy", n) => n
                .parse()
                .map(Self::Entropy)
                .map_err(|e: std::num::ParseFloatError| wrong(e.to_string())),
            ("base64", n) => n
                .parse()
                .map(Self::Base64Of)
                .map_err(|e: std::num::ParseIntError| wrong(e.to_string())),
            ("mixed", "") => Ok(Self::Mixed),
            ("crc32", "") => Ok(Self::Crc32),
            ("encoded-pair", "") => Ok(Self::EncodedPair),
            ("jwt-header", "") => Ok(Self::JwtHeader),
            _ => Err(format!(
                "expected `entropy BITS`, `base64 BYTES`, `mixed`, `crc32`, `encoded-pair` or \
                 `jwt-header`, not {text:?}"
            )),
        }
    }
}

impl From<Check> for String {
    fn from(check: Check) -> Self {
        match check {
            Check::Entropy(bits) => format!("entropy {bits}"),
            Check::Base64Of(bytes) => format!("base64 {bytes}"),
            Check::Mixed => "mixed".into(),
            Check::Crc32 => "crc32".into(),
            Check::EncodedPair => "encoded-pair".into(),
            Check::JwtHeader => "jwt-header".into(),
        }
    }
}
