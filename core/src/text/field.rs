//! What a password field holds, without showing it.

/// What a password field of passwd(5), shadow(5), group(5) or gshadow(5) holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// Nothing: in passwd and shadow an account that PAM's `nullok` lets in without a password.
    Empty,
    /// `x`: the password stands in the shadow file. In shadow itself `x` counts as [`Field::NoLogin`].
    Placeholder,
    /// A text that matches no password and is known to hold none: `*`, `!`, `!!`, `*LK*`, ...
    NoLogin,
    /// What crypt(3) can match, or anything else that might be a secret.
    Hash,
    /// The same behind `!` or `*`: cannot log in now, and `passwd -u` brings it back.
    LockedHash,
}

impl Field {
    /// True when the field holds, or might hold, a hash: usable or locked.
    pub const fn holds_secret(self) -> bool {
        matches!(self, Self::Hash | Self::LockedHash)
    }

    /// True when an account with this field must be locked: it holds a secret or lets everybody in.
    pub const fn needs_lock(self) -> bool {
        matches!(self, Self::Empty | Self::Hash | Self::LockedHash)
    }
}

/// Marks that stand after a run of `!` and `*`, and that no hash scheme can produce: `LK*` and
/// `NP*` (Solaris, some installers), `LOCK*` (Azure's agent), `x`, `unprovisioned`
/// (systemd-sysusers).
const MARKS: [&[u8]; 5] = [b"LK*", b"NP*", b"LOCK*", b"x", b"unprovisioned"];

/// Judges the content of a password field. What is not known to be harmless counts as a secret.
pub fn classify(field: &[u8]) -> Field {
    if field.is_empty() {
        return Field::Empty;
    }
    if field == b"x" {
        return Field::Placeholder;
    }
    let locks = field.iter().take_while(|b| matches!(b, b'!' | b'*')).count();
    let rest = field.get(locks..).unwrap_or_default();
    match (locks, rest) {
        (0, _) => Field::Hash,
        (_, rest) if rest.is_empty() || MARKS.contains(&rest) => Field::NoLogin,
        _ => Field::LockedHash,
    }
}

/// True when a line that is no proper row still carries what looks like a crypt(3) hash: `$id$...`
/// anywhere, or 13 (DES) or 20 (`_`, BSDi) characters of its alphabet in the second column.
pub(crate) fn hash_like(line: &[u8]) -> bool {
    let modular = line.split(|b| b":!*,\"' \t\r#=".contains(b)).any(|token| {
        let mut parts = token.splitn(3, |b| *b == b'$');
        matches!(
            (parts.next(), parts.next(), parts.next()),
            (Some([]), Some(id), Some(rest))
                if (1..=16).contains(&id.len())
                    && id.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-')
                    && rest.len() >= 8
        )
    });
    let second = line.split(|b| *b == b':').nth(1).unwrap_or_default();
    let second = second.get(second.iter().take_while(|b| b"!*".contains(b)).count()..);
    let alphabet =
        |text: &[u8]| text.iter().all(|b| b.is_ascii_alphanumeric() || b"./".contains(b));
    modular
        || second.is_some_and(|s| match s {
            [b'_', rest @ ..] => rest.len() == 19 && alphabet(rest),
            text => text.len() == 13 && alphabet(text),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_judged_by_what_they_may_hold() {
        for (text, field) in [
            ("", Field::Empty),
            ("x", Field::Placeholder),
            ("*", Field::NoLogin),
            ("!", Field::NoLogin),
            ("!!", Field::NoLogin),
            ("!*", Field::NoLogin),
            ("*LK*", Field::NoLogin),
            ("!x", Field::NoLogin),
            ("*LOCK*", Field::NoLogin),
            ("!unprovisioned", Field::NoLogin),
            ("$6$salt$hash", Field::Hash),
            ("$y$j9T$salt$hash", Field::Hash),
            ("abJnggxhB/yWI", Field::Hash),
            ("hunter2", Field::Hash),
            ("X", Field::Hash),
            (" ", Field::Hash),
            ("!$6$salt$hash", Field::LockedHash),
            ("!!$6$salt$hash", Field::LockedHash),
            ("*$6$salt$hash", Field::LockedHash),
            ("!abJnggxhB/yWI", Field::LockedHash),
        ] {
            assert_eq!(classify(text.as_bytes()), field, "{text}");
        }
    }

    #[test]
    fn hashes_are_seen_in_lines_that_are_no_rows() {
        assert!(hash_like(b"#root:$6$saltsalt$abcdefgh:1:"));
        assert!(hash_like(b"old was !$y$j9T$abcdefgh$ijkl"));
        assert!(hash_like(b"+bob:abJnggxhB/yWI:1::"));
        assert!(hash_like(b" root:_J9..rasmBYk8r9AiWNc:1::"));
        assert!(!hash_like(b"# costs $5 and $6"));
        assert!(!hash_like(b"+::::::"));
        assert!(!hash_like(b"# see passwd(5): abcdefghijklm"));
    }
}
