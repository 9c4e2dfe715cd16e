//! Texts with places for random values.
//!
//! `{{kind}}` becomes a new value of that kind, a secret; `{{~kind}}` one that is none, such as a
//! user's name. `{{kind=name}}` gives the value a name, `{{=name}}` is the same value again. A key of
//! several lines is indented as the line it begins in. Kinds are those of [`super::dice`] and
//! [`super::keys`].

use std::collections::BTreeMap;

use super::dice::Dice;
use super::keys;
use crate::{Result, failed};

/// A text with its values.
#[derive(Debug, Clone, Default)]
pub struct Filled {
    /// What goes into the file.
    pub text: String,
    /// Kind and searchable part of each secret in it.
    pub secrets: Vec<(String, String)>,
}

/// Puts values into `template`.
///
/// # Errors
/// When nobody knows a kind or a name, or a key cannot be made.
pub fn fill(template: &str, dice: &mut Dice) -> Result<Filled> {
    let mut filled = Filled::default();
    let mut names = BTreeMap::new();
    let mut parts = template.split("{{");
    filled.text.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let (place, rest) = part
            .split_once("}}")
            .ok_or_else(|| failed(format!("a place without end in {template:?}")))?;
        let value = value(place, &mut names, &mut filled.secrets, dice)?;
        push_indented(&mut filled.text, &value);
        filled.text.push_str(rest);
    }
    Ok(filled)
}

fn value(
    place: &str,
    names: &mut BTreeMap<String, String>,
    secrets: &mut Vec<(String, String)>,
    dice: &mut Dice,
) -> Result<String> {
    if let Some(name) = place.strip_prefix('=') {
        let known = names.get(name).cloned();
        return known.ok_or_else(|| failed(format!("nothing is called {name:?} yet")));
    }
    let (kind, name) = place.split_once('=').unwrap_or((place, ""));
    let (secret, kind) = match kind.strip_prefix('~') {
        Some(kind) => (false, kind),
        None => (true, kind),
    };
    let (text, needle) = match dice.value(kind) {
        Some(text) => (text.clone(), text),
        None => {
            let key = keys::make(kind, dice)?;
            (key.text, key.needle)
        }
    };
    if secret {
        secrets.push((kind.to_owned(), needle));
    }
    if !name.is_empty() {
        names.insert(name.to_owned(), text.clone());
    }
    Ok(text)
}

fn push_indented(text: &mut String, value: &str) {
    let line = text.rsplit('\n').next().unwrap_or_default();
    let indent: String = line.chars().take_while(|c| *c == ' ').collect();
    text.push_str(&value.replace('\n', &format!("\n{indent}")));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_become_values_and_only_secrets_are_listed() {
        let mut dice = Dice::with_seed(5);
        let filled = fill("u={{~word=user}} p={{password}} again={{=user}}", &mut dice).unwrap();
        assert_eq!(filled.secrets.len(), 1);
        let (kind, needle) = &filled.secrets[0];
        assert_eq!(kind, "password");
        assert!(filled.text.contains(&format!(" p={needle} ")));
        let user = filled.text.strip_prefix("u=").unwrap().split(' ').next().unwrap();
        assert!(filled.text.ends_with(&format!("again={user}")));
    }

    #[test]
    fn keys_keep_the_indentation_of_their_line() {
        let mut dice = Dice::with_seed(5);
        let filled = fill("key: |\n  {{putty}}\nend", &mut dice).unwrap();
        let inside: Vec<&str> = filled.text.lines().collect();
        assert!(inside[1..inside.len() - 1].iter().all(|line| line.starts_with("  ")));
        assert!(filled.text.contains(&filled.secrets[0].1));
    }

    #[test]
    fn what_nobody_knows_is_an_error() {
        let mut dice = Dice::with_seed(5);
        assert!(fill("{{no-such-kind}}", &mut dice).is_err());
        assert!(fill("{{=nobody}}", &mut dice).is_err());
        assert!(fill("{{password", &mut dice).is_err());
    }
}
