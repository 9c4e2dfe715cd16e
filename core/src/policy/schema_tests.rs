//! `docs/policy.schema.json` and the types say the same: the same keys, the same words.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Allow, ContentMode, EraseMode, Fragment, MachineId, ProofMode, Settings, Switch};
use crate::catalogue::{
    Action, Certainty, Default as RuleDefault, Finder, Reader, Rule, Severity, Signature,
};
use crate::manifest::{InjectedPassword, SealedKeys};

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/policy.schema.json");

fn schema() -> Value {
    serde_json::from_str(&std::fs::read_to_string(PATH).unwrap()).unwrap()
}

/// What a type knows: the decoder's own words about one that it does not know.
fn known<T: DeserializeOwned + std::fmt::Debug>(text: &str) -> Vec<String> {
    let error = serde_yaml::from_str::<T>(text).unwrap_err().to_string();
    let mut words: Vec<String> =
        error.split('`').skip(1).step_by(2).skip(1).map(str::to_owned).collect();
    words.sort();
    assert!(!words.is_empty(), "{error}");
    words
}

fn keys(object: &Value) -> Vec<String> {
    object["properties"].as_object().unwrap().keys().cloned().collect()
}

fn words(place: &Value) -> Vec<String> {
    let mut words: Vec<String> =
        place["enum"].as_array().unwrap().iter().map(|w| w.as_str().unwrap().to_owned()).collect();
    words.sort();
    words
}

/// Puts the words of a definition into the file, and leaves the rest as it is written.
fn write_words(name: &str, words: &[String]) {
    let text = std::fs::read_to_string(PATH).unwrap();
    let (head, rest) = text.split_once(&format!("\"{name}\": {{\n      \"enum\": [")).unwrap();
    let (_, tail) = rest.split_once(']').unwrap();
    let list = words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ");
    let made = format!("{head}\"{name}\": {{\n      \"enum\": [{list}]{tail}");
    std::fs::write(PATH, made).unwrap();
}

#[test]
fn every_key_is_in_the_schema() {
    let schema = schema();
    let unknown = "{no-such-key: 1}";
    assert_eq!(keys(&schema), known::<Fragment>(unknown));
    assert_eq!(keys(&schema["definitions"]["allow"]), known::<Allow>(unknown));
    assert_eq!(keys(&schema["definitions"]["rule"]), known::<Rule>(unknown));
    assert_eq!(keys(&schema["definitions"]["signature"]), known::<Signature>(unknown));
}

#[test]
fn every_word_is_in_the_schema() {
    let schema = schema();
    let of = |key: &str| words(&schema["properties"][key]);
    let defined = |name: &str| words(&schema["definitions"][name]);
    let unknown = "no-such-word";
    assert_eq!(of("machine_id"), known::<MachineId>(unknown));
    assert_eq!(of("content"), known::<ContentMode>(unknown));
    let signature = |key: &str| words(&schema["definitions"]["signature"]["properties"][key]);
    assert_eq!(signature("read"), known::<Reader>(unknown));
    assert_eq!(signature("certainty"), known::<Certainty>(unknown));
    assert_eq!(of("sealed_keys"), known::<SealedKeys>(unknown));
    assert_eq!(of("injected_password"), known::<InjectedPassword>(unknown));
    assert_eq!(of("erase"), known::<EraseMode>(unknown));
    assert_eq!(of("proof"), known::<ProofMode>(unknown));
    assert_eq!(defined("switch"), known::<Switch>(unknown));
    assert_eq!(defined("severity"), known::<Severity>(unknown));
    for (name, words) in
        [("finder", known::<Finder>(unknown)), ("action", known::<Action>(unknown))]
    {
        if std::env::var_os("UPDATE_DOCS").is_some() {
            write_words(name, &words);
        } else {
            assert_eq!(defined(name), words, "run with UPDATE_DOCS=1 to write {PATH} anew");
        }
    }
    let default = &schema["definitions"]["rule"]["properties"]["default"];
    assert_eq!(words(default), known::<RuleDefault>(unknown));
}

#[test]
fn what_the_schema_says_about_defaults_is_so() {
    let schema = schema();
    let settings = Settings::new(Fragment::default()).unwrap();
    let said = |key: &str| schema["properties"][key]["default"].clone();
    let is = |value: serde_json::Result<Value>| value.unwrap();
    assert_eq!(said("machine_id"), is(serde_json::to_value(settings.machine_id)));
    assert_eq!(said("content"), is(serde_json::to_value(settings.content)));
    assert_eq!(said("firstboot"), settings.firstboot);
    assert_eq!(said("sealed_keys"), is(serde_json::to_value(settings.sealed_keys)));
    assert_eq!(said("injected_password"), is(serde_json::to_value(settings.injected_password)));
    assert_eq!(said("erase"), is(serde_json::to_value(settings.erase)));
    assert_eq!(said("proof"), is(serde_json::to_value(settings.proof)));
    assert_eq!(said("fail_on"), is(serde_json::to_value(settings.fail_on)));
    assert_eq!(said("strict"), settings.strict);
}

#[test]
fn every_key_is_in_the_guide() {
    let guide = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/policy.md");
    let text = std::fs::read_to_string(guide).unwrap();
    for key in known::<Fragment>("{no-such-key: 1}") {
        let row = format!("| `{key}");
        assert!(text.contains(&row), "docs/policy.md does not speak of {key}");
    }
    for key in known::<Allow>("{no-such-key: 1}") {
        assert!(
            text.contains(&format!("| `allow.{key}` |")),
            "allow.{key} is not in docs/policy.md"
        );
    }
}

#[test]
fn the_examples_are_policies_and_stand_in_their_list() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/policies");
    let list = std::fs::read_to_string(format!("{folder}/README.md")).unwrap();
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if !name.ends_with(".yaml") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        Settings::new(Fragment::parse(&name, &text).unwrap()).unwrap();
        assert!(text.starts_with("# yaml-language-server: $schema="), "{name}");
        assert!(list.contains(&format!("[{name}]({name})")), "{name} is not in the list");
        count += 1;
    }
    assert!(count >= 6, "only {count} examples");
}
