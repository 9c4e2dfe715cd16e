//! Text for a POSIX shell.

/// One word, whatever it holds.
pub(super) fn quote(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:,@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    // The quote itself stands in double quotes: csh takes this form too.
    format!("'{}'", text.replace('\'', "'\"'\"'"))
}

/// A command line that runs a script by /bin/sh, whatever the login shell is.
pub(super) fn sh(script: &str) -> String {
    format!("/bin/sh -c {}", quote(script))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::process::Command;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_shell_reads_back_what_was_quoted(text in "[^\0]{0,40}") {
            let script = format!("printf %s {}", quote(&text));
            let out = Command::new("/bin/sh").args(["-c", &script]).output().unwrap();
            prop_assert_eq!(String::from_utf8(out.stdout).unwrap(), text);
        }
    }
}
