//! Values as leniently as Packer's Go components read them: JSON templates bring `"true"` for a
//! bool and a single text for a list, and user variables are always text.

use std::collections::BTreeMap;

use serde_json::Value;

/// Text; numbers and bools are taken as Go prints them.
pub(super) fn text(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(value) => Ok(value.to_string()),
        other => Err(format!("must be a text, not {}", kind(other))),
    }
}

/// A bool, or what `strconv.ParseBool` reads as one; empty text is false, numbers are their truth.
pub(super) fn boolean(value: &Value) -> Result<bool, String> {
    match value {
        Value::Bool(value) => Ok(*value),
        Value::Number(number) => Ok(number.as_f64() != Some(0.0)),
        Value::String(text) => match text.trim() {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
            "0" | "f" | "F" | "false" | "FALSE" | "False" | "" => Ok(false),
            other => Err(format!("must be true or false, not {other:?}")),
        },
        other => Err(format!("must be true or false, not {}", kind(other))),
    }
}

/// A list of texts; a single value is a list of one, text is split at commas.
pub(super) fn list(value: &Value) -> Result<Vec<String>, String> {
    match value {
        Value::Array(items) => items.iter().map(text).collect(),
        Value::String(joined) => {
            let parts = joined.split(',').map(str::trim).filter(|part| !part.is_empty());
            Ok(parts.map(str::to_owned).collect())
        }
        Value::Object(_) => Err("must be a list, not a map".into()),
        other => text(other).map(|one| vec![one]),
    }
}

/// A map of texts; a list of maps is merged, later ones win.
pub(super) fn map(value: &Value) -> Result<BTreeMap<String, String>, String> {
    match value {
        Value::Object(pairs) => pairs
            .iter()
            .map(|(key, value)| Ok((key.clone(), text(value).map_err(|e| format!("{key} {e}"))?)))
            .collect(),
        Value::Array(items) => {
            let mut all = BTreeMap::new();
            for item in items {
                all.append(&mut map(item)?);
            }
            Ok(all)
        }
        other => Err(format!("must be a map, not {}", kind(other))),
    }
}

/// What kind of value this is, in a template author's words.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a bool",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_user_variables_make_of_values() {
        assert_eq!(boolean(&json!("true")), Ok(true));
        assert_eq!(boolean(&json!("1")), Ok(true));
        assert_eq!(boolean(&json!("")), Ok(false));
        assert_eq!(boolean(&json!(0)), Ok(false));
        assert!(boolean(&json!("yes")).is_err());
        assert_eq!(text(&json!(3)), Ok("3".into()));
        assert_eq!(list(&json!("a, b,")), Ok(vec!["a".into(), "b".into()]));
        assert_eq!(list(&json!("one")), Ok(vec!["one".into()]));
        assert_eq!(list(&json!(["a,b"])), Ok(vec!["a,b".into()]));
        assert_eq!(list(&json!("")), Ok(vec![]));
        assert_eq!(map(&json!([{"a": 1}, {"a": "2"}])).unwrap()["a"], "2");
    }

    #[test]
    fn wrong_kinds_are_named_without_their_value() {
        assert_eq!(text(&json!(["hunter2"])).unwrap_err(), "must be a text, not a list");
        assert!(list(&json!({"a": 1})).is_err());
        assert!(map(&json!("a=b")).is_err());
    }
}
