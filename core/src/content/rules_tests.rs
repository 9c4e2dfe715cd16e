//! Every rule against its own examples, with values made up in each run.

use super::example::Dice;
use super::scanner::{Match, Reading, Scanner};
use crate::catalogue::{Catalogue, Certainty, Finder, Rule};

fn rules(catalogue: &Catalogue) -> Vec<&Rule> {
    catalogue.rules().iter().filter(|r| r.find == Finder::Content).collect()
}

fn ids(scanner: &Scanner, text: &str, reading: Reading) -> Vec<(String, Match)> {
    let found = scanner.scan(text.as_bytes(), 0..text.len(), reading);
    found.into_iter().map(|m| (scanner.id(&m).to_owned(), m)).collect()
}

#[test]
fn every_rule_finds_its_examples_wherever_they_stand() {
    let catalogue = Catalogue::builtin().unwrap();
    let scanner = Scanner::new(catalogue.rules()).unwrap();
    let mut dice = Dice::new();
    for rule in rules(&catalogue) {
        let signature = rule.content.as_ref().unwrap();
        assert!(!signature.matches.is_empty(), "{}: no example", rule.id);
        for (example, round) in signature.matches.iter().flat_map(|e| (0..20).map(move |r| (e, r)))
        {
            let text = dice.fill(example);
            let text = if round % 2 == 0 { text } else { format!("x\n{text}\ny\n") };
            let found = ids(&scanner, &text, Reading::All);
            let own = found.iter().find(|(id, _)| *id == rule.id);
            let (_, own) = own.unwrap_or_else(|| panic!("{}: {text} gives {found:?}", rule.id));
            if !signature.any_case || signature.proof.is_none() {
                assert_eq!(own.certainty, signature.certainty, "{}: {text}", rule.id);
            }
            if signature.certainty == Certainty::Sure && !signature.any_case {
                let found = ids(&scanner, &text, Reading::Shapes);
                assert!(found.iter().any(|(id, _)| *id == rule.id), "{}: {text}", rule.id);
            }
        }
    }
}

/// A second scrub has nothing to do: what is left of a secret, and the line below it, is no secret.
#[test]
fn what_is_left_is_no_secret() {
    let catalogue = Catalogue::builtin().unwrap();
    let scanner = Scanner::new(catalogue.rules()).unwrap();
    let mut dice = Dice::new();
    for rule in rules(&catalogue) {
        for example in &rule.content.as_ref().unwrap().matches {
            let text = format!("above\n{}\nmachine x7 9-lines.Below/4711abc\n", dice.fill(example));
            let mut left = text.clone().into_bytes();
            let mut end = left.len();
            for (_, one) in ids(&scanner, &text, Reading::All).iter().rev() {
                // Of two that overlap one span is enough here.
                if one.cut.end <= end {
                    end = one.cut.start;
                    left.splice(one.cut.clone(), scanner.put(one).bytes());
                }
            }
            let left = String::from_utf8(left).unwrap();
            assert_eq!(ids(&scanner, &left, Reading::All), [], "{}: {text} {left}", rule.id);
        }
    }
}

#[test]
fn no_rule_finds_what_it_rejects() {
    let catalogue = Catalogue::builtin().unwrap();
    let scanner = Scanner::new(catalogue.rules()).unwrap();
    let mut dice = Dice::new();
    for rule in rules(&catalogue) {
        for example in &rule.content.as_ref().unwrap().rejects {
            let text = dice.fill(example);
            let found = ids(&scanner, &text, Reading::All);
            assert!(found.iter().all(|(id, _)| *id != rule.id), "{}: {text}", rule.id);
        }
    }
}

#[test]
fn every_anchor_stands_in_an_example_or_is_one_of_many() {
    let catalogue = Catalogue::builtin().unwrap();
    for rule in rules(&catalogue) {
        let signature = rule.content.as_ref().unwrap();
        let pattern = signature.pattern.as_deref().unwrap_or_default();
        if signature.read == crate::catalogue::Reader::Pattern {
            assert!(regex::bytes::Regex::new(&format!("(?-u){pattern}")).is_ok(), "{}", rule.id);
            assert!(signature.before + signature.after < Scanner::WINDOW, "{}", rule.id);
        }
    }
}

mod any {
    use super::super::scanner::{Reading, Scanner};
    use crate::catalogue::Catalogue;
    use proptest::prelude::*;
    use std::sync::LazyLock;

    static SCANNER: LazyLock<Scanner> =
        LazyLock::new(|| Scanner::new(Catalogue::builtin().unwrap().rules()).unwrap());

    /// Texts in which anchors are frequent and cut anywhere.
    fn text() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..12),
            "[a-zA-Z0-9/+=_.-]{0,48}".prop_map(String::into_bytes),
            prop::sample::select(vec![
                "-----BEGIN ",
                "PRIVATE KEY-----",
                "-----END ",
                "\\n",
                "\n",
                "password",
                "=",
                ": ",
                "\"",
                "'",
                "\\\"",
                "://",
                ":",
                "@",
                "$6$",
                "$2b$10$",
                "ghp_",
                "AKIA",
                "LTAI",
                "eyJ",
                "LS0tLS1CRUdJTi",
                "<secret>",
                "</",
                "Authorization: Basic ",
                "machine x login y password ",
                "token",
                "{SSHA}",
                ":99999:",
            ])
            .prop_map(|text| text.as_bytes().to_vec()),
        ];
        proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn spans_lie_in_the_text_and_the_secret_in_what_is_cut(text in text()) {
            for reading in [Reading::Shapes, Reading::Code, Reading::All] {
                for found in SCANNER.scan(&text, 0..text.len(), reading) {
                    prop_assert!(found.cut.start < found.cut.end && found.cut.end <= text.len());
                    prop_assert!(found.cut.start <= found.secret.start);
                    prop_assert!(found.secret.start < found.secret.end && found.secret.end <= found.cut.end);
                }
            }
        }

        #[test]
        fn without_what_was_cut_the_text_holds_no_more_after_a_few_rounds(text in text()) {
            let mut text = text;
            for round in 0..16 {
                let found = SCANNER.scan(&text, 0..text.len(), Reading::All);
                if found.is_empty() {
                    return Ok(());
                }
                prop_assert!(round < 15, "never clean: {}", String::from_utf8_lossy(&text));
                let kept: Vec<u8> = (0..text.len())
                    .filter(|at| !found.iter().any(|f| f.cut.contains(at)))
                    .map(|at| text[at])
                    .collect();
                text = kept;
            }
        }
    }
}
