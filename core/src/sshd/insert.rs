//! Settings put into a main file of sshd so that they win, and taken out again byte for byte.
//!
//! sshd takes the first value, and among `Match` blocks the first one that sets something; a block beats
//! every value outside, also one of the command line. Where sshd knows `Include` (since OpenSSH 8.2),
//! one line at the top does it: a block ends with the included file. Where it does not, no block may
//! stand at the top, because it would reach to the first `Match` and turn all that it holds into
//! settings of a block; so the settings stand at the top, and a block of them before the first `Match`.

use super::lexer::parse;

const BEGIN: &str = "# BEGIN disinherit";
/// The file had no line end before the block: the one before the marker is ours.
const BEGIN_JOINED: &str = "# BEGIN disinherit, with the line end before";
const END: &str = "# END disinherit";

/// A keyword and its value.
pub type Line<'a> = (&'a str, &'a str);

/// The text with an `Include` of `file` before everything else.
pub fn with_include(text: &[u8], file: &str) -> Vec<u8> {
    let block = format!("{BEGIN}\nInclude {file}\n{END}\n");
    [block.as_bytes(), text].concat()
}

/// The text with `global` before everything else, and a `Match all` of `matched` before every other
/// block. For a text without `Include`: what one includes is not looked at.
pub fn with_blocks(text: &[u8], global: &[Line<'_>], matched: &[Line<'_>]) -> Vec<u8> {
    let (directives, _faults) = parse(text);
    let first = directives.iter().find(|d| d.keyword == "match").map(|d| d.line);
    let at = first.map_or(text.len(), |line| start_of(text, line));
    let (before, after) = text.split_at_checked(at).unwrap_or((text, b""));
    let joined = !before.is_empty() && !before.ends_with(b"\n");
    let mut out = format!("{BEGIN}\n{}{END}\n", lines("", global)).into_bytes();
    out.extend_from_slice(before);
    if joined {
        out.push(b'\n');
    }
    let begin = if joined { BEGIN_JOINED } else { BEGIN };
    let block = format!("{begin}\nMatch all\n{}{END}\n", lines("    ", matched));
    out.extend_from_slice(block.as_bytes());
    out.extend_from_slice(after);
    out
}

/// Keywords in quotes: cloud-init and waagent rewrite lines of this file by their first word.
fn lines(indent: &str, settings: &[Line<'_>]) -> String {
    settings.iter().map(|(keyword, value)| format!("{indent}\"{keyword}\" {value}\n")).collect()
}

/// The text without what the functions above put in; `None` when there is nothing of them.
pub fn without(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let (mut inside, mut found) = (false, false);
    for line in text.split_inclusive(|b| *b == b'\n') {
        let bare = line.strip_suffix(b"\n").unwrap_or(line);
        if inside {
            inside = bare != END.as_bytes();
            continue;
        }
        if bare == BEGIN.as_bytes() || bare == BEGIN_JOINED.as_bytes() {
            (inside, found) = (true, true);
            if bare == BEGIN_JOINED.as_bytes() && out.ends_with(b"\n") {
                out.pop();
            }
            continue;
        }
        out.extend_from_slice(line);
    }
    // Without its end a block may hold anything: then the text is not ours to cut.
    (found && !inside).then_some(out)
}

/// Where the line of this 1-based number begins.
fn start_of(text: &[u8], line: usize) -> usize {
    text.split_inclusive(|b| *b == b'\n').take(line.saturating_sub(1)).map(<[u8]>::len).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PIECES: [&[u8]; 9] = [
        b"Port 22",
        b"\n",
        b"Match all",
        b"\r\n",
        b"match user \"a",
        b" ",
        b"\0",
        b"# BEGIN",
        b"\xff",
    ];
    const OFF: [Line<'_>; 1] = [("PasswordAuthentication", "no")];

    #[test]
    fn a_block_stands_before_the_first_match_and_after_all_that_is_global() {
        let text = b"Port 22\nPasswordAuthentication yes\n\tmatch user ann\n  X11Forwarding no\n";
        let with = String::from_utf8(with_blocks(text, &OFF, &OFF)).unwrap();
        let expected = "# BEGIN disinherit\n\"PasswordAuthentication\" no\n# END disinherit\n\
                        Port 22\nPasswordAuthentication yes\n\
                        # BEGIN disinherit\nMatch all\n    \"PasswordAuthentication\" no\n# END disinherit\n\
                        \tmatch user ann\n  X11Forwarding no\n";
        assert_eq!(with, expected);
    }

    #[test]
    fn a_block_that_somebody_cut_is_left_alone() {
        assert_eq!(without(b"Port 22\n# BEGIN disinherit\nPort 23\n"), None);
        assert_eq!(without(b"Port 22\n"), None);
    }

    proptest! {
        #[test]
        fn every_byte_comes_back(text in proptest::collection::vec(proptest::sample::select(&PIECES), 0..12)) {
            let text = text.concat();
            prop_assert_eq!(without(&with_include(&text, "/x")), Some(text.clone()));
            prop_assert_eq!(without(&with_blocks(&text, &OFF, &OFF)), Some(text));
        }
    }
}
