//! JSON, RFC 8259, with the comments and last commas that some programs allow. Only places are
//! read; numbers and words are not judged.

use std::ops::Range;

use super::Cut;
use super::select::KeyPattern;
use super::tree::{self, DEEPEST, Entry, Kind, Node, Secrets};
use super::unfit::Unfit;

/// The secret members of `text`, and the logins in all its URLs.
pub(super) fn find(text: &[u8], keys: &[KeyPattern]) -> Result<Vec<Cut>, Unfit> {
    let mut reader = Reader { text, at: 0 };
    let broken = || Unfit::Broken("JSON");
    let root = reader.value(0).ok_or_else(broken)?;
    reader.blank();
    if reader.at < text.len() {
        return Err(broken());
    }
    let secrets = Secrets { keys, kubernetes: false };
    tree::find(text, &root, &secrets).map_err(|_| Unfit::Shared)
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn eat(&mut self, wanted: u8) -> bool {
        let found = self.peek() == Some(wanted);
        self.at += usize::from(found);
        found
    }

    /// Blanks and comments.
    fn blank(&mut self) {
        loop {
            let rest = self.text.get(self.at..).unwrap_or_default();
            let skip = match rest {
                [b, ..] if b.is_ascii_whitespace() => 1,
                [b'/', b'/', ..] => rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len()),
                [b'/', b'*', behind @ ..] => match behind.windows(2).position(|w| w == b"*/") {
                    Some(end) => end + 4,
                    None => return,
                },
                _ => return,
            };
            self.at += skip;
        }
    }

    fn value(&mut self, depth: usize) -> Option<Node> {
        if depth > DEEPEST {
            return None;
        }
        self.blank();
        let start = self.at;
        let kind = match self.peek()? {
            b'{' => self.object(depth)?,
            b'[' => self.array(depth)?,
            b'"' => {
                self.string()?;
                Kind::Scalar
            }
            _ => {
                self.word()?;
                Kind::Scalar
            }
        };
        Some(Node { span: start..self.at, kind })
    }

    fn object(&mut self, depth: usize) -> Option<Kind> {
        self.at += 1;
        let mut entries = Vec::new();
        loop {
            self.blank();
            if self.eat(b'}') {
                return Some(Kind::Map { entries, flow: true });
            }
            let key = self.string()?;
            let name = self.text.get(key.start + 1..key.end - 1)?.to_vec();
            self.blank();
            self.eat(b':').then_some(())?;
            entries.push(Entry { name, key, value: self.value(depth + 1)? });
            self.blank();
            if !self.eat(b',') && self.peek()? != b'}' {
                return None;
            }
        }
    }

    fn array(&mut self, depth: usize) -> Option<Kind> {
        self.at += 1;
        let mut items = Vec::new();
        loop {
            self.blank();
            if self.eat(b']') {
                return Some(Kind::List(items));
            }
            items.push(self.value(depth + 1)?);
            self.blank();
            if !self.eat(b',') && self.peek()? != b']' {
                return None;
            }
        }
    }

    fn string(&mut self) -> Option<Range<usize>> {
        let start = self.at;
        self.eat(b'"').then_some(())?;
        loop {
            match self.peek()? {
                b'"' => break,
                b'\\' => self.at += 2,
                b'\n' => return None,
                _ => self.at += 1,
            }
        }
        self.at += 1;
        Some(start..self.at)
    }

    /// A number, `true`, `false` or `null`.
    fn word(&mut self) -> Option<()> {
        let rest = self.text.get(self.at..)?;
        let is_word = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
        let length = rest.iter().take_while(|b| is_word(b)).count();
        self.at += length;
        (length > 0).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edit::{Edit, Format, run};
    use proptest::prelude::*;

    fn edited(text: &str, keys: &[&str]) -> String {
        let keys: Vec<KeyPattern> = keys.iter().map(|k| k.parse().unwrap()).collect();
        let edits: Vec<Edit> =
            find(text.as_bytes(), &keys).unwrap().into_iter().map(Edit::Cut).collect();
        String::from_utf8(run(Format::Spans, text.as_bytes(), &edits).unwrap().to_vec()).unwrap()
    }

    #[test]
    fn members_go_with_one_comma() {
        for (old, new) in [
            ("{\n\t\"a\": 1,\n\t\"auth\": \"x1\"\n}\n", "{\n\t\"a\": 1\n}\n"),
            ("{\"auth\": \"x1\", \"a\": 1}", "{\"a\": 1}"),
            ("{\"auth\": \"x1\"}", "{}"),
            ("{\"a\":{\"r/x\":{\"auth\":\"x1\"}}}", "{\"a\":{\"r/x\":{}}}"),
            ("[{\"b\":1,\"auth\":[\"x1\"],\"auth\":\"x2\",\"c\":2}]", "[{\"b\":1,\"c\":2}]"),
            (
                "{\"auth\": \"\", \"u\": \"http://u:p@h/\"}",
                "{\"auth\": \"\", \"u\": \"http://h/\"}",
            ),
            ("{\"a\": 1, \"auth\": \"x\\\"1\",} // c", "{\"a\": 1,} // c"),
        ] {
            assert_eq!(edited(old, &["auth"]), new);
            assert_eq!(edited(new, &["auth"]), new);
        }
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for text in ["", "{", "{\"a\" 1}", "{} x", "\"a", "{\"a\":}"] {
            assert!(find(text.as_bytes(), &[]).is_err(), "{text}");
        }
        assert!(find("[".repeat(100_000).as_bytes(), &[]).is_err());
    }

    fn value() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i32>().prop_map(Into::into),
            "[ -~]{0,6}".prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
                proptest::collection::vec(
                    (prop_oneof!["[a-c]", Just("auth".to_owned())], inner),
                    0..4
                )
                .prop_map(|m| serde_json::Value::Object(m.into_iter().collect())),
            ]
        })
    }

    /// The same by a parser that knows nothing of places.
    fn without(value: &mut serde_json::Value) {
        fn secret(value: &serde_json::Value) -> bool {
            match value {
                serde_json::Value::Array(items) => items.iter().any(secret),
                serde_json::Value::Object(map) => map.values().any(secret),
                other => crate::edit::value::is_secret(other.to_string().as_bytes()),
            }
        }
        match value {
            serde_json::Value::Array(items) => items.iter_mut().for_each(without),
            serde_json::Value::Object(map) => {
                map.retain(|name, value| name != "auth" || !secret(value));
                map.values_mut().for_each(without);
            }
            _ => {}
        }
    }

    proptest! {
        #[test]
        fn everything_else_means_the_same(mut value in value(), pretty: bool) {
            let old = if pretty {
                serde_json::to_string_pretty(&value).unwrap()
            } else {
                value.to_string()
            };
            prop_assume!(!old.contains('@'));
            let new = edited(&old, &["auth"]);
            without(&mut value);
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&new).unwrap(), value);
            prop_assert_eq!(edited(&new, &["auth"]), new.clone());
        }
    }
}
