//! The whole catalogue on one tree: a file is planted at every example of every rule, and is gone,
//! empty or reported afterwards, as its rule says.

#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use disinherit_core::catalogue::{Action, Catalogue, Default as RuleDefault, Rule};
use disinherit_core::pipeline::{self, Job};
use disinherit_core::policy::{Fragment, Settings};
use disinherit_core::report::{Mode, Report};
use disinherit_core::root::Root;

const HOMES: [&str; 2] = ["/root", "/srv/data/Ann Lee"];

fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path.trim_start_matches('/'));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// An image with two homes, one with a space and outside `/home`.
fn base(root: &Path) {
    write(
        root,
        "/etc/passwd",
        "root:x:0:0::/root:/bin/sh\nann:x:1000:1000::/srv/data/Ann Lee:/bin/sh\n",
    );
    write(root, "/etc/shadow", "root:*:1::::::\nann:*:1::::::\n");
    write(root, "/etc/group", "root:x:0:\nann:x:1000:\n");
    write(
        root,
        "/etc/ssh/sshd_config",
        "PasswordAuthentication no\nKbdInteractiveAuthentication no\n",
    );
}

/// The example in every home, or as it stands.
fn paths(example: &str) -> Vec<String> {
    match example.strip_prefix("{home}") {
        Some(rest) => HOMES.iter().map(|home| format!("{home}{rest}")).collect(),
        None => vec![example.to_owned()],
    }
}

fn plant(root: &Path, catalogue: &Catalogue) {
    base(root);
    for rule in catalogue.rules() {
        for path in rule.examples.iter().flat_map(|e| paths(e)) {
            write(root, &path, "secret\n");
        }
        for path in &rule.when {
            write(root, &path.to_string(), "");
        }
    }
}

fn scrub(root: &Path, policy: &str) -> Report {
    let settings = Settings::new(Fragment::parse("policy.yaml", policy).unwrap()).unwrap();
    let job = Job { settings: &settings, firstboot: None, mode: Mode::Scrub };
    let report = pipeline::run(&Root::offline(root).unwrap(), &job, &mut ()).unwrap().1;
    let failed: Vec<_> = report.actions.iter().filter(|a| a.error.is_some()).collect();
    assert!(failed.is_empty(), "{failed:?}");
    report
}

fn reported(report: &Report) -> BTreeSet<(String, String)> {
    report.findings.iter().map(|f| (f.rule.clone(), f.path.to_string())).collect()
}

fn there(root: &Path, path: &str) -> bool {
    let full: PathBuf = root.join(path.trim_start_matches('/'));
    fs::symlink_metadata(full).is_ok_and(|m| m.len() > 0)
}

/// Fails unless every example of `rule` came out as it must.
fn judge(root: &Path, rule: &Rule, findings: &BTreeSet<(String, String)>, acts: bool) {
    for path in rule.examples.iter().flat_map(|e| paths(e)) {
        let left = there(root, &path);
        assert!(!(acts && left), "{}: {path} is still there", rule.id);
        let named = findings.contains(&(rule.id.clone(), path.clone()));
        assert!(!left || named, "{}: {path} is left and not reported", rule.id);
    }
}

#[test]
fn every_example_is_gone_or_reported() {
    let catalogue = Catalogue::builtin().unwrap();
    let temp = tempfile::tempdir().unwrap();
    plant(temp.path(), &catalogue);
    let findings = reported(&scrub(temp.path(), "firstboot: false"));
    for rule in catalogue.rules() {
        let acts = rule.default == RuleDefault::On && rule.unless.is_empty();
        judge(temp.path(), rule, &findings, acts && rule.action != Action::Report);
    }
    let again = scrub(temp.path(), "firstboot: false");
    assert!(again.actions.is_empty(), "a second run did {:?}", again.actions);
}

#[test]
fn optional_rules_act_when_policy_says_so() {
    let catalogue = Catalogue::builtin().unwrap();
    let temp = tempfile::tempdir().unwrap();
    plant(temp.path(), &catalogue);
    let optional = catalogue.rules().iter().filter(|r| r.default == RuleDefault::Optional);
    let on: String = optional.map(|r| format!("  {}: on\n", r.id)).collect();
    let findings = reported(&scrub(temp.path(), &format!("firstboot: false\nrules:\n{on}")));
    for rule in catalogue.rules() {
        let acts = rule.action != Action::Report && rule.unless.is_empty();
        judge(temp.path(), rule, &findings, acts);
    }
}

#[test]
fn a_rule_only_reports_where_its_condition_fails() {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path();
    base(root);
    write(root, "/etc/netplan/50-cloud-init.yaml", "network: {}\n");
    write(root, "/var/lib/samba/private/sam.ldb", "domain\n");
    let findings = reported(&scrub(root, "firstboot: false"));
    for (rule, path) in [
        ("ci-net", "/etc/netplan/50-cloud-init.yaml"),
        ("dir-samba", "/var/lib/samba/private/sam.ldb"),
    ] {
        assert!(there(root, path), "{path} went");
        assert!(findings.contains(&(rule.to_owned(), path.to_owned())), "{rule} is silent");
    }
}

#[test]
fn directories_of_services_and_links_stay() {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path();
    base(root);
    write(root, "/var/log/nginx/access.log", "GET /?token=x\n");
    write(root, "/var/log/nginx/old/access.log.1", "GET /?token=x\n");
    write(root, "/data/mysql/error.log", "x\n");
    write(root, "/var/mail/ann", "password\n");
    fs::create_dir_all(root.join("var/spool")).unwrap();
    std::os::unix::fs::symlink("../mail", root.join("var/spool/mail")).unwrap();
    std::os::unix::fs::symlink("/data/mysql", root.join("var/log/mysql")).unwrap();
    scrub(root, "firstboot: false");
    assert!(root.join("var/log/nginx/old").is_dir());
    assert_eq!(fs::read(root.join("var/log/nginx/access.log")).unwrap(), b"");
    assert!(!root.join("var/log/nginx/old/access.log.1").exists());
    assert!(fs::symlink_metadata(root.join("var/log/mysql")).unwrap().is_symlink());
    assert!(fs::symlink_metadata(root.join("var/spool/mail")).unwrap().is_symlink());
    assert!(root.join("var/mail").is_dir() && !root.join("var/mail/ann").exists());
}
