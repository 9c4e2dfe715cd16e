//! YAML as it is found, compared with a parser that knows nothing of places.

use super::*;
use crate::edit::{Edit, Format, run};
use proptest::prelude::*;

fn edits(text: &str, keys: &[&str], kubernetes: bool) -> Result<String, Unfit> {
    let keys: Vec<KeyPattern> = keys.iter().map(|k| k.parse().unwrap()).collect();
    let cuts = find(text.as_bytes(), &keys, kubernetes)?;
    let edits: Vec<Edit> = cuts.into_iter().map(Edit::Cut).collect();
    let new = run(Format::Spans, text.as_bytes(), &edits).unwrap();
    Ok(String::from_utf8(new.to_vec()).unwrap())
}

fn edited(text: &str, keys: &[&str]) -> String {
    edits(text, keys, false).unwrap()
}

#[test]
fn members_go_with_their_lines() {
    for (old, new) in [
        ("#cloud-config\npassword: x1 # c\nuser: a\n", "#cloud-config\nuser: a\n"),
        ("a: 1\npassword: |\n  x1\n  x2\n\n# c\nb: 2\n", "a: 1\n\n# c\nb: 2\n"),
        (
            "users:\n- password: x1\n  name: a\n- name: b\n  password: 'y''1'\n",
            "users:\n- name: a\n- name: b\n",
        ),
        ("a:\n  password: x1\nb: 1\n", "a:\n  {}\nb: 1\n"),
        ("- password: x1\n- b\n", "- {}\n- b\n"),
        ("a: {password: x1, b: 1}\n", "a: {b: 1}\n"),
        ("a: {b: \"1\", password: \"x1\" }\n", "a: {b: \"1\" }\n"),
        ("password:\n  - x1\n  - x2\nb: é\n", "b: é\n"),
        ("é: ü\npassword: x1\nb: http://u:p@h/\n", "é: ü\nb: http://h/\n"),
        ("a: 1\n#  password: hunter2\n# password: secret\n", "a: 1\n# password: secret\n"),
        ("password: ''\nb: {password: null}\n", "password: ''\nb: {password: null}\n"),
        ("a: 1\n---\npassword: x1\nb: 2\n", "a: 1\n---\nb: 2\n"),
    ] {
        assert_eq!(edited(old, &["password"]), new);
        assert_eq!(edited(new, &["password"]), new);
    }
}

#[test]
fn data_of_secret_objects_goes() {
    let old = "kind: Secret\ndata:\n  a: eA==\ntype: Opaque\n---\nkind: ConfigMap\ndata:\n  a: b\n";
    let new = "kind: Secret\ntype: Opaque\n---\nkind: ConfigMap\ndata:\n  a: b\n";
    assert_eq!(edits(old, &[], true).unwrap(), new);
}

#[test]
fn what_cannot_be_read_or_cut_is_refused() {
    assert_eq!(edits("a: [", &[], false), Err(Unfit::Broken("YAML")));
    assert_eq!(edits("x: &p x1\npassword: *p\n", &["password"], false), Err(Unfit::Shared));
    assert_eq!(edits("password: &p x1\nb: *p\n", &["password"], false), Err(Unfit::Shared));
    assert!(edits(&"- ".repeat(10_000), &[], false).is_err());
}

fn value() -> impl Strategy<Value = serde_yaml::Value> {
    let leaf = prop_oneof![
        Just(serde_yaml::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i32>().prop_map(Into::into),
        // No quotes inside: what is secret is judged as it is written.
        "[a-z0-9é :,{}!&*$-]{0,8}".prop_map(Into::into),
        "[a-z]{1,3}\n[a-z]{0,3}\n?".prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            proptest::collection::vec(
                (prop_oneof!["[a-c]", Just("password".to_owned())], inner),
                0..4
            )
            .prop_map(|m| serde_yaml::Value::Mapping(
                m.into_iter().map(|(k, v)| (k.into(), v)).collect()
            )),
        ]
    })
}

fn secret(value: &serde_yaml::Value) -> bool {
    match value {
        serde_yaml::Value::Sequence(items) => items.iter().any(secret),
        serde_yaml::Value::Mapping(map) => map.values().any(secret),
        serde_yaml::Value::String(text) => crate::edit::value::is_secret(text.as_bytes()),
        serde_yaml::Value::Number(_) => true,
        _ => false,
    }
}

fn without(value: &mut serde_yaml::Value) {
    match value {
        serde_yaml::Value::Sequence(items) => items.iter_mut().for_each(without),
        serde_yaml::Value::Mapping(map) => {
            map.retain(|name, value| name.as_str() != Some("password") || !secret(value));
            map.values_mut().for_each(without);
        }
        _ => {}
    }
}

proptest! {
    #[test]
    fn everything_else_means_the_same(mut value in value()) {
        let old = serde_yaml::to_string(&value).unwrap();
        let new = edited(&old, &["password"]);
        without(&mut value);
        prop_assert_eq!(serde_yaml::from_str::<serde_yaml::Value>(&new).unwrap(), value, "{}", old);
        prop_assert_eq!(edited(&new, &["password"]), new.clone());
    }

    #[test]
    fn no_text_makes_it_panic(text in "([a-z-]{0,3}[:\\[\\]{}&*!|>'\"#,?@\n é]{0,3}){0,12}") {
        drop(edits(&text, &["a", "b*"], true));
    }
}

#[test]
fn a_tunnel_of_netplan_keeps_a_key_that_names_no_file() {
    let key = "4GgaQCy68nzNsUE5aJ9fuLzHhB65tAlwbmA72MWnOm8=";
    let text = format!(
        "network:\n  tunnels:\n    wg0:\n      mode: wireguard\n      key: {key}\n    wg1:\n      \
         keys: {{private: \"{key}\", x: 1}}\n"
    );
    let expected = "network:\n  tunnels:\n    wg0:\n      mode: wireguard\n      key: \
                    /run/netplan/removed.key\n    wg1:\n      keys: {private: \
                    /run/netplan/removed.key, x: 1}\n";
    assert_eq!(edited(&text, &["key", "private"]), expected);
}
