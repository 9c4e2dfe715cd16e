//! Random values in the shapes that real programs give to their secrets.

use rand::rngs::StdRng;
use rand::{Rng, RngCore, SeedableRng};

/// Names of the shapes and how a value of each looks: text, and `{class:length}` for random
/// characters; the classes are in [`alphabet`].
const SHAPES: &[(&str, &str)] = &[
    // Password hashes, crypt(5).
    ("yescrypt", "$y$j9T${c:22}${c:43}"),
    ("sha512crypt", "$6${c:16}${c:86}"),
    ("sha512crypt-rounds", "$6$rounds=656000${c:16}${c:86}"),
    ("sha256crypt", "$5${c:16}${c:43}"),
    ("md5crypt", "$1${c:8}${c:22}"),
    ("apr1", "$apr1${c:8}${c:22}"),
    ("bcrypt", "$2b$12${c:53}"),
    ("descrypt", "{c:13}"),
    ("argon2id", "$argon2id$v=19$m=65536,t=3,p=4${b:22}${b:43}"),
    ("grub-pbkdf2", "grub.pbkdf2.sha512.10000.{H:128}.{H:128}"),
    ("ssha", "{SSHA}{b:38}"),
    ("nthash", "{H:32}"),
    // Tokens of known issuers.
    ("aws-id", "AKIA{3:16}"),
    ("aws-session-id", "ASIA{3:16}"),
    ("aws-secret", "{b:40}"),
    ("aliyun-id", "LTAI5t{a:18}"),
    ("aliyun-secret", "{a:30}"),
    ("azure-key", "{b:86}=="),
    ("azure-client", "{w:3}8Q~{w:34}"),
    ("gcp-api", "AIza{w:35}"),
    ("gcp-oauth", "ya29.{w:120}"),
    ("github-fine", "github_pat_{a:22}_{a:59}"),
    ("gitlab", "glpat-{w:20}"),
    ("gitlab-runner", "glrt-{w:20}"),
    ("slack-bot", "xoxb-{d:12}-{d:12}-{a:24}"),
    ("slack-hook", "https://hooks.slack.com/services/T{U:9}/B{U:9}/{a:24}"),
    ("pypi", "pypi-AgEIcHlwaS5vcmc{w:120}"),
    ("vault", "hvs.CAESI{w:90}"),
    ("vault-old", "s.{a:24}"),
    ("stripe", "sk_live_{a:24}"),
    ("sendgrid", "SG.{w:22}.{w:43}"),
    ("twilio", "SK{h:32}"),
    ("digitalocean", "dop_v1_{h:64}"),
    ("huggingface", "hf_{m:34}"),
    ("docker-pat", "dckr_pat_{w:27}"),
    ("terraform", "{a:14}.atlasv1.{a:67}"),
    ("telegram", "{d:10}:AA{w:33}"),
    ("databricks", "dapi{h:32}"),
    ("newrelic", "NRAK-{U:27}"),
    ("grafana", "glsa_{a:32}_{h:8}"),
    ("age", "AGE-SECRET-KEY-1{8:58}"),
    ("linode", "{h:64}"),
    ("tailscale", "tskey-auth-k{a:11}CNTRL-{a:32}"),
    ("shopify", "shpat_{h:32}"),
    ("mailgun", "key-{h:32}"),
    ("doppler", "dp.pt.{a:43}"),
    ("pulumi", "pul-{h:40}"),
    ("sentry", "sntrys_{w:120}"),
    ("postman", "PMAK-{h:24}-{h:34}"),
    ("cargo", "cio{a:32}"),
    // Without a shape of their own.
    ("hex32", "{h:32}"),
    ("hex40", "{h:40}"),
    ("hex64", "{h:64}"),
    ("b64-32", "{b:43}="),
    ("b64-24", "{b:32}"),
    ("alnum24", "{a:24}"),
    ("alnum32", "{a:32}"),
    ("alnum40", "{a:40}"),
    ("wireguard", "{b:42}8="),
    ("uuid", "{h:8}-{h:4}-4{h:3}-a{h:3}-{h:12}"),
    ("digits", "{d:12}"),
    ("word", "{l:9}"),
];

const LETTERS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const DIGITS: &str = "0123456789";
const CONSONANTS: &str = "bcdfghklmnprstvwz";
const VOWELS: &str = "aeiou";

/// A source of values that the same seed repeats.
#[derive(Debug)]
pub struct Dice {
    rng: StdRng,
    seed: u64,
}

impl Dice {
    /// Takes the seed from `DISINHERIT_SEED`, else a new one.
    pub fn new() -> Self {
        let given = std::env::var("DISINHERIT_SEED").ok().and_then(|text| text.parse().ok());
        Self::with_seed(given.unwrap_or_else(rand::random))
    }

    /// The values that belong to `seed`.
    pub fn with_seed(seed: u64) -> Self {
        Self { rng: StdRng::seed_from_u64(seed), seed }
    }

    /// What repeats this run.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        self.rng.random_range(0..end.max(1))
    }

    /// True once in `n` times on average.
    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// One of `all`, which may not be empty.
    pub fn pick<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        let index = self.below(all.len());
        all.get(index).unwrap_or_else(|| unreachable!("nothing to pick from"))
    }

    /// `length` random bytes.
    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.rng.fill_bytes(&mut bytes);
        bytes
    }

    /// A value of the named shape; `None` for a name that nobody knows.
    pub fn value(&mut self, shape: &str) -> Option<String> {
        Some(match shape {
            "password" => self.password(),
            "letters" => self.letters(),
            "github" => self.with_checksum("ghp_"),
            "github-app" => self.with_checksum("ghs_"),
            "npm" => self.with_checksum("npm_"),
            "jwt" => self.jwt(),
            _ => {
                let (_, pattern) = SHAPES.iter().find(|(name, _)| *name == shape)?;
                self.fill(pattern)
            }
        })
    }

    /// Letters and digits of both, as generators of passwords make them.
    fn password(&mut self) -> String {
        let length = 14 + self.below(8);
        let tail = self.fill("{d:2}");
        self.random_text(&format!("{LETTERS}{DIGITS}"), length - 2) + &tail
    }

    /// What a person can remember: syllables, no digit.
    pub fn letters(&mut self) -> String {
        (0..6).map(|_| self.random_text(CONSONANTS, 1) + &self.random_text(VOWELS, 1)).collect()
    }

    /// GitHub and npm end a token with the CRC-32 of the rest in six base-62 digits
    /// (GitHub's blog, "Behind GitHub's new authentication token formats", 2021).
    fn with_checksum(&mut self, prefix: &str) -> String {
        let random = self.fill("{a:30}");
        let mut sum = crc32(random.as_bytes());
        let mut digits = [b'0'; 6];
        let base62 = format!("{DIGITS}{LETTERS}");
        for digit in digits.iter_mut().rev() {
            *digit = base62.as_bytes().get((sum % 62) as usize).copied().unwrap_or(b'0');
            sum /= 62;
        }
        format!("{prefix}{random}{}", String::from_utf8_lossy(&digits))
    }

    fn jwt(&mut self) -> String {
        let subject = self.fill("{h:24}");
        let part = |text: &str| base64_url(text.as_bytes());
        let header = part(r#"{"alg":"HS256","typ":"JWT"}"#);
        let claims = part(&format!(r#"{{"sub":"{subject}","iat":1760000000,"role":"admin"}}"#));
        format!("{header}.{claims}.{}", self.fill("{w:43}"))
    }

    fn fill(&mut self, pattern: &str) -> String {
        let mut text = String::new();
        for (index, part) in pattern.split('{').enumerate() {
            let class = part.split_once('}').and_then(|(inside, rest)| {
                let (class, length) = inside.split_once(':')?;
                Some((alphabet(class)?, length.parse().ok()?, rest))
            });
            match class {
                Some((characters, length, rest)) => {
                    text.push_str(&self.random_text(&characters, length));
                    text.push_str(rest);
                }
                None if index == 0 => text.push_str(part),
                None => {
                    text.push('{');
                    text.push_str(part);
                }
            }
        }
        text
    }

    fn random_text(&mut self, characters: &str, length: usize) -> String {
        (0..length).map(|_| char::from(*self.pick(characters.as_bytes()))).collect()
    }
}

impl Default for Dice {
    fn default() -> Self {
        Self::new()
    }
}

fn alphabet(class: &str) -> Option<String> {
    Some(match class {
        "a" => format!("{LETTERS}{DIGITS}"),
        "m" => LETTERS.to_owned(),
        "l" => LETTERS.to_lowercase(),
        "U" => format!("{}{DIGITS}", &LETTERS.get(..26).unwrap_or_default()),
        "d" => DIGITS.to_owned(),
        "h" => format!("{DIGITS}abcdef"),
        "H" => format!("{DIGITS}ABCDEF"),
        "b" => format!("{LETTERS}{DIGITS}+/"),
        "w" => format!("{LETTERS}{DIGITS}_-"),
        "c" => format!("{LETTERS}{DIGITS}./"),
        "3" => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".to_owned(),
        "8" => "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L".to_owned(),
        _ => return None,
    })
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
            (sum >> 1) ^ (0xedb8_8320 & (sum & 1).wrapping_neg())
        })
    })
}

/// Base64 of RFC 4648, section 5, without padding.
fn base64_url(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_makes_a_value_and_another_one_each_time() {
        let mut dice = Dice::with_seed(7);
        for (name, pattern) in SHAPES {
            let (one, two) = (dice.value(name).unwrap(), dice.value(name).unwrap());
            assert_ne!(one, two, "{name}");
            assert!(!one.contains(":2") || pattern.contains(":2}:"), "{name}: {one}");
        }
        assert_eq!(dice.value("no such shape"), None);
    }

    #[test]
    fn a_seed_repeats_its_values() {
        let value = |seed| Dice::with_seed(seed).value("password");
        assert_eq!(value(3), value(3));
        assert_ne!(value(3), value(4));
    }

    #[test]
    fn the_checksum_is_the_published_one() {
        // Test vector of every description of CRC-32.
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(Dice::with_seed(1).value("npm").map(|token| token.len()), Some(40));
    }
}
