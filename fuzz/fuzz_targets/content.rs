#![no_main]

use std::sync::LazyLock;

use disinherit_core::catalogue::Catalogue;
use disinherit_core::content::{Reading, Scanner};
use libfuzzer_sys::fuzz_target;

static SCANNER: LazyLock<Scanner> =
    LazyLock::new(|| Scanner::new(Catalogue::builtin().unwrap().rules()).unwrap());

fuzz_target!(|text: &[u8]| {
    for reading in [Reading::Shapes, Reading::Code, Reading::All] {
        for found in SCANNER.scan(text, 0..text.len(), reading) {
            assert!(found.cut.start < found.cut.end && found.cut.end <= text.len());
            assert!(found.cut.start <= found.secret.start && found.secret.end <= found.cut.end);
            assert!(found.secret.start < found.secret.end);
        }
    }
});
