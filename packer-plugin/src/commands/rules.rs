//! `rules`: what this version knows, for people, for policies and for programs.

use disinherit_core::Result;
use disinherit_core::catalogue::{Catalogue, Rule};
use disinherit_core::suggest::nearest;
use disinherit_core::{Error, catalogue};

use crate::cli::{RulesArgs, RulesFormat};

/// The rules in the form that was asked for.
///
/// # Errors
/// A broken catalogue; a filter that no rule answers to.
pub(super) fn list(args: &RulesArgs) -> Result<String> {
    let catalogue = Catalogue::builtin()?;
    let rules: Vec<&Rule> =
        catalogue.rules().iter().filter(|rule| asked(rule, &args.filter)).collect();
    if rules.is_empty() {
        return Err(nothing(&catalogue, &args.filter));
    }
    match args.format {
        RulesFormat::Text => Ok(table(&rules)),
        RulesFormat::Json => json(&rules),
    }
}

/// True when a word is a part of the rule's id or is its category; without words always.
fn asked(rule: &Rule, words: &[String]) -> bool {
    words.is_empty() || words.iter().any(|word| rule.id.contains(word) || rule.category == *word)
}

fn nothing(catalogue: &Catalogue, words: &[String]) -> Error {
    let known = catalogue.rules().iter().flat_map(|r| [r.id.as_str(), r.category.as_str()]);
    let word = words.first().map(String::as_str).unwrap_or_default();
    let remedy = nearest(word, known).map_or_else(
        || "give a part of an id, or a category; without a word all rules are listed".to_owned(),
        |near| format!("did you mean `{near}`?"),
    );
    Error::usage("list the rules of", word).remedy(remedy)
}

/// Every rule on a line: id, default, severity, action, what; by category.
fn table(rules: &[&Rule]) -> String {
    let mut text = String::new();
    let mut category = "";
    for rule in rules {
        if rule.category != category {
            let gap = if category.is_empty() { "" } else { "\n" };
            category = &rule.category;
            text.push_str(&format!("{gap}{category}\n"));
        }
        let default = match rule.default {
            catalogue::Default::On => "on",
            catalogue::Default::Optional => "optional",
            catalogue::Default::Audit => "audit",
        };
        let (severity, action) = (rule.severity.to_string(), rule.action.to_string());
        text.push_str(&format!(
            "  {:<26} {default:<9} {severity:<9} {action:<11} {}\n",
            rule.id, rule.what
        ));
    }
    text
}

/// An array of rules in the grammar of the catalogue, each with its category.
fn json(rules: &[&Rule]) -> Result<String> {
    let failed = |e| Error::failed("write", "the rules").because(e);
    let mut text = serde_json::to_string_pretty(rules).map_err(failed)?;
    text.push('\n');
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list_of(filter: &[&str], format: RulesFormat) -> Result<String> {
        let filter = filter.iter().map(|word| (*word).to_owned()).collect();
        list(&RulesArgs { filter, format })
    }

    #[test]
    fn every_rule_has_a_line() {
        let text = list_of(&[], RulesFormat::Text).unwrap();
        assert!(text.starts_with("accounts\n"));
        assert!(text.contains("  his-shell "));
        assert!(text.lines().all(|l| !l.ends_with(' ')), "{text}");
    }

    #[test]
    fn a_filter_is_a_part_of_an_id_or_a_category() {
        let text = list_of(&["shell-history"], RulesFormat::Text).unwrap();
        assert!(text.contains("his-shell") && !text.contains("acc-"));
        let text = list_of(&["machine-id", "uid-zero"], RulesFormat::Text).unwrap();
        assert!(text.contains("id-machine-id") && text.contains("acc-uid-zero"));
        let error = list_of(&["acount"], RulesFormat::Text).unwrap_err();
        assert_eq!(error.kind(), disinherit_core::Kind::Usage);
        assert!(error.report().contains("did you mean `accounts`?"), "{}", error.report());
    }

    #[test]
    fn json_has_every_rule_with_its_category() {
        let text = list_of(&[], RulesFormat::Json).unwrap();
        let rules: serde_json::Value = serde_json::from_str(&text).unwrap();
        let rules = rules.as_array().unwrap();
        assert_eq!(rules.len(), Catalogue::builtin().unwrap().rules().len());
        assert!(rules.iter().all(|r| r["category"].is_string() && r["severity"].is_string()));
    }
}
