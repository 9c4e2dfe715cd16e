//! The catalogue as people read it: `docs/catalogue.md` and the output of `rules`.

use std::fmt::Write as _;

use super::{Catalogue, Default as RuleDefault, Finder, Pattern, Rule};

const HEAD: &str = "\
# What is found, and what happens to it

Made from `core/catalogue/*.yaml`; a test keeps the two equal. `{home}` is every home that the image
knows, `{a,b}` are alternatives, `**` is any depth.

- **on**: acts by default. **optional**: reports by default, acts when policy says `on`.
  **audit**: only ever reports.
- **delete** and **truncate** overwrite first. **regenerate** deletes what something in the image
  makes anew. **lock** and **edit** change one field and keep every other byte.
- *where* in italics is read by a finder that knows the format, not only by its path. *of which* are
  the names of the settings that are secret; `@secrets` are the names that programs of all kinds give
  to secrets (`core/src/edit/select.rs`), `!` spares a name, `section/name` is a path. An empty value,
  a variable or a path in place of the secret stays. A login in a URL goes from every such file.

";

/// All rules as Markdown: one table a category, in the order of plans and reports.
pub fn markdown(catalogue: &Catalogue) -> String {
    let mut out = HEAD.to_owned();
    let mut category = "";
    for rule in catalogue.rules() {
        if rule.category != category {
            category = &rule.category;
            let count = catalogue.rules().iter().filter(|r| r.category == category).count();
            let rules = if count == 1 { "rule" } else { "rules" };
            // Writing to a String cannot fail.
            _ = write!(
                out,
                "## {category} ({count} {rules})\n\n| rule | what | where | action | default | \
                 severity | why | source |\n|---|---|---|---|---|---|---|---|\n"
            );
        }
        out.push_str(&row(rule));
        let last = catalogue.rules().iter().rfind(|r| r.category == category);
        if last.is_some_and(|r| r.id == rule.id) {
            out.push('\n');
        }
    }
    while out.ends_with("\n\n") {
        out.pop();
    }
    out
}

fn row(rule: &Rule) -> String {
    let default = match rule.default {
        RuleDefault::On => "on",
        RuleDefault::Optional => "optional",
        RuleDefault::Audit => "audit",
    };
    format!(
        "| `{}` | {} | {} | {} | {default} | {} | {} | {} |\n",
        rule.id,
        cell(&rule.what),
        places(rule),
        rule.action,
        rule.severity,
        cell(&rule.why),
        cell(&rule.source),
    )
}

/// Where the rule looks, with everything that narrows it.
fn places(rule: &Rule) -> String {
    let mut out = list(&rule.places);
    if rule.find != Finder::Path {
        let format = serde_json::to_value(rule.find).unwrap_or_default();
        let name = format.as_str().unwrap_or_default().replace('-', " ");
        out = if out.is_empty() { format!("*{name}*") } else { format!("*{name}*: {out}") };
    }
    if !rule.keys.is_empty() {
        let keys: Vec<String> =
            rule.keys.iter().map(|k| format!("`{}`", cell(&k.to_string()))).collect();
        _ = write!(out, "<br>of which {}", keys.join(" "));
    }
    for (word, patterns) in [
        ("but not", &rule.except),
        ("acts only with", &rule.when),
        ("or without", &rule.read_by),
        ("only reports with", &rule.unless),
    ] {
        if !patterns.is_empty() {
            _ = write!(out, "<br>{word} {}", list(patterns));
        }
    }
    if rule.keep_directories {
        out.push_str("<br>directories stay");
    }
    out
}

fn list(patterns: &[Pattern]) -> String {
    patterns.iter().map(|p| format!("`{}`", cell(&p.to_string()))).collect::<Vec<_>>().join(" ")
}

/// A bar would end the cell, also inside a code span.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documentation_is_the_catalogue() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/catalogue.md");
        let made = markdown(&Catalogue::builtin().unwrap());
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, &made).unwrap();
        }
        let written = std::fs::read_to_string(path).unwrap_or_default();
        assert!(made == written, "run with UPDATE_DOCS=1 to write docs/catalogue.md anew");
    }

    #[test]
    fn every_rule_has_its_row_once() {
        let catalogue = Catalogue::builtin().unwrap();
        let text = markdown(&catalogue);
        for rule in catalogue.rules() {
            assert_eq!(text.matches(&format!("\n| `{}` |", rule.id)).count(), 1, "{}", rule.id);
        }
    }

    #[test]
    fn a_bar_does_not_end_a_cell() {
        assert_eq!(cell("a|b"), "a\\|b");
    }
}
