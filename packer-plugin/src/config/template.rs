//! The part of the `{{ }}` language of JSON templates that makes sense in this block.
//!
//! Packer passes these texts on as they stand; in Go the SDK renders them, with some thirty
//! functions. Here: `user`, `build`, `build_name`, `build_type`, `template_dir`, `pwd` and
//! `packer_version`. Whatever else a template wants it can put in a user variable, which Packer
//! itself renders.

use std::path::Path;

use serde_json::Value;

use super::{Build, UNKNOWN};

/// What the functions may answer with.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    /// What Packer says about the build.
    pub(super) build: &'a Build,
    /// Packer's GeneratedData; absent before Provision.
    pub(super) data: Option<&'a Value>,
}

/// Renders every text in a value. With `keep_fields`, `{{.Name}}` stays for a later rendering.
pub(super) fn render_all(
    value: &Value,
    scope: Scope<'_>,
    keep_fields: bool,
) -> Result<Value, String> {
    Ok(match value {
        Value::String(text) => Value::String(render(text, scope, keep_fields)?),
        Value::Array(items) => {
            let items = items.iter().map(|item| render_all(item, scope, keep_fields));
            Value::Array(items.collect::<Result<_, _>>()?)
        }
        Value::Object(pairs) => {
            let pairs = pairs
                .iter()
                .map(|(key, value)| Ok((key.clone(), render_all(value, scope, keep_fields)?)));
            Value::Object(pairs.collect::<Result<_, String>>()?)
        }
        other => other.clone(),
    })
}

/// Renders one text. A part that is not known yet makes the whole text [`UNKNOWN`].
fn render(text: &str, scope: Scope<'_>, keep_fields: bool) -> Result<String, String> {
    let mut rendered = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let (call, after) = after.split_once("}}").ok_or("has {{ without }}")?;
        rendered.push_str(before);
        rest = after;
        let call = call.trim_matches('-').trim();
        if keep_fields && call.starts_with('.') {
            rendered.push_str(&format!("{{{{{call}}}}}"));
            continue;
        }
        match evaluate(call, scope)? {
            Some(value) => rendered.push_str(&value),
            None => return Ok(UNKNOWN.to_owned()),
        }
    }
    rendered.push_str(rest);
    Ok(rendered)
}

/// The value of one call; `None` when it is not known before Provision.
fn evaluate(call: &str, scope: Scope<'_>) -> Result<Option<String>, String> {
    let (function, argument) = call.split_once(char::is_whitespace).unwrap_or((call, ""));
    let argument = argument.trim();
    let build = scope.build;
    match (function, argument) {
        ("user", name) => {
            let name = unquote(name).ok_or_else(|| not_a_name(call))?;
            let value = build.user_variables.get(name);
            value.cloned().map(Some).ok_or_else(|| {
                format!("uses the user variable {name:?}, which the template does not declare")
            })
        }
        ("build", name) => data(unquote(name).ok_or_else(|| not_a_name(call))?, scope),
        ("build_name", "") => Ok(Some(build.name.clone())),
        ("build_type", "") => Ok(Some(build.builder_type.clone())),
        ("packer_version", "") => Ok(Some(build.core_version.clone())),
        ("template_dir", "") => Ok(Some(template_dir(&build.template_path)?)),
        ("pwd", "") => match std::env::current_dir() {
            Ok(dir) => Ok(Some(dir.display().to_string())),
            Err(error) => Err(format!("asks for {{{{pwd}}}}, which is not known: {error}")),
        },
        _ => Err(format!(
            "uses {{{{{function}}}}}; here user, build, build_name, build_type, template_dir, pwd \
             and packer_version can be used: put the rest in a user variable"
        )),
    }
}

/// A value of GeneratedData, by name.
fn data(name: &str, scope: Scope<'_>) -> Result<Option<String>, String> {
    let Some(data) = scope.data else {
        let names = &scope.build.data_names;
        return if names.is_empty() || names.contains(name) {
            Ok(None)
        } else {
            Err(no_data(name))
        };
    };
    match data.get(name) {
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(value @ (Value::Number(_) | Value::Bool(_))) => Ok(Some(value.to_string())),
        _ => Err(no_data(name)),
    }
}

fn no_data(name: &str) -> String {
    format!("uses {{{{build `{name}`}}}}, which this builder does not offer")
}

fn not_a_name(call: &str) -> String {
    let function = call.split_whitespace().next().unwrap_or_default();
    format!("must name one variable, as in {{{{{function} `name`}}}}")
}

fn template_dir(path: &str) -> Result<String, String> {
    let absolute = std::path::absolute(Path::new(path))
        .map_err(|_| "asks for {{template_dir}}, which Packer did not tell")?;
    Ok(absolute.parent().unwrap_or(&absolute).display().to_string())
}

/// The text between backticks or double quotes.
fn unquote(text: &str) -> Option<&str> {
    ['`', '"'].into_iter().find_map(|quote| {
        let inner = text.strip_prefix(quote)?.strip_suffix(quote)?;
        (!inner.is_empty() && !inner.contains(quote)).then_some(inner)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn build() -> Build {
        let mut build = Build {
            name: "n1".into(),
            builder_type: "qemu".into(),
            template_path: "/srv/t/a.json".into(),
            ..Build::default()
        };
        build.user_variables.insert("g".into(), "hello".into());
        build.data_names.insert("ID".into());
        build
    }

    fn early(text: &str) -> Result<String, String> {
        render(text, Scope { build: &build(), data: None }, false)
    }

    #[test]
    fn the_subset() {
        assert_eq!(early("x {{user `g`}}-{{ user \"g\" }}").unwrap(), "x hello-hello");
        assert_eq!(early("{{build_name}}/{{build_type}}").unwrap(), "n1/qemu");
        assert_eq!(early("{{template_dir}}/p.yaml").unwrap(), "/srv/t/p.yaml");
        assert_eq!(early("no braces }} here").unwrap(), "no braces }} here");
    }

    #[test]
    fn build_is_unknown_until_provision() {
        assert_eq!(early("a {{build `ID`}}").unwrap(), UNKNOWN);
        assert!(early("{{build `Nope`}}").unwrap_err().contains("does not offer"));
        let build = build();
        let data = json!({"ID": "i-1", "Port": 22});
        let late = Scope { build: &build, data: Some(&data) };
        assert_eq!(render("{{build `ID`}}:{{build `Port`}}", late, false).unwrap(), "i-1:22");
        assert!(render("{{build `X`}}", late, false).is_err());
    }

    #[test]
    fn fields_stay_where_they_are_rendered_later() {
        let build = build();
        let scope = Scope { build: &build, data: None };
        let text = render("{{user `g`}} {{ .Vars }} '{{.Path}}'", scope, true).unwrap();
        assert_eq!(text, "hello {{.Vars}} '{{.Path}}'");
        assert!(early("{{.Path}}").is_err());
    }

    #[test]
    fn the_rest_is_refused_with_a_way_out() {
        assert!(early("{{timestamp}}").unwrap_err().contains("put the rest in a user variable"));
        assert!(early("{{user `a` | upper}}").unwrap_err().contains("{{user `name`}}"));
        assert!(early("{{user `nope`}}").unwrap_err().contains("does not declare"));
        assert!(early("{{env `HOME`}}").unwrap_err().contains("user variable"));
        assert!(early("{{build_name").unwrap_err().contains("without }}"));
    }
}
