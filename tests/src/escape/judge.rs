//! Runs the released program on a world and compares what it says with what is there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::search::Search;
use super::world::{World, unescape};
use crate::command::said;
use crate::{Context, Result, dist, failed};

/// What one run said.
#[derive(Debug)]
pub struct Outcome {
    /// Its exit code.
    pub exit: i32,
    /// Its report.
    pub report: Value,
}

/// Scrubs the tree at `root` as a user would, with `options` besides.
///
/// # Errors
/// When there is no report: the program refused or broke off.
pub fn scrub(root: &Path, options: &[&str]) -> Result<Outcome> {
    let output = Command::new(dist::plugin()?)
        .args(["scrub", "--format", "json", "--root"])
        .arg(root)
        .arg("--firstboot")
        .arg(dist::firstboot()?)
        .args(options)
        .output()
        .context(|| "start the scrub".to_owned())?;
    let exit = output.status.code().unwrap_or(-1);
    let report = serde_json::from_slice(&output.stdout);
    match report {
        Ok(report) if exit < 2 => Ok(Outcome { exit, report }),
        _ => Err(failed(format!(
            "scrub {options:?}: exit code {exit}: {}",
            shortened(&said(&output))
        ))),
    }
}

fn shortened(text: &str) -> &str {
    text.get(text.len().saturating_sub(3000)..).unwrap_or(text)
}

impl Outcome {
    /// Paths that a finding names.
    pub fn named(&self) -> BTreeSet<PathBuf> {
        let findings = self.report.get("findings").and_then(Value::as_array);
        let path = |finding: &Value| Some(unescape(finding.get("path")?.as_str()?));
        findings.into_iter().flatten().filter_map(path).collect()
    }
}

impl Outcome {
    /// Path and rules of each step.
    pub fn actions(&self) -> Vec<(PathBuf, Vec<String>)> {
        let actions = self.report.get("actions").and_then(Value::as_array);
        let action = |action: &Value| {
            let rules = action.get("rules")?.as_array()?;
            let rules = rules.iter().filter_map(|rule| Some(rule.as_str()?.to_owned())).collect();
            Some((unescape(action.get("path")?.as_str()?), rules))
        };
        actions.into_iter().flatten().filter_map(action).collect()
    }
}

/// Values that are readable, and how many files hold them without a finding that names the file.
#[derive(Debug, Default)]
pub struct Left {
    /// Index of each readable value and the files that hold it.
    pub readable: BTreeMap<usize, BTreeSet<PathBuf>>,
    /// Lines to print: files with values that nothing names.
    pub unnamed: Vec<String>,
}

/// Searches the tree and looks each file up in the report.
///
/// # Errors
/// When a file cannot be read.
pub fn left(world: &World, outcome: &Outcome) -> Result<Left> {
    let found = Search::new(world.secrets())?.tree(world.root())?;
    let named = outcome.named();
    let mut left = Left::default();
    for (path, values) in found {
        let is_named =
            path.ancestors().take_while(|part| depth(part) >= 3).any(|part| named.contains(part))
                || named.contains(&path);
        for value in values {
            left.readable.entry(value).or_default().insert(path.clone());
            if !is_named {
                left.unnamed.push(describe(world, value, &path));
            }
        }
    }
    Ok(left)
}

impl Left {
    /// One line for each readable value and file that holds it.
    pub fn lines<'a>(&'a self, world: &'a World) -> impl Iterator<Item = String> + 'a {
        let all = self.readable.iter().flat_map(|(value, paths)| paths.iter().map(|p| (*value, p)));
        all.map(|(value, path)| describe(world, value, path))
    }
}

/// A finding may name a folder as a whole, but `/home/ann` or `/etc` names nothing.
fn depth(path: &Path) -> usize {
    path.components().count().saturating_sub(1)
}

fn describe(world: &World, value: usize, path: &Path) -> String {
    let secret = world.secrets().get(value);
    let (kind, category) = secret.map_or(("?", "?"), |s| (s.kind.as_str(), s.category.as_str()));
    format!("{} ({kind}, {category})", path.display())
}

/// Files with a password field for each account.
pub const ACCOUNT_FILES: [&str; 2] = ["etc/passwd", "etc/shadow"];
/// Their older copies, which shadow-utils leaves.
pub const ACCOUNT_COPIES: [&str; 2] = ["etc/passwd-", "etc/shadow-"];

/// Accounts whose password field is empty in one of `files` below `root`.
///
/// # Errors
/// When a file is there and cannot be read.
pub fn open_accounts(root: &Path, files: &[&str]) -> Result<BTreeSet<String>> {
    let mut open = BTreeSet::new();
    for file in files.iter().map(|name| root.join(name)).filter(|file| file.exists()) {
        let text = std::fs::read(&file).context(|| format!("read {}", file.display()))?;
        for row in text.split(|byte| *byte == b'\n') {
            let fields: Vec<&[u8]> = row.split(|byte| *byte == b':').collect();
            if let [user, [], _, ..] = fields.as_slice() {
                open.insert(String::from_utf8_lossy(user).into_owned());
            }
        }
    }
    Ok(open)
}
