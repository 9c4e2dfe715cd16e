//! Takes options out of the merged input: rendered, decoded, checked one by one.

use std::collections::BTreeMap;
use std::time::Duration;

use disinherit_core::policy::{Switch, duration};
use disinherit_core::suggest;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::template::{self, Scope};
use super::{Input, Problems, UNKNOWN, lenient, options, words};

/// Takes options out of the input one by one and collects what is wrong.
pub(super) struct Reader<'a> {
    input: &'a Input,
    data: Option<&'a Value>,
    /// What is wrong so far.
    pub(super) problems: Problems,
    /// Options whose value is not known yet.
    pub(super) unknown: Vec<&'static str>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(input: &'a Input, data: Option<&'a Value>) -> Self {
        Self { input, data, problems: Problems::default(), unknown: Vec::new() }
    }

    pub(super) fn unknown_names(&mut self) {
        let known = || options::TABLE.iter().map(|opt| opt.name);
        for name in self.input.values.keys() {
            if known().any(|option| option == name) {
                continue;
            }
            let hint = suggest::nearest(name, known())
                .map(|meant| format!("; did you mean {meant}?"))
                .unwrap_or_default();
            self.problems.add(name, format!("there is no such option{hint}"));
        }
    }

    /// The rendered value; `None` when the option is not set.
    fn value(&mut self, name: &'static str) -> Option<Value> {
        let value = self.input.values.get(name)?;
        if !self.input.legacy {
            return Some(value.clone());
        }
        let scope = Scope { build: &self.input.build, data: self.data };
        match template::render_all(value, scope, name == "execute_command") {
            Ok(value) => Some(value),
            Err(what) => {
                self.problems.add(name, what);
                None
            }
        }
    }

    fn decode<T>(
        &mut self,
        name: &'static str,
        read: impl Fn(&Value) -> Result<T, String>,
    ) -> Option<T> {
        let value = self.value(name)?;
        match read(&value) {
            Ok(decoded) => Some(decoded),
            Err(what) => {
                self.problems.add(name, what);
                None
            }
        }
    }

    /// Notes that a value is not known; in Provision everything is, so that it is an error there.
    fn note_unknown(&mut self, name: &'static str) {
        if self.data.is_some() {
            self.problems.add(name, "its value is still unknown; Packer did not tell it");
        }
        if !self.unknown.contains(&name) {
            self.unknown.push(name);
        }
    }

    /// A text that is set, known and not empty.
    pub(super) fn text(&mut self, name: &'static str) -> Option<String> {
        let text = self.decode(name, lenient::text)?;
        if text == UNKNOWN {
            self.note_unknown(name);
            return None;
        }
        (!text.is_empty()).then_some(text)
    }

    pub(super) fn boolean(&mut self, name: &'static str, default: bool) -> bool {
        self.decode(name, lenient::boolean).unwrap_or(default)
    }

    pub(super) fn list(&mut self, name: &'static str) -> Vec<String> {
        let mut list = self.decode(name, lenient::list).unwrap_or_default();
        if list.iter().any(|item| item == UNKNOWN) {
            self.note_unknown(name);
            list.retain(|item| item != UNKNOWN);
        }
        list
    }

    pub(super) fn users(&mut self, name: &'static str) -> Vec<String> {
        let users = self.list(name);
        for user in users.iter().filter(|user| !is_user_name(user)) {
            self.problems.add(name, format!("{user:?} is no user name"));
        }
        users
    }

    /// One of a few words, where it is set.
    pub(super) fn word<T: DeserializeOwned>(&mut self, name: &'static str) -> Option<T> {
        let text = self.text(name)?;
        words::parse(&text).map_err(|what| self.problems.add(name, what)).ok()
    }

    pub(super) fn duration(&mut self, name: &'static str, default: Duration) -> Duration {
        let Some(text) = self.text(name) else { return default };
        duration::parse(&text).unwrap_or_else(|what| {
            self.problems.add(name, what);
            default
        })
    }

    pub(super) fn rules(&mut self) -> BTreeMap<String, Switch> {
        let name = "rules";
        let mut rules = BTreeMap::new();
        for (id, word) in self.decode(name, lenient::map).unwrap_or_default() {
            // JSON and YAML authors write on and off as bools.
            let word = match word.as_str() {
                "true" => "on",
                "false" => "off",
                other => other,
            };
            if word == UNKNOWN {
                self.note_unknown(name);
                continue;
            }
            match words::parse(word) {
                Ok(switch) => {
                    rules.insert(id, switch);
                }
                Err(what) => self.problems.add(name, format!("{id} {what}")),
            }
        }
        rules
    }

    pub(super) fn remote_folder(&mut self) -> Option<String> {
        let name = "remote_folder";
        let folder = self.text(name)?;
        let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
        if !folder.starts_with('/') {
            self.problems.add(name, format!("{folder:?} must be an absolute path"));
        } else if !folder.chars().all(plain) {
            // {{.Path}} stands in the user's own quotes, or in none.
            self.problems
                .add(name, format!("{folder:?} may hold letters, digits and / . _ - + only"));
        }
        Some(folder.trim_end_matches('/').to_owned()).filter(|folder| !folder.is_empty())
    }

    pub(super) fn execute_command(&mut self) -> Option<String> {
        let name = "execute_command";
        let command = self.text(name)?;
        if let Err(what) = crate::provision::privilege::check(&command) {
            self.problems.add(name, what);
        }
        Some(command)
    }
}

/// What useradd(8) of the common distributions accepts, and the names of directory services.
fn is_user_name(name: &str) -> bool {
    let inside = |c: char| c.is_alphanumeric() || "_.-@$\\".contains(c);
    !name.is_empty() && name.len() <= 256 && !name.starts_with('-') && name.chars().all(inside)
}
