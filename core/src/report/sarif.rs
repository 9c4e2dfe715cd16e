//! The report as SARIF 2.1.0 (OASIS, "Static Analysis Results Interchange Format"), which code
//! hosts and editors show beside the image's sources.
//!
//! What remains is a result. What failed and what this run could not reach is a notification of the
//! tool: a file without results is only clean where there is no such notification either.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{Finding, Report};
use crate::ImagePath;
use crate::catalogue::Severity;

/// Name under which paths are relative to the image.
const ROOT: &str = "IMAGE";

/// The report as a SARIF log of one run, with a final newline.
pub fn sarif(report: &Report) -> String {
    let (rules, indexes) = rules(&report.findings);
    let results: Vec<Value> =
        report.findings.iter().map(|finding| result(finding, &indexes)).collect();
    let log = json!({
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "disinherit",
                "version": report.version,
                "semanticVersion": report.version,
                "informationUri": env!("CARGO_PKG_REPOSITORY"),
                "rules": rules,
            }},
            "originalUriBaseIds": { ROOT: {
                "uri": root_uri(&report.root),
                "description": { "text": "the root of the image" },
            }},
            "invocations": [{
                "executionSuccessful": report.exit_code < 2,
                "exitCode": report.exit_code,
                "toolExecutionNotifications": notifications(report),
            }],
            "columnKind": "utf16CodeUnits",
            "results": results,
        }],
    });
    // Maps have string keys and nothing here fails to serialise.
    let mut text = serde_json::to_string_pretty(&log).unwrap_or_default();
    text.push('\n');
    text
}

/// One descriptor for each rule that has a result, in order of the first one, and their indexes.
fn rules(findings: &[Finding]) -> (Vec<Value>, BTreeMap<&str, usize>) {
    let mut rules = Vec::new();
    let mut indexes = BTreeMap::new();
    for finding in findings {
        if indexes.contains_key(finding.rule.as_str()) {
            continue;
        }
        indexes.insert(finding.rule.as_str(), rules.len());
        rules.push(json!({
            "id": finding.rule,
            "shortDescription": { "text": finding.what },
            "fullDescription": { "text": finding.why },
            "help": { "text": finding.remedy },
            "defaultConfiguration": { "level": level(finding.severity) },
            "properties": {
                "category": finding.category,
                "security-severity": score(finding.severity),
                "tags": ["security", finding.category],
            },
        }));
    }
    (rules, indexes)
}

fn result(finding: &Finding, indexes: &BTreeMap<&str, usize>) -> Value {
    let subject = finding.subject.as_deref();
    let whose = subject.map(|s| format!(" ({s})")).unwrap_or_default();
    let text = format!(
        "{}{whose} in {}: {}. Remedy: {}.",
        finding.what, finding.path, finding.why, finding.remedy
    );
    let mut location = json!({ "physicalLocation": {
        "artifactLocation": { "uri": relative_uri(&finding.path), "uriBaseId": ROOT },
    }});
    if let (Some(subject), Some(location)) = (subject, location.as_object_mut()) {
        location.insert("logicalLocations".into(), json!([{ "name": subject }]));
    }
    json!({
        "ruleId": finding.rule,
        "ruleIndex": indexes.get(finding.rule.as_str()).copied().unwrap_or_default(),
        "level": level(finding.severity),
        "message": { "text": text },
        "locations": [location],
        "partialFingerprints": { "finding/v1": identity(finding) },
        "properties": { "severity": finding.severity },
    })
}

/// What failed, and what this run could not reach.
fn notifications(report: &Report) -> Vec<Value> {
    let failed = report.actions.iter().filter_map(|done| {
        let error = done.error.as_ref()?;
        Some(json!({
            "level": "error",
            "message": { "text": format!("{}: {error}", done.path) },
        }))
    });
    let left = report.residual.iter().map(|left| {
        json!({
            "level": "warning",
            "message": { "text": format!("{}: {}; {}", left.what, left.why, left.remedy) },
        })
    });
    failed.chain(left).collect()
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical | Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low => "note",
    }
}

/// What GitHub's code scanning sorts by: 9.0 and more is critical, 7.0 high, 4.0 medium.
fn score(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "9.5",
        Severity::High => "8.0",
        Severity::Medium => "5.5",
        Severity::Low => "2.0",
    }
}

/// The same finding in the next image of the same recipe has the same identity. It is made of what
/// the report shows, so nothing of a secret is in it.
fn identity(finding: &Finding) -> String {
    let mut hash = Sha256::new();
    let subject = finding.subject.as_deref().unwrap_or_default();
    for part in [finding.rule.as_bytes(), finding.path.as_bytes(), subject.as_bytes()] {
        hash.update(part);
        hash.update([0]);
    }
    hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

fn root_uri(root: &str) -> String {
    let path = encoded(root.trim_end_matches('/').as_bytes());
    format!("file://{path}/")
}

/// Relative to the root, every byte that is not plain in a URI as `%XX` (RFC 3986). The root itself
/// is `.`, because an empty reference means the document.
fn relative_uri(path: &ImagePath) -> String {
    let relative = path.as_bytes();
    match encoded(relative.strip_prefix(b"/").unwrap_or(relative)) {
        empty if empty.is_empty() => ".".into(),
        uri => uri,
    }
}

fn encoded(path: &[u8]) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(*byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_uri_references() {
        let uri = |path: &[u8]| relative_uri(&ImagePath::new(path).unwrap());
        assert_eq!(uri(b"/home/Ann Lee/\xff:x%"), "home/Ann%20Lee/%FF%3Ax%25");
        assert_eq!(uri(b"/"), ".");
        assert_eq!(root_uri("/"), "file:///");
        assert_eq!(root_uri("/mnt/a b/"), "file:///mnt/a%20b/");
    }

    #[test]
    fn an_identity_tells_parts_apart() {
        let finding = |rule: &str, path| Finding {
            rule: rule.into(),
            category: "c".into(),
            severity: Severity::Low,
            path: ImagePath::literal(path),
            subject: None,
            what: "w".into(),
            why: "y".into(),
            remedy: "m".into(),
        };
        let one = identity(&finding("a", "/b"));
        assert_eq!(one, identity(&finding("a", "/b")));
        assert_ne!(one, identity(&finding("a/", "/b")));
        assert_ne!(one, identity(&finding("a", "/b/c")));
    }
}
