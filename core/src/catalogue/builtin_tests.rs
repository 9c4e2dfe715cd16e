//! The rule files against themselves: examples cover every place, and nothing is said twice.

use std::collections::BTreeMap;

use super::super::{Action, Catalogue, Default as RuleDefault, Finder, Pattern, Rule};
use crate::ImagePath;

fn path_rules(catalogue: &Catalogue) -> impl Iterator<Item = &Rule> {
    catalogue.rules().iter().filter(|r| r.find == Finder::Path)
}

/// How many components of `example` the pattern names: the whole path, or a directory above it.
fn depths(pattern: &Pattern, example: &str) -> Vec<usize> {
    let (in_home, rest) = match example.strip_prefix("{home}") {
        Some(rest) => (true, rest),
        None => (false, example),
    };
    let parts: Vec<&[u8]> = rest.split('/').filter(|p| !p.is_empty()).map(str::as_bytes).collect();
    let names = |n: &usize| {
        if in_home {
            return pattern.matches_in_home(&parts[..*n]);
        }
        pattern.matches(&ImagePath::new(parts[..*n].join(&b'/')).unwrap())
    };
    (1..=parts.len()).filter(names).collect()
}

fn names(pattern: &Pattern, example: &str) -> bool {
    !depths(pattern, example).is_empty()
}

/// True when a place names the example or a directory above it, and no exception lies between.
fn finds(rule: &Rule, example: &str) -> bool {
    let spared: Vec<usize> = rule.except.iter().flat_map(|p| depths(p, example)).collect();
    let found = rule.places.iter().flat_map(|p| depths(p, example));
    found.into_iter().any(|n| spared.iter().all(|except| *except < n))
}

#[test]
fn every_place_has_an_example_and_every_example_a_place() {
    let catalogue = Catalogue::builtin().unwrap();
    for rule in path_rules(&catalogue) {
        for place in &rule.places {
            let shown = rule.examples.iter().any(|e| names(place, e));
            assert!(shown, "{}: no example for {place}", rule.id);
        }
        for example in &rule.examples {
            assert!(finds(rule, example), "{}: does not find {example}", rule.id);
            assert!(!example.contains(['*', '?', '[']), "{}: {example} is no path", rule.id);
        }
    }
}

#[test]
fn all_examples_fit_into_one_tree() {
    let catalogue = Catalogue::builtin().unwrap();
    let examples: Vec<&String> = catalogue.rules().iter().flat_map(|r| &r.examples).collect();
    for file in &examples {
        let below = format!("{file}/");
        let inside = examples.iter().find(|e| e.starts_with(&below));
        assert_eq!(inside, None, "{file} would have to be a directory");
    }
}

#[test]
fn a_rule_that_never_acts_says_so() {
    for rule in Catalogue::builtin().unwrap().rules() {
        let reports = rule.action == Action::Report;
        assert_eq!(reports, rule.default == RuleDefault::Audit, "{}", rule.id);
    }
}

#[test]
fn what_is_truncated_is_not_deleted_by_a_neighbour() {
    let catalogue = Catalogue::builtin().unwrap();
    let acts = |r: &&Rule| r.default == RuleDefault::On;
    for rule in path_rules(&catalogue).filter(acts).filter(|r| r.action == Action::Truncate) {
        for example in &rule.examples {
            let other = path_rules(&catalogue)
                .filter(acts)
                .find(|r| r.action != Action::Truncate && finds(r, example));
            assert!(other.is_none(), "{example}: {} and {:?}", rule.id, other.map(|r| &r.id));
        }
    }
}

#[test]
fn the_same_place_is_not_written_down_twice() {
    let catalogue = Catalogue::builtin().unwrap();
    let mut seen = BTreeMap::new();
    for rule in path_rules(&catalogue) {
        for place in &rule.places {
            let other = seen.insert(place.to_string(), &rule.id);
            assert_eq!(other, None, "{}: {place}", rule.id);
        }
    }
}
