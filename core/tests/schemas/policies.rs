//! The policy schema against the parser: what one takes the other takes.

use disinherit_core::policy::Fragment;
use libtest_mimic::Failed;
use serde_json::Value;

use super::validator::{published, violations};

fn json(yaml: &str) -> Value {
    serde_yaml::from_str(yaml).unwrap()
}

/// The examples, which are what people start from.
pub(crate) fn examples() -> Result<(), Failed> {
    let schema = published("policy.schema.json");
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/policies");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "yaml") {
            let found = violations(&schema, &json(&std::fs::read_to_string(&path).unwrap()));
            assert!(found.is_empty(), "{}: {found:#?}", path.display());
            count += 1;
        }
    }
    if count < 6 { Err(format!("only {count} examples").into()) } else { Ok(()) }
}

const RULE: &str = "id: a, what: b, action: delete, severity: low, why: c, source: d";

/// Policies with one thing wrong each, and what is right about them.
pub(crate) fn what_the_parser_refuses() -> Result<(), Failed> {
    let schema = published("policy.schema.json");
    let rule = |more: &str| format!("extra_rules: [{{{RULE}, {more}}}]");
    for (policy, right) in [
        ("{}".to_owned(), true),
        ("strict: true".to_owned(), true),
        ("strict: 1".to_owned(), false),
        ("keep_user: [a]".to_owned(), false),
        ("keep_users: a".to_owned(), false),
        ("rules: {his-shell: off}".to_owned(), true),
        ("rules: {his-shell: never}".to_owned(), false),
        ("allow: {paths: [/a/**, '{home}/.x']}".to_owned(), true),
        ("allow: {paths: [a/b]}".to_owned(), false),
        ("allow: {path: [/a]}".to_owned(), false),
        ("proof_limit: 1h30m".to_owned(), true),
        ("proof_limit: 90".to_owned(), false),
        ("erase: shred".to_owned(), false),
        (rule("where: [/x]"), true),
        (rule("where: [/x], find: no-such"), false),
        (rule("where: [/x], size: 3"), false),
        ("extra_rules: [{id: a}]".to_owned(), false),
    ] {
        let parsed = Fragment::parse("policy", &policy);
        assert_eq!(parsed.is_ok(), right, "{policy}: {parsed:?}");
        let found = violations(&schema, &json(&policy));
        assert_eq!(found.is_empty(), right, "{policy}: {found:?}");
    }
    Ok(())
}
