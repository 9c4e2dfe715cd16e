//! What is a secret and what only stands in its place: nothing, a variable, a word of an example.

/// Directories in which a value is looked for, instead of being one. A random key may begin with a
/// slash; it hardly ever goes on like this.
const PLACES: &[&[u8]] = &[
    b"/etc/", b"/run/", b"/var/", b"/usr/", b"/opt/", b"/home/", b"/root/", b"/srv/", b"/tmp/",
    b"/dev/", b"/proc/", b"/mnt/", b"/boot/", b"~/", b"./", b"file:", b"env:",
];

/// Words that mean "nothing here" or that switch something.
const WORDS: &[&[u8]] = &[
    b"true",
    b"false",
    b"yes",
    b"no",
    b"on",
    b"off",
    b"none",
    b"null",
    b"nil",
    b"~",
    b"x",
    b"!",
    b"!!",
    b"*",
    b"-",
    b"required",
    b"optional",
    b"always",
    b"never",
    b"ask",
    b"prompt",
    b"{}",
    b"[]",
    b"{",
    b"[",
    b"|",
    b">",
    b"default",
    b"auto",
    b"any",
    b"localhost",
    b"localhost.localdomain",
];

/// Words that examples in documentation and comments are made of.
const EXAMPLES: &[&[u8]] = &[
    b"example",
    b"changeme",
    b"change-me",
    b"change_me",
    b"password",
    b"passwd",
    b"secret",
    b"your",
    b"sample",
    b"dummy",
    b"placeholder",
    b"xxx",
    b"...",
    b"<",
    b">",
    b"foo",
    b"bar",
    b"token",
    b"insert",
    b"todo",
    b"redacted",
];

/// The value without blanks and one pair of quotes around it.
pub(super) fn unquoted(value: &[u8]) -> &[u8] {
    let value = value.trim_ascii();
    for quote in [b"\"", b"'"] {
        let inner = value.strip_prefix(quote).and_then(|v| v.strip_suffix(quote));
        if let Some(inner) = inner {
            return inner;
        }
    }
    value
}

/// True for a value that would open something: not empty, no switch, no reference to what lies
/// elsewhere.
pub(super) fn is_secret(value: &[u8]) -> bool {
    let value = unquoted(value).trim_ascii();
    !value.is_empty()
        && !WORDS.iter().any(|w| w.eq_ignore_ascii_case(value))
        && first_word(value) != b"public"
        && !PLACES.iter().any(|p| value.starts_with(p))
        && !is_masked(value)
        && !is_reference(value)
}

/// `rocommunity public default` of snmpd.conf(5) names the community that is none.
fn first_word(value: &[u8]) -> &[u8] {
    value.split(u8::is_ascii_whitespace).next().unwrap_or_default()
}

/// A variable, a template's field, a password manager's entry.
fn is_reference(value: &[u8]) -> bool {
    let has = |word: &[u8]| value.windows(word.len()).any(|w| w == word);
    has(b"${")
        || has(b"$(")
        || has(b"{{")
        || has(b"<%")
        || has(b"%(")
        || is_variable(value)
        || value.starts_with(b"<") && value.ends_with(b">")
        || value.starts_with(b"@") && value.ends_with(b"@")
        || value.starts_with(b"`") && value.ends_with(b"`")
        || value.starts_with(b"op://")
        || value.starts_with(b"vault:")
}

/// `$NAME` or `%NAME%` and nothing else; a crypt(3) hash has a second `$`.
fn is_variable(value: &[u8]) -> bool {
    let name = |v: &[u8]| {
        v.first().is_some_and(|b| b.is_ascii_alphabetic() || *b == b'_')
            && v.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_')
    };
    let percent = value.strip_prefix(b"%").and_then(|v| v.strip_suffix(b"%"));
    value.strip_prefix(b"$").is_some_and(name) || percent.is_some_and(name)
}

/// One character over and over: what is shown instead of a secret.
fn is_masked(value: &[u8]) -> bool {
    let first = value.first().copied().unwrap_or_default();
    matches!(first, b'*' | b'x' | b'X' | b'.' | b'-' | b'_' | b'#')
        && value.iter().all(|b| *b == first)
}

/// True for a value in a comment that somebody once used: examples that packages ship say
/// `secret` or `changeme` there, and those files stay as they are.
pub(super) fn was_in_use(value: &[u8]) -> bool {
    let value = unquoted(value);
    let lower = value.to_ascii_lowercase();
    let has = |word: &&[u8]| lower.windows(word.len()).any(|w| w == *word);
    is_secret(value)
        && value.len() >= 6
        && !value.iter().any(u8::is_ascii_whitespace)
        && value.iter().any(u8::is_ascii_digit)
        && value.iter().any(u8::is_ascii_alphabetic)
        && !EXAMPLES.iter().any(has)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_the_place_of_a_secret_is_none() {
        for value in [
            "",
            "''",
            "\"\"",
            "$TOKEN",
            "${TOKEN:?}",
            "{{ token }}",
            "<password>",
            "****",
            "xxxx",
            "true",
            "Off",
            "/etc/app/token",
            "@PASSWORD@",
            "%TOKEN%",
            "{",
            "$(pass show x)",
        ] {
            assert!(!is_secret(value.as_bytes()), "{value}");
        }
    }

    #[test]
    fn what_opens_something_is_a_secret() {
        for value in ["hunter2", "'a b'", "$6$salt$hash", "/mP3x/9dk+A", "x1", "1234", "pa$$word"] {
            assert!(is_secret(value.as_bytes()), "{value}");
        }
    }

    #[test]
    fn a_comment_holds_a_secret_when_it_is_no_example() {
        assert!(was_in_use(b"hunter2"));
        for value in ["secret", "changeme1", "your-token-1", "12345678", "some words 1"] {
            assert!(!was_in_use(value.as_bytes()), "{value}");
        }
    }
}
