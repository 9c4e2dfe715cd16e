//! What Packer sends to Prepare, merged into one map.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::{Map, Value};

use super::Problems;
use crate::wire::msgpack;

/// What Packer puts in the place of a text that is not known yet, for example one with `build.ID`
/// during `packer validate`.
pub const UNKNOWN: &str = "<unknown>";

/// What Packer says about the build.
#[derive(Default, Clone)]
pub struct Build {
    /// Name of the build.
    pub name: String,
    /// Type of the builder, for example `qemu`.
    pub builder_type: String,
    /// Packer's version; 1.6.6 tells it for JSON templates only.
    pub core_version: String,
    /// The template; told for JSON templates only.
    pub template_path: String,
    /// User variables; told for JSON templates only. May hold secrets.
    pub user_variables: BTreeMap<String, String>,
    /// The names that `{{build}}` knows; empty when they are not known yet.
    pub data_names: BTreeSet<String>,
}

/// All layers merged, not yet rendered, not yet checked. May hold secrets.
#[derive(Default, Clone)]
pub struct Input {
    /// The options that were set, by name.
    pub values: Map<String, Value>,
    /// What Packer says about the build.
    pub build: Build,
    /// Whether the template is JSON, where the plugin has to render `{{ }}` itself.
    pub legacy: bool,
}

impl Input {
    /// Merges the elements of Prepare's `Configs`: cty JSON, maps, and nil; later ones win.
    ///
    /// # Errors
    /// When an element is something else, or cty JSON that cannot be read.
    pub fn from_configs(configs: &[msgpack::Value]) -> Result<Self, Problems> {
        let mut input = Self { legacy: true, ..Self::default() };
        let mut problems = Problems::default();
        for config in configs {
            match config {
                msgpack::Value::Nil => {}
                msgpack::Value::Bin(bytes) => match read_cty(bytes) {
                    Ok(values) => {
                        input.legacy = false;
                        input.values.extend(values);
                    }
                    Err(what) => problems.general(what),
                },
                msgpack::Value::Map(pairs) => input.take_layer(pairs),
                _ => problems.general("Packer sent a configuration that is neither map nor cty"),
            }
        }
        problems.into_result().map(|()| input)
    }

    fn take_layer(&mut self, pairs: &[(msgpack::Value, msgpack::Value)]) {
        let layer: Map<String, Value> =
            pairs.iter().map(|(key, value)| (text(key), json(value))).collect();
        if is_placeholders(&layer) {
            self.build.data_names = layer.keys().cloned().collect();
            return;
        }
        for (key, value) in layer {
            match key.strip_prefix("packer_") {
                Some(key) => self.build.take(key, &value),
                None if value.is_null() => {}
                None => {
                    self.values.insert(key, value);
                }
            }
        }
    }
}

impl Build {
    fn take(&mut self, key: &str, value: &Value) {
        let text = value.as_str().unwrap_or_default().to_owned();
        match key {
            "build_name" => self.name = text,
            "builder_type" => self.builder_type = text,
            "core_version" => self.core_version = text,
            "template_path" => self.template_path = text,
            "user_variables" => {
                let pairs = value.as_object().into_iter().flatten();
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                // Packer 1.6.6 adds an empty name when there are sensitive variables.
                let named = pairs.filter(|(name, _)| !name.is_empty());
                self.user_variables = named.map(|(name, v)| (name.clone(), text(v))).collect();
            }
            _ => {}
        }
    }
}

/// For JSON templates Packer adds a map from each name that `{{build}}` knows to a text which says
/// that the value is not known yet. It is no layer.
fn is_placeholders(layer: &Map<String, Value>) -> bool {
    layer.iter().any(|(key, value)| {
        let text = value.as_str().unwrap_or_default();
        key == "WinRMPassword" || text.starts_with(&format!("Build_{key}."))
    })
}

/// Reads cty's JSON form of a value with its type, `{"value": {...}, "type": ...}`; null is unset.
fn read_cty(bytes: &[u8]) -> Result<Map<String, Value>, String> {
    // The reason could quote a value, and a value can be a password.
    let wrapped: Value = serde_json::from_slice(bytes)
        .map_err(|_| "Packer sent a configuration that is no JSON".to_owned())?;
    let values = wrapped.get("value").and_then(Value::as_object);
    let values = values.ok_or("Packer sent a configuration without a value")?;
    let set = values.iter().filter(|(_, value)| !value.is_null());
    Ok(set.map(|(name, value)| (name.clone(), value.clone())).collect())
}

fn text(value: &msgpack::Value) -> String {
    String::from_utf8_lossy(value.as_bytes().unwrap_or_default()).into_owned()
}

/// A value of the wire as JSON.
pub(crate) fn json(value: &msgpack::Value) -> Value {
    match value {
        msgpack::Value::Nil | msgpack::Value::Ext(..) => Value::Null,
        msgpack::Value::Bool(value) => Value::Bool(*value),
        msgpack::Value::Int(value) => Value::from(*value),
        msgpack::Value::UInt(value) => Value::from(*value),
        msgpack::Value::F64(value) => Value::from(*value),
        msgpack::Value::Str(_) | msgpack::Value::Bin(_) => Value::String(text(value)),
        msgpack::Value::Array(items) => Value::Array(items.iter().map(json).collect()),
        msgpack::Value::Map(pairs) => {
            Value::Object(pairs.iter().map(|(key, value)| (text(key), json(value))).collect())
        }
    }
}

/// Names only: values may be passwords.
impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&String> = self.values.keys().collect();
        f.debug_struct("Input").field("options", &names).field("build", &self.build).finish()
    }
}

/// Names only: user variables may be passwords.
impl fmt::Debug for Build {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Build")
            .field("name", &self.name)
            .field("builder_type", &self.builder_type)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::msgpack::Value as Wire;

    fn packer() -> Wire {
        Wire::map([
            ("packer_build_name", "n".into()),
            ("packer_builder_type", "qemu".into()),
            ("packer_debug", "false".into()),
            ("packer_sensitive_variables", Wire::Nil),
        ])
    }

    #[test]
    fn hcl2_as_packer_1_16_sends_it() {
        let cty = br#"{"value":{"strict":null,"policy_files":["a","\u003cunknown\u003e"]},
            "type":["object",{"strict":"bool","policy_files":["list","string"]}]}"#;
        let over = Wire::map([("strict", true.into())]);
        let input = Input::from_configs(&[packer(), Wire::Bin(cty.to_vec()), over]).unwrap();
        assert!(!input.legacy);
        assert_eq!(input.build.name, "n");
        assert_eq!(input.build.builder_type, "qemu");
        assert_eq!(input.values["policy_files"], serde_json::json!(["a", UNKNOWN]));
        assert_eq!(input.values["strict"], true);
        assert_eq!(input.values.len(), 2);
        assert!(Input::from_configs(&[packer(), Wire::Bin(cty.to_vec()), Wire::Nil]).is_ok());
    }

    #[test]
    fn json_templates_bring_a_map_of_placeholders_that_is_no_layer() {
        let block = Wire::map([("report_path", "{{user `r`}}".into())]);
        let variables = Wire::map([("r", "out.json".into()), ("", "".into())]);
        let build = Wire::map([("packer_user_variables", variables)]);
        let text = "Build_ID. To set this dynamically in the Packer template, you must use";
        let holders =
            Wire::map([("ID", text.into()), ("WinRMPassword", "{{.WinRMPassword}}".into())]);
        let input = Input::from_configs(&[block, packer(), build, holders]).unwrap();
        assert!(input.legacy);
        assert_eq!(input.values.len(), 1);
        assert_eq!(input.build.user_variables.len(), 1);
        assert!(input.build.data_names.contains("ID"));
    }

    #[test]
    fn damaged_configurations_are_refused_without_quoting_them() {
        for bad in [Wire::Bin(b"hunter2".to_vec()), Wire::Bin(b"[]".to_vec()), 1_u32.into()] {
            let text = Input::from_configs(&[bad]).unwrap_err().to_string();
            assert!(text.starts_with("1 error occurred:") && !text.contains("hunter2"), "{text}");
        }
    }

    #[test]
    fn debug_shows_no_value() {
        let input = Input::from_configs(&[Wire::map([("sudo_password", "hunter2".into())])]);
        assert!(!format!("{input:?}").contains("hunter2"));
    }
}
