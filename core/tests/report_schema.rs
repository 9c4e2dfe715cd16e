//! The published schema and the report agree: every member of a real report stands in
//! `docs/report.schema.json`, with its type, and nothing required is missing.

#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

use disinherit_core::change::Erase;
use disinherit_core::erase::swap::SwapReport;
use disinherit_core::erase::{EraseMode, FsReport, Journal, Place, Residual as Below, Way};
use disinherit_core::manifest::KeyHash;
use disinherit_core::proof::{Form, Hit, SearchReport, Searched, Where};
use disinherit_core::reach::Mount;
use disinherit_core::report::{Done, Finding, Mode, Report, Residual, SCHEMA, Summary};
use disinherit_core::{ImagePath, catalogue::Severity, facts::Login};
use serde_json::Value;

/// The part of JSON Schema that the file uses.
fn check(schema: &Value, whole: &Value, value: &Value, at: &str) {
    let schema = match schema.get("$ref").and_then(Value::as_str) {
        Some(name) => whole.pointer(name.trim_start_matches('#')).unwrap(),
        None => schema,
    };
    if let Some(allowed) = schema.get("enum").and_then(Value::as_array) {
        assert!(allowed.contains(value), "{at}: {value} is not in the schema");
    }
    if let Some(constant) = schema.get("const") {
        assert_eq!(constant, value, "{at}");
    }
    let fits = match schema.get("type").and_then(Value::as_str) {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("integer") => value.is_u64(),
        Some("boolean") => value.is_boolean(),
        _ => true,
    };
    assert!(fits, "{at}: {value} has another type");
    for name in schema.get("required").and_then(Value::as_array).into_iter().flatten() {
        assert!(value.get(name.as_str().unwrap()).is_some(), "{at}: {name} is missing");
    }
    for (name, member) in value.as_object().into_iter().flatten() {
        let below = schema.get("properties").and_then(|p| p.get(name));
        let below = below.unwrap_or_else(|| unreachable!("{at}: {name} is not in the schema"));
        check(below, whole, member, &format!("{at}.{name}"));
    }
    for (i, item) in value.as_array().into_iter().flatten().enumerate() {
        check(schema.get("items").unwrap(), whole, item, &format!("{at}[{i}]"));
    }
}

fn erased() -> FsReport {
    FsReport {
        point: "/mnt".into(),
        fstype: "ext4".into(),
        device: "/dev/vda1".into(),
        mode: EraseMode::Auto,
        way: Way::Device,
        trimmed: Some(1),
        scanned: 1,
        dirty: 1,
        written: 1,
        left: 0,
        inodes: 1,
        journal: Journal::Overwritten,
        swept: false,
        residual: vec![Below {
            place: Place::Metadata,
            bytes: Some(1),
            why: "y".into(),
            remedy: "m".into(),
        }],
    }
}

fn proof() -> SearchReport {
    SearchReport {
        devices: vec![Searched { device: "/dev/vda1".into(), size: 2, wanted: 2, searched: 2 }],
        secrets: 1,
        not_provable: 0,
        hits: vec![Hit {
            device: "/dev/vda1".into(),
            offset: 1,
            secret: 0,
            form: Form::Utf16,
            place: Where::Free,
        }],
        more: 0,
        blind: vec!["b".into()],
    }
}

fn swap() -> SwapReport {
    SwapReport { path: "/swapfile".into(), size: 2, written: 1, hibernated: true, was_active: true }
}

fn full() -> Report {
    let path = ImagePath::new("/etc/shadow").unwrap();
    Report {
        schema: SCHEMA,
        version: "0.0.0".into(),
        mode: Mode::DryRun,
        root: "/mnt".into(),
        live: false,
        exit_code: 0,
        fail_on: None,
        summary: Summary::default(),
        actions: vec![Done {
            rules: vec!["r".into()],
            path: path.clone(),
            action: "delete".into(),
            subjects: vec!["ann".into()],
            erase: Some(Erase::Overwritten { bytes: 3 }),
            error: Some("no".into()),
        }],
        findings: vec![Finding {
            rule: "r".into(),
            category: "c".into(),
            severity: Severity::High,
            path: path.clone(),
            subject: Some("ann".into()),
            what: "w".into(),
            why: "y".into(),
            remedy: "m".into(),
        }],
        residual: vec![Residual { what: "w".into(), why: "y".into(), remedy: "m".into() }],
        erased: vec![erased()],
        swaps: vec![swap()],
        stopped_swaps: Vec::new(),
        proof: Some(proof()),
        logins: vec![Login {
            user: "ann".into(),
            path: path.clone(),
            fingerprint: "SHA256:x".into(),
            hash: KeyHash::of(b"k"),
            key_type: "ssh-ed25519".into(),
            weakness: Some("small".into()),
        }],
        skipped: vec![Mount {
            at: path,
            fstype: "nfs".into(),
            source: "host:/x".into(),
            read_only: true,
            inside: "/".into(),
        }],
    }
}

#[test]
fn a_full_report_fits_the_published_schema() {
    let schema: Value =
        serde_json::from_str(include_str!("../../docs/report.schema.json")).unwrap();
    let report = full();
    check(&schema, &schema, &serde_json::from_str(&report.json()).unwrap(), "report");
}

#[test]
fn a_report_reads_back_as_it_was_written() {
    let text = full().json();
    let again: Report = serde_json::from_str(&text).unwrap();
    assert_eq!(again.json(), text);
}

#[test]
fn the_exit_code_follows_from_what_remains() {
    let mut report = full();
    report.actions.clear();
    report.conclude(Severity::Critical, false);
    assert_eq!(report.exit_code, 0);
    report.conclude(Severity::Critical, true);
    assert_eq!(report.exit_code, 1, "a residual risk fails a strict run");
    report.conclude(Severity::High, false);
    assert_eq!(report.exit_code, 1);
    report.actions = full().actions;
    report.conclude(Severity::Critical, false);
    assert_eq!(report.exit_code, 3);
}
