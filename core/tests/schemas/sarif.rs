//! Real reports of a small dirty tree.

use std::fs;
use std::path::Path;

use disinherit_core::pipeline::{self, Job};
use disinherit_core::policy::{Fragment, Settings};
use disinherit_core::report::{self, Mode, Report};
use disinherit_core::root::Root;
use libtest_mimic::Failed;
use serde_json::{Value, json};

use super::validator::{fits, official_sarif, published};

const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHlvbmRlciBzdGFuZHMgYSBrZXkgZm9yIHRlc3RzeHl6 ann\n";

fn put(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn run(mode: Mode) -> Report {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    put(
        root,
        "etc/passwd",
        "root:x:0:0::/root:/bin/sh\nann:x:1000:1000::/srv/Ann <Lee>:/bin/sh\ntoor:x:0:0::/:/bin/sh\n",
    );
    put(root, "etc/shadow", "root:$6$salt$0123456789abcdef:19700:0:99999:7:::\nann::1::::::\n");
    put(root, "root/.ssh/authorized_keys", KEY);
    put(root, "srv/Ann <Lee>/.bash_history", "x\n");
    put(root, "srv/Ann <Lee>/.aws/cre dentials%", "x\n");
    let settings = Fragment::parse("policy", "firstboot: false\nproof: off\n").unwrap();
    let settings = Settings::new(settings).unwrap();
    let job = Job { settings: &settings, firstboot: None, mode };
    let (_, mut report) = pipeline::run(&Root::offline(root).unwrap(), &job, &mut ()).unwrap();
    if let (Mode::Scrub, Some(done)) = (mode, report.actions.first_mut()) {
        done.error = Some("No space left on device".into());
        report.conclude(settings.fail_on, settings.strict);
    }
    report
}

fn sarif(report: &Report) -> Value {
    serde_json::from_str(&report::sarif(report)).unwrap()
}

fn without_version(log: &Value) -> Value {
    let mut spoilt = log.clone();
    spoilt.as_object_mut().unwrap().remove("version");
    spoilt
}

pub(crate) fn of_an_audit() -> Result<(), Failed> {
    let report = run(Mode::Audit);
    let log = sarif(&report);
    let results = log["runs"][0]["results"].as_array().unwrap();
    assert_eq!(results.len(), report.findings.len());
    assert!(results.len() > 3, "{results:#?}");
    // Every result leads to its rule, and the paths are the report's.
    for (result, finding) in results.iter().zip(&report.findings) {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(log["runs"][0]["tool"]["driver"]["rules"][index]["id"], finding.rule.as_str());
    }
    assert!(log.to_string().contains("srv/Ann%20%3CLee%3E/.bash_history"));
    fits(&official_sarif(), &log, &without_version(&log))
}

pub(crate) fn of_a_failed_scrub() -> Result<(), Failed> {
    let report = run(Mode::Scrub);
    let log = sarif(&report);
    let invocation = &log["runs"][0]["invocations"][0];
    assert_eq!(invocation["executionSuccessful"], json!(false));
    assert_eq!(invocation["exitCode"], json!(3));
    assert!(!invocation["toolExecutionNotifications"].as_array().unwrap().is_empty());
    fits(&official_sarif(), &log, &without_version(&log))
}

pub(crate) fn reports() -> Result<(), Failed> {
    let schema = published("report.schema.json");
    for mode in [Mode::Audit, Mode::DryRun, Mode::Scrub] {
        let document: Value = serde_json::from_str(&run(mode).json()).unwrap();
        let mut spoilt = document.clone();
        spoilt["findings"] = json!([{ "rule": "x" }]);
        fits(&schema, &document, &spoilt)?;
    }
    Ok(())
}
