//! Lines of sshd_config(5) into keywords and arguments, by the rules of OpenSSH 8.7 and later.

/// One line that sets something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directive {
    /// The keyword in lower case, as written: synonyms are not resolved here.
    pub keyword: String,
    /// The arguments without quotes and escapes. For `Match`: criteria and values in turn.
    pub args: Vec<Vec<u8>>,
    /// 1-based line number.
    pub line: usize,
}

/// A line that sshd would not start with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A keyword without arguments.
    NoArgument,
    /// A quote that is never closed.
    OpenQuote,
}

/// White space between words.
const BLANKS: &[u8] = b" \t\r\n";

/// Takes a file apart. Lines with a fault are left out and named with their 1-based number.
pub fn parse(text: &[u8]) -> (Vec<Directive>, Vec<(usize, Fault)>) {
    let (mut directives, mut faults) = (Vec::new(), Vec::new());
    for (line, content) in logical_lines(text) {
        match directive(&content, line) {
            Ok(directive) => directives.extend(directive),
            Err(fault) => faults.push((line, fault)),
        }
    }
    (directives, faults)
}

/// Lines as sshd stores them: cut at NUL, and a line cut so loses its end, which joins it with the
/// next. The number is that of the line on which it begins.
fn logical_lines(text: &[u8]) -> Vec<(usize, Vec<u8>)> {
    let mut lines: Vec<(usize, Vec<u8>)> = Vec::new();
    let mut open = false;
    for (index, line) in text.split(|b| *b == b'\n').enumerate() {
        let line = skip(line, b" \t\r");
        let kept = line.split(|b| *b == 0).next().unwrap_or_default();
        match lines.last_mut() {
            Some((_, last)) if open => last.extend_from_slice(kept),
            _ => lines.push((index + 1, kept.to_vec())),
        }
        open = kept.len() < line.len();
    }
    lines
}

fn directive(line: &[u8], number: usize) -> Result<Option<Directive>, Fault> {
    // A form feed is white space at the end of a line and nowhere else.
    let end = line.iter().rposition(|b| !BLANKS.contains(b) && *b != b'\x0c').map_or(0, |i| i + 1);
    let line = line.get(..end).unwrap_or_default();
    let Some((keyword, rest)) = delimited(line) else {
        return Ok(None); // An open quote in the keyword: sshd passes over the line.
    };
    if keyword.is_empty() || keyword.starts_with(b"#") {
        return Ok(None);
    }
    let rest = rest.filter(|rest| !rest.is_empty()).ok_or(Fault::NoArgument)?;
    let keyword = String::from_utf8_lossy(&keyword).to_ascii_lowercase();
    let words = words(rest).ok_or(Fault::OpenQuote)?;
    let args = if keyword == "match" { criteria(rest) } else { words };
    Ok(Some(Directive { keyword, args, line: number }))
}

/// Cuts a word off: it ends at white space, at one `=` with white space around it, or behind a
/// double quoted part. `None` when that quote stays open; no rest when nothing ended the word.
fn delimited(text: &[u8]) -> Option<(Vec<u8>, Option<&[u8]>)> {
    let stop = |b: &u8| BLANKS.contains(b) || matches!(b, b'"' | b'=');
    let Some(end) = text.iter().position(stop) else {
        return Some((text.to_vec(), None));
    };
    let (word, rest) = text.split_at(end);
    let (delimiter, rest) = rest.split_first()?;
    if *delimiter == b'"' {
        let close = rest.iter().position(|b| *b == b'"')?;
        let (quoted, rest) = rest.split_at(close);
        return Some(([word, quoted].concat(), Some(skip(rest.get(1..)?, BLANKS))));
    }
    let rest = skip(rest, BLANKS);
    let rest = match rest.strip_prefix(b"=") {
        Some(rest) if *delimiter != b'=' => skip(rest, BLANKS),
        _ => rest,
    };
    Some((word.to_vec(), Some(rest)))
}

/// The words of a `Match` line, which sshd cuts like keywords. A comment ends them.
fn criteria(text: &[u8]) -> Vec<Vec<u8>> {
    let mut words = Vec::new();
    let mut rest = Some(text);
    while let Some((word, tail)) = rest.and_then(delimited) {
        if word.is_empty() || word.starts_with(b"#") {
            break;
        }
        words.push(word);
        rest = tail;
    }
    words
}

/// Splits arguments: blanks separate, single and double quotes group, a backslash protects quotes,
/// itself and (outside quotes) a blank, `#` at the start of a word begins a comment. `None` when a
/// quote stays open.
fn words(text: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut words = Vec::new();
    let mut rest = skip(text, b" \t");
    while let Some(first) = rest.first() {
        if *first == b'#' {
            break;
        }
        let (word, tail) = word(rest)?;
        words.push(word);
        rest = skip(tail, b" \t");
    }
    Some(words)
}

fn word(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut word = Vec::new();
    let mut quote = None;
    let mut rest = text;
    while let Some((byte, tail)) = rest.split_first() {
        let next = tail.first().copied();
        rest = tail;
        match (*byte, quote) {
            (b'\\', _)
                if matches!(next, Some(b'\'' | b'"' | b'\\'))
                    || (quote.is_none() && next == Some(b' ')) =>
            {
                word.extend(next);
                rest = tail.get(1..).unwrap_or_default();
            }
            (b' ' | b'\t', None) => return Some((word, tail)),
            (b'"' | b'\'', None) => quote = Some(*byte),
            (byte, Some(open)) if byte == open => quote = None,
            (byte, _) => word.push(byte),
        }
    }
    quote.is_none().then_some((word, rest))
}

fn skip<'a>(text: &'a [u8], set: &[u8]) -> &'a [u8] {
    text.get(text.iter().take_while(|b| set.contains(b)).count()..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn one(text: &str) -> (String, Vec<String>) {
        let (directives, faults) = parse(text.as_bytes());
        assert!(faults.is_empty() && directives.len() == 1, "{text}: {directives:?} {faults:?}");
        let args = directives[0].args.iter().map(|a| String::from_utf8_lossy(a).into_owned());
        (directives[0].keyword.clone(), args.collect())
    }

    #[test]
    fn separators_quotes_and_comments() {
        for (text, keyword, args) in [
            ("Port 22", "port", &["22"][..]),
            ("  pOrT=22", "port", &["22"]),
            ("Port = 22  # why", "port", &["22"]),
            ("Port\t=\t22\r", "port", &["22"]),
            ("Port 22 \x0c", "port", &["22"]),
            ("\"Port\" 22", "port", &["22"]),
            (
                "AuthorizedKeysFile \"/a b\" /c\\ d '/e f'",
                "authorizedkeysfile",
                &["/a b", "/c d", "/e f"],
            ),
            ("AuthorizedKeysFile /a#b #c", "authorizedkeysfile", &["/a#b"]),
            ("Banner \"say \\\"hi\\\" it's\"", "banner", &["say \"hi\" it's"]),
            ("Banner a\\b", "banner", &["a\\b"]),
            ("AuthorizedKeysFile ==x", "authorizedkeysfile", &["=x"]),
            ("AuthorizedKeysFile \"\" x", "authorizedkeysfile", &["", "x"]),
            ("Match User=ann  Group \"a b\" # c", "match", &["User", "ann", "Group", "a b"]),
            ("Match exec \"test -f /x\"", "match", &["exec", "test -f /x"]),
            ("Por\0t 22\nt 23", "port", &["23"]),
        ] {
            let (k, a) = one(text);
            assert_eq!(
                (k.as_str(), a),
                (keyword, args.iter().map(|s| (*s).to_string()).collect()),
                "{text}"
            );
        }
    }

    #[test]
    fn faults_carry_the_line() {
        let (directives, faults) = parse(b"# c\n\nPort\nBanner \"x\n\"open 1\nPort #\nPort 1\n");
        assert_eq!(faults, [(3, Fault::NoArgument), (4, Fault::OpenQuote)]);
        let lines: Vec<_> = directives.iter().map(|d| (d.line, d.args.len())).collect();
        assert_eq!(lines, [(6, 0), (7, 1)]);
    }

    proptest! {
        #[test]
        fn never_panics(text in proptest::collection::vec(prop_oneof![
            any::<u8>(), Just(b'"'), Just(b'\''), Just(b'\\'), Just(b' '), Just(b'='), Just(b'\n'), Just(0)
        ], 0..120)) {
            let (directives, faults) = parse(&text);
            let lines = text.iter().filter(|b| **b == b'\n').count() + 1;
            prop_assert!(directives.len() + faults.len() <= lines);
        }

        #[test]
        fn quoted_arguments_come_back(args in proptest::collection::vec("[ -~\u{e9}]{0,8}", 1..4)) {
            let quoted: Vec<_> = args
                .iter()
                .map(|a| format!("\"{}\"", a.replace('\\', "\\\\").replace('"', "\\\"")))
                .collect();
            let text = format!("AcceptEnv x {}", quoted.join(" "));
            let expected: Vec<_> = std::iter::once("x".to_string()).chain(args).collect();
            prop_assert_eq!(one(&text).1, expected);
        }
    }
}
