//! Ordering cycles. systemd answers a cycle by dropping a job, silently: sshd may stay shut for ever,
//! or all sockets may. So a seal that would make one is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::units::Unit;
use super::{Installed, Units};
use crate::Result;
use crate::root::Root;

/// Units each of which must start before the next, the last before the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cycle(pub Vec<String>);

impl fmt::Display for Cycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.join(" before "))?;
        write!(f, " before {}", self.0.first().map_or("itself", String::as_str))
    }
}

/// Targets whose units make up an ordinary boot. cloud-init's is pulled in by its generator.
const BOOT: [&str; 6] = [
    "default.target",
    "multi-user.target",
    "graphical.target",
    "sysinit.target",
    "basic.target",
    "cloud-init.target",
];
const OURS: [&str; 2] = ["disinherit-early.service", "disinherit-gate.service"];
const PULLS: [&str; 5] = ["Wants", "Requires", "Requisite", "BindsTo", "Upholds"];

/// The cycles through our units in a boot of `root` with `added` installed: at most one for each.
///
/// # Errors
/// When the image's units cannot be read.
pub fn cycles(root: &Root, added: &[Installed]) -> Result<Vec<Cycle>> {
    let units = Units::with(root, added);
    let loaded = transaction(&units)?;
    let before = edges(&units, &loaded)?;
    Ok(OURS.iter().filter_map(|unit| way_back(&before, unit)).map(Cycle).collect())
}

/// Every unit that such a boot would load, by real name.
fn transaction(units: &Units<'_>) -> Result<BTreeMap<String, Unit>> {
    let mut loaded = BTreeMap::new();
    let mut todo: Vec<String> = BOOT.iter().map(|name| (*name).to_owned()).collect();
    while let Some(name) = todo.pop() {
        let name = units.real_name(&name)?;
        if loaded.contains_key(&name) {
            continue;
        }
        if let Some(unit) = units.load(&name)? {
            todo.extend(PULLS.iter().flat_map(|key| unit.words(key)).map(str::to_owned));
            loaded.insert(name, unit);
        }
    }
    Ok(loaded)
}

/// For each unit those that start after it, the implicit dependencies of systemd.service(5),
/// systemd.socket(5), systemd.timer(5) and systemd.target(5) included.
fn edges(
    units: &Units<'_>,
    loaded: &BTreeMap<String, Unit>,
) -> Result<BTreeMap<String, BTreeSet<String>>> {
    let mut before: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut add = |first: &str, then: &str| -> Result<()> {
        let (first, then) = (units.real_name(first)?, units.real_name(then)?);
        if loaded.contains_key(&first) && loaded.contains_key(&then) && first != then {
            before.entry(first).or_default().insert(then);
        }
        Ok(())
    };
    for (name, unit) in loaded {
        for other in unit.words("After") {
            add(other, name)?;
        }
        for other in unit.words("Before") {
            add(name, other)?;
        }
        if let Some(service) = name.strip_suffix(".socket") {
            add(name, &format!("{service}.service"))?;
        }
        if !unit.flag("DefaultDependencies", true) {
            continue;
        }
        let kind = name.rsplit('.').next().unwrap_or_default();
        if kind == "target" {
            for other in PULLS.iter().flat_map(|key| unit.words(key)) {
                // As unit_add_default_target_dependency() does: never against a stated order.
                let free = loaded.get(other).is_some_and(|u| {
                    u.flag("DefaultDependencies", true) && !u.words("After").any(|a| a == name)
                });
                if free && !unit.words("Before").any(|b| b == other) {
                    add(other, name)?;
                }
            }
            continue;
        }
        add("sysinit.target", name)?;
        match kind {
            "socket" => add(name, "sockets.target")?,
            "timer" => add(name, "timers.target")?,
            "path" => add(name, "paths.target")?,
            _ => add("basic.target", name)?,
        }
    }
    Ok(before)
}

/// The shortest way from `start` back to it.
fn way_back(before: &BTreeMap<String, BTreeSet<String>>, start: &str) -> Option<Vec<String>> {
    let mut from: BTreeMap<&str, &str> = BTreeMap::new();
    let mut todo = std::collections::VecDeque::from([start]);
    while let Some(unit) = todo.pop_front() {
        for next in before.get(unit).into_iter().flatten() {
            if next == start {
                return Some(path(&from, start, unit));
            }
            if !from.contains_key(next.as_str()) {
                from.insert(next, unit);
                todo.push_back(next);
            }
        }
    }
    None
}

fn path(from: &BTreeMap<&str, &str>, start: &str, end: &str) -> Vec<String> {
    let mut way = vec![end.to_owned()];
    let mut unit = end;
    while unit != start {
        let Some(previous) = from.get(unit) else { break };
        unit = previous;
        way.push(unit.to_owned());
    }
    way.reverse();
    way
}
