#![no_main]

//! Whatever a file holds: its editor takes out what it found, finds nothing more then, and what it
//! reads as JSON, YAML or XML can still be read.

use disinherit_core::catalogue::Finder;
use disinherit_core::edit::{Edit, Format, KeyPattern, doas, find, run, sudoers};
use libfuzzer_sys::fuzz_target;

const FINDERS: [Finder; 13] = [
    Finder::Settings,
    Finder::Shell,
    Finder::Code,
    Finder::Unit,
    Finder::UnitArguments,
    Finder::CommandLine,
    Finder::MountOptions,
    Finder::Urls,
    Finder::Json,
    Finder::Kubernetes,
    Finder::Xml,
    Finder::Debconf,
    Finder::Grub,
];

fuzz_target!(|data: &[u8]| {
    let Some((pick, text)) = data.split_first() else { return };
    let finder = FINDERS[usize::from(*pick) % FINDERS.len()];
    let keys: Vec<KeyPattern> =
        ["@secrets", "a/*"].iter().map(|key| key.parse().expect("a pattern")).collect();
    if let Ok(cuts) = find(finder, text, &keys) {
        let edits: Vec<Edit> = cuts.into_iter().map(Edit::Cut).collect();
        let new = run(Format::Spans, text, &edits).expect("spans of this text");
        assert_eq!(find(finder, &new, &keys).map(|left| left.len()), Ok(0));
    }
    for orphans in [sudoers(text, &|_| false), doas(text, &|_| false)] {
        let edits: Vec<Edit> = orphans.cuts.into_iter().map(Edit::Cut).collect();
        run(Format::Spans, text, &edits).expect("spans of this text");
    }
});
