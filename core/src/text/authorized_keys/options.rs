//! The comma separated options in front of a key.

/// Options without a value; those marked may have `no-` in front.
const FLAGS: [(&str, bool); 9] = [
    ("restrict", false),
    ("cert-authority", false),
    ("port-forwarding", true),
    ("agent-forwarding", true),
    ("x11-forwarding", true),
    ("touch-required", true),
    ("verify-required", true),
    ("pty", true),
    ("user-rc", true),
];

/// Options with a quoted value.
const VALUES: [&str; 8] = [
    "command",
    "principals",
    "from",
    "expiry-time",
    "environment",
    "permitopen",
    "permitlisten",
    "tunnel",
];

/// One option.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyOption<'a> {
    /// The name as written, before `=`.
    pub name: &'a [u8],
    /// The value without its quotes, `\"` as `"`.
    pub value: Option<Vec<u8>>,
    /// False when the value is not wholly in double quotes.
    well_formed: bool,
}

impl KeyOption<'_> {
    /// True when this is the option of that name, in any case.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }

    /// True when sshd knows the option in this form.
    pub fn accepted(&self) -> bool {
        let flag = |(name, negatable): &(&str, bool)| {
            let bare = self.name.get(..3).filter(|start| start.eq_ignore_ascii_case(b"no-"));
            self.is(name)
                || (*negatable
                    && bare.is_some()
                    && self.name.get(3..).is_some_and(|n| n.eq_ignore_ascii_case(name.as_bytes())))
        };
        match self.value {
            None => FLAGS.iter().any(flag),
            Some(_) => self.well_formed && VALUES.iter().any(|name| self.is(name)),
        }
    }
}

impl std::fmt::Debug for KeyOption<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyOption")
            .field("name", &String::from_utf8_lossy(self.name))
            .finish_non_exhaustive()
    }
}

/// Iterates over the options of one line.
#[derive(Clone)]
pub struct Options<'a> {
    rest: Option<&'a [u8]>,
}

impl std::fmt::Debug for Options<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options").finish_non_exhaustive()
    }
}

impl<'a> Options<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self { rest: (!text.is_empty()).then_some(text) }
    }
}

impl<'a> Iterator for Options<'a> {
    type Item = KeyOption<'a>;

    fn next(&mut self) -> Option<KeyOption<'a>> {
        let text = self.rest?;
        let (option, rest) = text.split_at(unquoted(text, |b| b == b','));
        // An option after the last comma is asked for, and empty: sshd refuses the line.
        self.rest = rest.split_first().map(|(_, rest)| rest);
        let equals = option.iter().position(|b| *b == b'=');
        let (name, value) = option.split_at(equals.unwrap_or(option.len()));
        let Some((_, value)) = value.split_first() else {
            return Some(KeyOption { name, value: None, well_formed: true });
        };
        let (value, well_formed) = unquote(value);
        Some(KeyOption { name, value: Some(value), well_formed })
    }
}

/// Where the options end: the first blank outside double quotes. `None` when a quote stays open.
pub(super) fn end(line: &[u8]) -> Option<usize> {
    let end = unquoted(line, |b| matches!(b, b' ' | b'\t'));
    let quotes = unescaped_quotes(line.get(..end)?);
    (end < line.len() || quotes % 2 == 0).then_some(end)
}

/// Index of the first byte outside double quotes for which `stop` holds, else the length. A quote
/// after a backslash neither opens nor closes.
fn unquoted(text: &[u8], stop: impl Fn(u8) -> bool) -> usize {
    let mut quoted = false;
    let mut index = 0;
    while let Some(byte) = text.get(index) {
        match byte {
            b'\\' if text.get(index + 1) == Some(&b'"') => index += 1,
            b'"' => quoted = !quoted,
            other if !quoted && stop(*other) => return index,
            _ => {}
        }
        index += 1;
    }
    text.len()
}

fn unescaped_quotes(text: &[u8]) -> usize {
    let escaped = text.windows(2).filter(|pair| pair == b"\\\"").count();
    text.iter().filter(|b| **b == b'"').count() - escaped
}

/// Takes the quotes off a value; false when it is not one quoted string and nothing else.
fn unquote(value: &[u8]) -> (Vec<u8>, bool) {
    let Some(inner) = value.strip_prefix(b"\"") else {
        return (value.to_vec(), false);
    };
    let mut out = Vec::with_capacity(inner.len());
    let mut bytes = inner.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' if bytes.peek() == Some(&b'"') => out.extend(bytes.next()),
            b'"' => return (out, bytes.next().is_none()),
            other => out.push(other),
        }
    }
    (out, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<KeyOption<'_>> {
        Options::new(text.as_bytes()).collect()
    }

    #[test]
    fn commas_inside_quotes_do_not_split() {
        let options = all("from=\"10.0.0.0/8,!10.1.1.1\",no-pty,command=\"a \\\"b,c\\\" d\"");
        let names: Vec<_> = options.iter().map(|o| o.name).collect();
        assert_eq!(names, [&b"from"[..], b"no-pty", b"command"]);
        assert_eq!(options[0].value.as_deref(), Some(&b"10.0.0.0/8,!10.1.1.1"[..]));
        assert_eq!(options[2].value.as_deref(), Some(&b"a \"b,c\" d"[..]));
        assert!(options.iter().all(KeyOption::accepted));
    }

    #[test]
    fn what_sshd_refuses() {
        for text in
            ["nope", "no-restrict", "command", "command=x", "command=\"x\"y", "pty=\"x\"", "pty,"]
        {
            assert!(!all(text).iter().all(KeyOption::accepted), "{text}");
        }
        for text in ["RESTRICT,pty", "No-Port-Forwarding", "Command=\"\"", "no-touch-required"] {
            assert!(all(text).iter().all(KeyOption::accepted), "{text}");
        }
    }

    #[test]
    fn open_quotes() {
        assert_eq!(end(b"command=\"a b"), None);
        assert_eq!(end(b"command=\"a b\" x"), Some(13));
        assert_eq!(end(b"a\\\"b c"), Some(4));
        assert_eq!(end(b"a\\\\\"b c"), Some(5));
    }
}
