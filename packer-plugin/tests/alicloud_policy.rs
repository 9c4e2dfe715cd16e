//! The launch policies of examples/alicloud, evaluated as RAM evaluates them.
//!
//! The rules are those that Alibaba Cloud publishes under "Policy elements" and "How RAM evaluates
//! policies": an explicit Deny counts more than any Allow, nothing is allowed that no policy allows,
//! all condition operators and keys of a statement must hold, one of a key's values is enough, and
//! a key that the request does not carry makes a condition fail.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub,
    reason = "a test fails by a panic, and rustc takes each file here for a crate of its own"
)]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

#[derive(Debug, PartialEq, Eq)]
enum Decision {
    Allowed,
    Denied,
    NotAllowed,
}

struct Request<'a> {
    action: &'a str,
    resource: &'a str,
    keys: BTreeMap<&'a str, &'a str>,
}

fn decide(policies: &[Value], request: &Request<'_>) -> Decision {
    let statements = policies.iter().flat_map(|policy| many(&policy["Statement"]));
    let effects: Vec<Value> = statements
        .filter(|statement| applies(statement, request))
        .map(|statement| statement["Effect"].clone())
        .collect();
    match (effects.contains(&json!("Deny")), effects.contains(&json!("Allow"))) {
        (true, _) => Decision::Denied,
        (false, true) => Decision::Allowed,
        (false, false) => Decision::NotAllowed,
    }
}

fn applies(statement: &Value, request: &Request<'_>) -> bool {
    let named = |element: &str, text: &str| {
        many(&statement[element]).iter().any(|pattern| glob(pattern.as_str().unwrap(), text))
    };
    let acts = match statement.get("NotAction") {
        Some(_) => !named("NotAction", request.action),
        None => named("Action", request.action),
    };
    acts && named("Resource", request.resource) && conditions(&statement["Condition"], request)
}

fn conditions(condition: &Value, request: &Request<'_>) -> bool {
    let Some(operators) = condition.as_object() else { return condition.is_null() };
    operators.iter().all(|(operator, keys)| {
        keys.as_object().unwrap().iter().all(|(key, values)| {
            let Some(actual) = request.keys.get(key.as_str()) else { return false };
            many(values).iter().any(|wanted| {
                let wanted = wanted.as_str().expect("condition values are texts");
                match operator.as_str() {
                    "Bool" => wanted.eq_ignore_ascii_case(actual),
                    "StringEquals" => wanted == *actual,
                    "StringLike" => glob(wanted, actual),
                    other => panic!("{other} is not known here"),
                }
            })
        })
    })
}

/// One value or a list of them.
fn many(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_else(|| vec![value.clone()])
}

/// `*` is any text, `?` one character; case does not matter in names of actions and resources.
fn glob(pattern: &str, text: &str) -> bool {
    fn matches(pattern: &[char], text: &[char]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some(('*', rest)) => (0..=text.len()).any(|skip| matches(rest, &text[skip..])),
            Some((one, rest)) => text.split_first().is_some_and(|(first, others)| {
                (*one == '?' || one.eq_ignore_ascii_case(first)) && matches(rest, others)
            }),
        }
    }
    matches(&pattern.chars().collect::<Vec<_>>(), &text.chars().collect::<Vec<_>>())
}

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/alicloud").join(name)
}

fn read(name: &str) -> Value {
    serde_json::from_str(&fs::read_to_string(example(name)).unwrap()).unwrap()
}

fn request<'a>(action: &'a str, inherit: Option<&'a str>) -> Request<'a> {
    let keys = inherit.map(|value| ("ecs:PasswordInherit", value)).into_iter().collect();
    Request { action, resource: "acs:ecs:eu-central-1:1234567890123456:instance/*", keys }
}

const POLICIES: [&str; 2] = ["policies/control-policy.json", "policies/account-policy.json"];
const LAUNCHES: [&str; 3] = ["ecs:RunInstances", "ecs:CreateInstance", "ecs:ReplaceSystemDisk"];

fn everything() -> Value {
    json!({"Version": "1", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})
}

#[test]
fn an_inherited_password_is_denied_whatever_else_allows_it() {
    for name in POLICIES {
        let policies = [everything(), read(name)];
        for action in LAUNCHES {
            let denied = decide(&policies, &request(action, Some("true")));
            assert_eq!(denied, Decision::Denied, "{name} {action}");
            for inherit in [Some("false"), None] {
                let allowed = decide(&policies, &request(action, inherit));
                assert_eq!(allowed, Decision::Allowed, "{name} {action} {inherit:?}");
            }
        }
    }
}

#[test]
fn other_requests_are_left_alone_and_nothing_is_granted() {
    for name in POLICIES {
        let policy = read(name);
        for action in ["ecs:StartInstance", "ecs:RunCommand", "ecs:DescribeImages", "ram:GetUser"] {
            let request = request(action, Some("true"));
            let decision = decide(&[everything(), policy.clone()], &request);
            assert_eq!(decision, Decision::Allowed, "{name} {action}");
        }
        let alone = decide(&[policy], &request("ecs:RunInstances", Some("false")));
        assert_eq!(alone, Decision::NotAllowed, "{name}");
    }
}

#[test]
fn the_launch_example_passes_and_its_opposite_does_not() {
    let mut launch = read("launch.json");
    assert!(launch.get("Password").is_none());
    assert!(launch["KeyPairName"].as_str().is_some_and(|name| !name.is_empty()));
    for (inherit, decision) in [(false, Decision::Allowed), (true, Decision::Denied)] {
        if inherit {
            launch["PasswordInherit"] = true.into();
        }
        let value = launch["PasswordInherit"].to_string();
        let request = request("ecs:RunInstances", Some(&value));
        for name in POLICIES {
            assert_eq!(decide(&[everything(), read(name)], &request), decision, "{name}");
        }
    }
}

/// A test of the evaluator itself, against examples whose answers the published rules give.
#[test]
fn the_evaluator_reads_the_policy_language() {
    let policy = json!({"Version": "1", "Statement": [
        {"Effect": "Allow", "Action": ["ecs:Describe*", "ecs:?tart*"], "Resource": "acs:ecs:*:*:instance/i-1"},
        {"Effect": "Deny", "NotAction": "ecs:*", "Resource": "*"},
        {"Effect": "Deny", "Action": "ecs:DescribeTags", "Resource": "*",
         "Condition": {"StringEquals": {"ecs:tag/env": ["prod", "stage"]}, "Bool": {"acs:MFAPresent": "false"}}},
    ]});
    let ask = |action: &str, resource: &str, keys: &[(&'static str, &'static str)]| {
        let keys = keys.iter().copied().collect();
        decide(std::slice::from_ref(&policy), &Request { action, resource, keys })
    };
    let one = "acs:ecs:eu-central-1:42:instance/i-1";
    assert_eq!(ask("ecs:DescribeTags", one, &[]), Decision::Allowed);
    assert_eq!(ask("ecs:startInstance", one, &[]), Decision::Allowed);
    assert_eq!(ask("ecs:RunInstances", one, &[]), Decision::NotAllowed);
    assert_eq!(
        ask("ecs:DescribeTags", "acs:ecs:eu-central-1:42:instance/i-2", &[]),
        Decision::NotAllowed
    );
    assert_eq!(ask("ram:GetUser", one, &[]), Decision::Denied);
    let both = [("ecs:tag/env", "stage"), ("acs:MFAPresent", "false")];
    assert_eq!(ask("ecs:DescribeTags", one, &both), Decision::Denied);
    assert_eq!(ask("ecs:DescribeTags", one, &both[..1]), Decision::Allowed);
}

/// The script and the parameter file say the same.
#[test]
fn the_launch_script_asks_for_what_the_parameters_say() {
    let dir = tempfile::tempdir().unwrap();
    let stub = dir.path().join("aliyun");
    fs::write(&stub, "#!/bin/sh\nprintf '%s\\n' \"$@\"\n").unwrap();
    fs::set_permissions(&stub, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", dir.path().display(), std::env::var("PATH").unwrap());
    let out = Command::new("/bin/sh")
        .arg(example("launch.sh"))
        .args(["m-REPLACE-ME", "vsw-REPLACE-ME", "sg-REPLACE-ME", "team-2026", "--DryRun", "true"])
        .env("PATH", path)
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let words = String::from_utf8(out.stdout).unwrap();
    let words = words.strip_prefix("ecs\nRunInstances\n").unwrap();
    let words: Vec<&str> = words.lines().collect();
    let asked: BTreeMap<&str, &str> =
        words.chunks(2).map(|pair| (pair[0].strip_prefix("--").unwrap(), pair[1])).collect();
    for (name, value) in read("launch.json").as_object().unwrap() {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        assert_eq!(asked.get(name.as_str()), Some(&value.as_str()), "{name}");
    }
    assert_eq!(asked["DryRun"], "true");
}
