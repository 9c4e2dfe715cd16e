#![no_main]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use disinherit_core::text::authorized_keys::{Line, lines};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    let count = text.split(|byte| *byte == b'\n').count();
    let mut last = 0;
    for line in lines(text) {
        let number = match &line {
            Line::Key(key) => key.number,
            Line::Skipped { number, .. } => *number,
        };
        assert!(last < number && number <= count);
        last = number;
        let Line::Key(key) = line else { continue };
        let names: Vec<_> = key.options().map(|option| option.name.to_vec()).collect();
        assert!(names.is_empty() == key.options.is_none());
        let _ = key.options_accepted();

        // Written out again the line reads the same.
        let mut again = key.options.map_or(Vec::new(), |options| [options, b" "].concat());
        again.extend_from_slice(key.key_type);
        again.extend_from_slice(format!(" {} ", STANDARD.encode(&key.blob)).as_bytes());
        again.extend_from_slice(key.comment);
        let Some(Line::Key(second)) = lines(&again).next() else { panic!("the line is lost") };
        assert_eq!((second.options, &second.blob), (key.options, &key.blob));
        assert_eq!((second.key_type, second.comment), (key.key_type, key.comment));
    }
});
