//! The provisioner's answers to Prepare, for what Packer really sends.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub,
    reason = "a test fails by a panic, and rustc takes each file here for a crate of its own"
)]

use std::fs;

use disinherit_core::policy::EraseMode;
use packer_plugin_disinherit::config::{Input, Settings, UNKNOWN};
use packer_plugin_disinherit::plugin::Provisioner;
use packer_plugin_disinherit::provision::{Programs, Scrubber};
use packer_plugin_disinherit::wire::msgpack::Value;
use serde_json::json;

fn packer(builder: &str) -> Value {
    Value::map([
        ("packer_build_name", "n1".into()),
        ("packer_builder_type", builder.into()),
        ("packer_user_variables", Value::map([("dir", "/srv".into()), ("yes", "1".into())])),
    ])
}

fn hcl2(value: &serde_json::Value) -> Vec<Value> {
    let cty = json!({"value": value, "type": "dynamic"}).to_string();
    vec![packer("qemu"), Value::Bin(cty.into_bytes())]
}

fn scrubber() -> Scrubber {
    Scrubber::new(Programs::of_this_process())
}

fn resolve(configs: &[Value]) -> Result<Settings, String> {
    let input = Input::from_configs(configs).map_err(|problems| problems.to_string())?;
    Settings::resolve(&input, None).map_err(|problems| problems.to_string())
}

#[test]
fn every_mistake_is_told_at_once_with_its_option() {
    let error = scrubber()
        .prepare(hcl2(&json!({
            "erase": "shred", "power_off_delay": "20", "policy_files": ["/nonexistent/p.yaml"],
            "keep_users": ["ann"], "remove_users": ["ann", "root", "a b"], "report_path": "/nonexistent/r",
            "execute_command": "sudo sh", "remote_folder": "tmp", "rules": {"x": "maybe"},
            "firstboot": true, "keep_user": ["typo"], "inline": "echo",
        })))
        .unwrap_err();
    assert!(error.starts_with("12 errors occurred:\n\n* "), "{error}");
    for text in [
        "erase: must be one of `auto`, `trim`, `fill`, `files`, `off`, not \"shred\"",
        "power_off_delay: \"20\" has no unit",
        "policy_files: cannot read /nonexistent/p.yaml",
        "remove_users: ann is in keep_users too",
        "remove_users: root cannot be removed",
        "remove_users: \"a b\" is no user name",
        "report_path: the folder of /nonexistent/r does not exist",
        "execute_command: must hold {{.Path}}",
        "remote_folder: \"tmp\" must be an absolute path",
        "rules: x must be one of `on`, `off`, `report`, not \"maybe\"",
        "keep_user: there is no such option; did you mean keep_users?",
        "inline: there is no such option",
    ] {
        assert!(error.contains(text), "{text} is missing in {error}");
    }
}

#[test]
fn firstboot_needs_a_program_and_the_remedy_is_named() {
    let error = scrubber().prepare(hcl2(&json!({}))).unwrap_err();
    assert!(error.starts_with("1 error occurred:\n\n* firstboot: "), "{error}");
    assert!(error.contains("make dist") && error.contains("firstboot_binary"), "{error}");
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("firstboot");
    fs::write(&program, "#!/bin/sh\n").unwrap();
    for fine in [
        json!({"firstboot": false}),
        json!({"firstboot": "0"}),
        json!({"firstboot_binary": program}),
        json!({"firstboot_binary": UNKNOWN}),
    ] {
        assert_eq!(scrubber().prepare(hcl2(&fine)), Ok(()), "{fine}");
    }
}

#[test]
fn unknown_texts_pass_prepare_and_fail_provision() {
    let all = json!({
        "policy_files": [UNKNOWN], "erase": UNKNOWN, "report_path": UNKNOWN, "guest_binary": UNKNOWN,
        "sudo_password": UNKNOWN, "execute_command": UNKNOWN, "remote_folder": UNKNOWN,
        "rules": {"x": UNKNOWN}, "keep_users": [UNKNOWN], "power_off_delay": UNKNOWN,
        "firstboot": false,
    });
    assert_eq!(scrubber().prepare(hcl2(&all)), Ok(()));
    let input = Input::from_configs(&hcl2(&all)).unwrap();
    let problems = Settings::resolve(&input, Some(&json!({}))).unwrap_err();
    assert_eq!(problems.list().len(), 10, "{problems}");
}

#[test]
fn json_templates_are_lenient_and_rendered() {
    let block = Value::map([
        ("strict", "{{user `yes`}}".into()),
        ("keep_users", "ann,bob".into()),
        ("report_path", "{{user `dir`}}/{{build_name}}.json".into()),
        ("power_off", true.into()),
        ("execute_command", "{{ .Vars }} sudo -n '{{ .Path }}'".into()),
        ("erase", "trim".into()),
    ]);
    let over = Value::map([("erase", "off".into())]);
    let settings = resolve(&[block, over, packer("vsphere-iso")]).unwrap();
    assert!(settings.strict && settings.powers_off());
    assert_eq!(settings.keep_users, ["ann", "bob"]);
    assert_eq!(settings.report_path.unwrap().to_str(), Some("/srv/n1.json"));
    assert_eq!(settings.erase, Some(EraseMode::Off));
    assert_eq!(settings.execute_command.as_deref(), Some("{{.Vars}} sudo -n '{{.Path}}'"));
    // HCL2 does not render: braces there are text.
    let error = resolve(&hcl2(&json!({"erase": "{{user `yes`}}"}))).unwrap_err();
    assert!(error.contains("not \"{{user `yes`}}\""), "{error}");
}

#[test]
fn the_builder_decides_over_power_off_and_dangerous_choices_warn() {
    let with = |builder: &str, power_off: &str| {
        resolve(&[Value::map([("power_off", power_off.into())]), packer(builder)]).unwrap()
    };
    for builder in
        ["qemu", "virtualbox-iso", "vmware-vmx", "vsphere-clone", "proxmox", "parallels-pvm"]
    {
        assert!(with(builder, "auto").powers_off(), "{builder}");
        assert!(with(builder, "auto").warnings().is_empty());
        assert!(with(builder, "false").warnings()[0].contains("shutdown_command"), "{builder}");
    }
    for builder in ["amazon-ebs", "alicloud-ecs", "googlecompute", "docker", "null", ""] {
        assert!(!with(builder, "auto").powers_off(), "{builder}");
    }
    assert!(with("amazon-ebs", "true").warnings()[0].contains("power_off = true"));
    let command = "echo 'packer' | sudo -S env {{.Vars}} {{.Path}}";
    let settings = resolve(&hcl2(&json!({"execute_command": command}))).unwrap();
    assert!(settings.warnings()[0].contains("sudo_password"));
}

#[test]
fn prepare_starts_from_a_clean_state_each_time() {
    let scrubber = scrubber();
    assert!(scrubber.prepare(hcl2(&json!({"erase": "no"}))).is_err());
    assert_eq!(scrubber.prepare(hcl2(&json!({"firstboot": false}))), Ok(()));
    assert!(scrubber.prepare(vec![]).unwrap_err().contains("firstboot"));
}

#[test]
fn no_error_quotes_a_password() {
    for block in [
        json!({"sudo_password": ["hunter2"]}),
        json!({"sudo_password": {"a": "hunter2"}}),
        json!({"sudo_password": "hunter2", "erase": "x"}),
    ] {
        let error = resolve(&hcl2(&block)).unwrap_err();
        assert!(!error.contains("hunter2"), "{error}");
    }
}

#[test]
fn a_policy_that_the_guest_would_refuse_is_told_by_prepare() {
    let dir = tempfile::tempdir().unwrap();
    let policy = dir.path().join("p.yaml");
    let with = |text: &str, rules: serde_json::Value| {
        fs::write(&policy, text).unwrap();
        resolve(&hcl2(&json!({"policy_files": [policy], "rules": rules})))
    };
    let error = with("keep_user: [ann]\n", json!({})).unwrap_err();
    assert!(
        error.contains("policy_files: cannot read the policy") && error.contains("`keep_user`"),
        "{error}"
    );
    let error = with("strict: true\n", json!({"his-shel": "off"})).unwrap_err();
    assert!(error.contains("cannot switch the rule his-shel"), "{error}");
    let extra = "extra_rules:\n- {id: our-token, what: token, where: [/opt/t], action: delete, \
                 severity: high, why: opens the app, source: our wiki}\n";
    assert!(with(extra, json!({"our-token": "report", "his-shell": "off"})).is_ok());
}
