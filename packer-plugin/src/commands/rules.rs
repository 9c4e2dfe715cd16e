//! `rules`: what this version knows, for people and for policies.

use disinherit_core::Result;
use disinherit_core::catalogue::Catalogue;

/// Every rule on a line: id, default, severity, action, what; by category.
///
/// # Errors
/// A broken catalogue.
pub(super) fn table() -> Result<String> {
    let catalogue = Catalogue::builtin()?;
    let mut text = String::new();
    let mut category = "";
    for rule in catalogue.rules() {
        if rule.category != category {
            let gap = if category.is_empty() { "" } else { "\n" };
            category = &rule.category;
            text.push_str(&format!("{gap}{category}\n"));
        }
        let default = format!("{:?}", rule.default).to_lowercase();
        let (severity, action) = (rule.severity.to_string(), rule.action.to_string());
        text.push_str(&format!(
            "  {:<26} {default:<9} {severity:<9} {action:<11} {}\n",
            rule.id, rule.what
        ));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_rule_has_a_line() {
        let text = super::table().unwrap();
        assert!(text.starts_with("accounts\n"));
        assert!(text.contains("  his-shell "));
        assert!(text.lines().all(|l| !l.ends_with(' ')), "{text}");
    }
}
