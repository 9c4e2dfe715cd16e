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
