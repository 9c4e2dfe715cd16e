#![no_main]

use disinherit_core::text::GShadow;
use disinherit_fuzz::assert_only_passwords_differ;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    let mut file = GShadow::parse(text);
    assert_eq!(file.to_bytes().as_slice(), text);
    let lines = (file.malformed(), file.nis(), file.suspicious());
    let secret: Vec<usize> = file
        .entries()
        .filter(|entry| entry.field.holds_secret())
        .map(|entry| entry.index)
        .collect();
    for index in &secret {
        file.lock(*index).unwrap();
    }
    let once = file.to_bytes();
    assert_eq!(file.changed(), !secret.is_empty());
    assert_only_passwords_differ(text, &once, &secret);

    let again = GShadow::parse(&once);
    assert!(!again.entries().any(|entry| entry.field.holds_secret()));
    assert_eq!(again.nis(), lines.1);
    assert_eq!(again.suspicious(), lines.2);
});
