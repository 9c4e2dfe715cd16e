#![no_main]

use disinherit_core::sshd::parse;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    let (directives, faults) = parse(text);
    let count = text.split(|byte| *byte == b'\n').count();
    let mut lines: Vec<_> = faults.iter().map(|(line, _)| *line).collect();
    for directive in &directives {
        assert!(!directive.keyword.is_empty() && !directive.keyword.starts_with('#'));
        assert_eq!(directive.keyword, directive.keyword.to_ascii_lowercase());
        lines.push(directive.line);
        // Quoted, every argument comes back; `Match` has rules of its own.
        if directive.keyword == "match" || directive.args.is_empty() {
            continue;
        }
        if directive.args.iter().any(|arg| arg.iter().any(|byte| b"\n\0".contains(byte))) {
            panic!("an argument beyond its line");
        }
        let mut again = b"AcceptEnv x".to_vec();
        for arg in &directive.args {
            again.extend_from_slice(b" \"");
            for byte in arg {
                if b"\\\"'".contains(byte) {
                    again.push(b'\\');
                }
                again.push(*byte);
            }
            again.push(b'"');
        }
        let (second, faults) = parse(&again);
        assert!(faults.is_empty());
        assert_eq!(second[0].args[1..], directive.args);
    }
    lines.sort_unstable();
    assert!(lines.windows(2).all(|pair| pair[0] < pair[1]), "two settings of one line");
    assert!(lines.last().is_none_or(|line| *line <= count));
});
