//! Which settings of a file are secret: patterns of their names, as rules and policies write them.
//!
//! A name alone matches at any depth; `section/name` matches from the top, `*` inside one component.
//! `!` in front spares what another pattern took. Case does not count. `@secrets` stands for the
//! names under which programs of all kinds keep secrets.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What `@secrets` stands for.
const SECRETS: &[&str] = &[
    "*passw*",
    "*passphrase*",
    "*pwd",
    "*secret*",
    "*token*",
    "*api*key*",
    "*access*key*",
    "*private*key*",
    "*account*key*",
    "*license*key*",
    "*encryption*key*",
    "*signing*key*",
    "*master*key*",
    "*auth*key*",
    "*credential*",
    "*_psk",
    "*-pass",
    "*_pass",
];

/// Names that speak of a secret and are none: where it lies, how long it lives, what it looks like.
const SPARED: &[&str] = &[
    "*file",
    "*path",
    "*dir",
    "*directory",
    "*url",
    "*uri",
    "*endpoint",
    "*host",
    "*name",
    "*min*",
    "*max*",
    "*len",
    "*length",
    "*timeout*",
    "*ttl*",
    "*expir*",
    "*lifetime*",
    "*enable*",
    "*disable*",
    "*require*",
    "*type",
    "*command",
    "*cmd",
    "*algorithm*",
    "*policy*",
    "*prompt*",
    "*provider*",
    "*helper*",
    "*store",
    "*backend*",
    "*format",
    "*hook*",
    "*count",
    "*limit*",
    "*authentication",
    "*method*",
    "*_alg",
    "*public*",
    "*age",
    "*days",
    "*change*",
    "*fd",
];

/// Stands for a name that cannot be told from what may be secret.
pub(super) const UNNAMED: &[u8] = b"setting";

/// One pattern of names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPattern {
    text: String,
    spares: bool,
    secrets: bool,
    /// Lower-case globs, from the top; a single one matches the last component at any depth.
    parts: Vec<String>,
}

impl KeyPattern {
    fn matches(&self, path: &[&[u8]]) -> bool {
        let Some((name, _)) = path.split_last() else { return false };
        if self.secrets {
            let any = |globs: &[&str]| globs.iter().any(|g| glob(g.as_bytes(), name));
            return any(SECRETS) && !any(SPARED);
        }
        match self.parts.as_slice() {
            [one] => glob(one.as_bytes(), name),
            parts => {
                parts.len() == path.len()
                    && parts.iter().zip(path).all(|(p, name)| glob(p.as_bytes(), name))
            }
        }
    }
}

/// True when the name at the end of `path` is one that `keys` take and do not spare.
pub(super) fn selects(keys: &[KeyPattern], path: &[&[u8]]) -> bool {
    keys.iter().any(|k| !k.spares && k.matches(path))
        && !keys.iter().any(|k| k.spares && k.matches(path))
}

/// What ends a name where nobody says what separates it from its value.
pub(super) fn separates(byte: &u8) -> bool {
    byte.is_ascii_whitespace() || matches!(byte, b'=' | b':')
}

/// The part of `key` that a report may show. What holds a separator may hold a piece of a secret,
/// because a password may hold every separator: then its first word is shown, if that alone is
/// `wanted`, or none of it.
pub(super) fn shown(key: &[u8], wanted: impl Fn(&[u8]) -> bool) -> &[u8] {
    // npm puts the address of a registry in front of its settings.
    let registry = key.starts_with(b"//") && !key.iter().any(|b| b.is_ascii_whitespace());
    if !key.iter().any(separates)
        || registry && !key.contains(&b'=') && key.windows(2).any(|w| w == b":_")
    {
        return key;
    }
    let first = key.split(separates).next().unwrap_or_default();
    if wanted(first) { first } else { UNNAMED }
}

/// Globs are lower-case already.
fn glob(pattern: &[u8], name: &[u8]) -> bool {
    crate::catalogue::glob(pattern, &name.to_ascii_lowercase())
}

impl FromStr for KeyPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (spares, body) = match text.strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let secrets = body == "@secrets";
        if body.is_empty() || body.starts_with('@') && !secrets {
            return Err(format!("expected the name of a setting or @secrets, found {text:?}"));
        }
        // npm's settings begin with two slashes; only a slash inside separates components.
        let inner = body.trim_start_matches('/');
        let lead = body.get(..body.len() - inner.len()).unwrap_or_default();
        let mut parts: Vec<String> = inner.split('/').map(str::to_lowercase).collect();
        if let Some(first) = parts.first_mut() {
            first.insert_str(0, lead);
        }
        Ok(Self { text: text.to_owned(), spares, secrets, parts })
    }
}

impl fmt::Display for KeyPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for KeyPattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for KeyPattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hit(keys: &[&str], path: &str) -> bool {
        let keys: Vec<KeyPattern> = keys.iter().map(|k| k.parse().unwrap()).collect();
        let path: Vec<&[u8]> = path.split('>').map(str::as_bytes).collect();
        selects(&keys, &path)
    }

    #[test]
    fn a_name_matches_at_any_depth_and_a_path_from_the_top() {
        assert!(hit(&["password"], "a>b>Password"));
        assert!(hit(&["auths/*/auth"], "auths>r.example/x>auth"));
        assert!(!hit(&["auths/*/auth"], "x>auths>r>auth"));
        assert!(!hit(&["password"], "password>x"));
    }

    #[test]
    fn an_exclamation_mark_spares() {
        assert!(!hit(&["*password*", "!*_file"], "password_file"));
        assert!(hit(&["*password*", "!*_file"], "proxy_password"));
    }

    #[test]
    fn common_names_of_secrets_are_known_and_what_only_speaks_of_them_is_not() {
        for name in ["DB_PASSWORD", "GH_TOKEN", "AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID"] {
            assert!(hit(&["@secrets"], name), "{name}");
        }
        for name in ["PASSWORD_FILE", "TOKEN_TTL", "SSH_ASKPASS", "PATH", "PASS_MAX_DAYS"] {
            assert!(!hit(&["@secrets"], name), "{name}");
        }
    }

    #[test]
    fn only_what_can_be_a_name_is_a_pattern() {
        assert!("@words".parse::<KeyPattern>().is_err());
        assert!("!".parse::<KeyPattern>().is_err());
    }
}
