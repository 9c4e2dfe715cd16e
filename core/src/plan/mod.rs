//! From facts and policy to a plan: data that leaves apply no choice.
//!
//! One [`Step`] changes one path. Steps stand in the order in which they run: the manifest first,
//! because it remembers the logins that are about to go, then what is installed, then edits, then
//! removals, files before their directories. Planning again after apply comes out empty.

mod check;
mod step;

use std::collections::{BTreeMap, BTreeSet};

pub use step::{Change, Expect, Step};

use crate::catalogue::Action;
use crate::disk::Treatment;
use crate::edit::{Edit, Format};
use crate::facts::{Facts, Hit, Target};
use crate::policy::Settings;
use crate::report::Finding;
use crate::root::{FileKind, Links};
use crate::seal::{Installed, Kind as InstalledKind};
use crate::{ImagePath, Result};

/// The pseudo rule of accounts that policy removes.
pub const REMOVE_USERS: &str = "remove-users";
/// The pseudo rule of files that sealing installs.
pub const SEAL: &str = "seal";
/// The pseudo rule of what could not be read.
pub const UNREADABLE: &str = "unreadable";

/// The pseudo rule of why a scrub would be refused.
pub const REFUSED: &str = "refused";

/// What will be done, and what will be left.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct Plan {
    /// Changes in the order in which they run.
    pub steps: Vec<Step>,
    /// What was found and stays: reported by rule, by policy, or because it could not be read.
    pub findings: Vec<Finding>,
    /// What will be done below the files: swap areas, free space, the search of the raw disk.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub disk: Vec<Treatment>,
}

/// Makes the plan. `sealing` is what firstboot needs in this image and lacks, from
/// [`missing`]; empty when it is not installed.
///
/// # Errors
/// [`crate::Kind::Refused`] when carrying the plan out would lock the operator out or break the image;
/// nothing has been written then.
pub fn plan(facts: &Facts, settings: &Settings, sealing: Vec<Step>) -> Result<Plan> {
    check::refuse_lock_out(facts, settings)?;
    Ok(draft(facts, settings, sealing))
}

/// The plan of one who only looks: why it would not be carried out is a finding in it.
pub fn look(facts: &Facts, settings: &Settings) -> Plan {
    let mut plan = draft(facts, settings, Vec::new());
    let refused = check::refuse_lock_out(facts, settings).err();
    plan.findings.extend(refused.map(|error| Finding::of_refusal(&error)));
    plan
}

fn draft(facts: &Facts, settings: &Settings, sealing: Vec<Step>) -> Plan {
    let mut plan = Plan { steps: sealing, ..Plan::default() };
    let mut paths: BTreeMap<ImagePath, Vec<&Hit>> = BTreeMap::new();
    for hit in &facts.hits {
        if acts(settings, hit) {
            paths.entry(hit.path.clone()).or_default().push(hit);
        } else {
            plan.findings.push(Finding::of_hit(settings, hit));
        }
    }
    // A link goes after what was found through it.
    let links: BTreeSet<ImagePath> = paths
        .iter()
        .filter(|(_, hits)| hits.iter().any(|hit| hit.meta.kind == FileKind::Symlink))
        .map(|(path, _)| path.clone())
        .collect();
    let mut steps: Vec<Step> =
        paths.into_iter().filter_map(|(path, hits)| merge(settings, path, &hits)).collect();
    let phase = |s: &Step| (s.change.phase(), links.contains(&s.path));
    steps.sort_by(|a, b| phase(a).cmp(&phase(b)).then_with(|| by_depth(a, b)));
    // What goes as a whole is no finding of a rule that would only have reported a part of it.
    let goes = |s: &Step| matches!(s.change, Change::Remove | Change::RemoveDirectory);
    let gone: BTreeSet<&ImagePath> = steps.iter().filter(|s| goes(s)).map(|s| &s.path).collect();
    plan.findings.retain(|f| !gone.contains(&f.path));
    plan.steps.extend(steps);
    plan.findings.extend(facts.notes.iter().map(|n| Finding::of_note(settings, n)));
    plan.findings.extend(facts.problems.iter().map(Finding::of_problem));
    plan.findings.extend(check::way_in(facts, settings));
    plan.findings.sort_by(|a, b| b.severity.cmp(&a.severity).then_with(|| a.path.cmp(&b.path)));
    plan.findings.dedup();
    plan
}

fn acts(settings: &Settings, hit: &Hit) -> bool {
    if hit.rule == REMOVE_USERS {
        return true;
    }
    settings.catalogue.get(&hit.rule).and_then(|r| settings.acts(r)).unwrap_or(false)
}

/// Deeper paths first, so that a directory is empty when its turn comes.
fn by_depth(a: &Step, b: &Step) -> std::cmp::Ordering {
    let depth = |s: &Step| s.path.components().count();
    if matches!(a.change, Change::RemoveDirectory) && matches!(b.change, Change::RemoveDirectory) {
        depth(b).cmp(&depth(a)).then_with(|| a.path.cmp(&b.path))
    } else {
        a.path.cmp(&b.path)
    }
}

/// All hits on one path become one step: removal wins over truncation, truncation over an edit.
fn merge(settings: &Settings, path: ImagePath, hits: &[&Hit]) -> Option<Step> {
    let mut rules: Vec<String> = hits.iter().map(|h| h.rule.clone()).collect();
    rules.sort();
    rules.dedup();
    let action = |h: &Hit| settings.catalogue.get(&h.rule).map_or(Action::Delete, |r| r.action);
    let removed = |h: &&&Hit| h.what == Target::Inode && action(h) != Action::Truncate;
    let truncated = |h: &&&Hit| {
        h.what == Target::Content || h.what == Target::Inode && action(h) == Action::Truncate
    };
    let copied = |h: &&&Hit| h.what == Target::MachineIdCopy;
    // A removal is of the entry itself, an edit of what it leads to: each has its own inode.
    let (hit, change) = if let Some(hit) = hits.iter().find(removed) {
        (hit, if hit.is_directory() { Change::RemoveDirectory } else { Change::Remove })
    } else if let Some(hit) = hits.iter().find(truncated) {
        (hit, Change::Truncate)
    } else if let Some(hit) = hits.iter().find(copied) {
        (hit, Change::ReplaceByLink { target: "/etc/machine-id".into() })
    } else {
        (hits.first()?, edits(hits)?)
    };
    let subjects: Vec<String> = hits.iter().filter_map(|h| h.subject.clone()).collect();
    let links = if hits.iter().any(|h| h.links == Links::OwnerMatched) {
        Links::OwnerMatched
    } else {
        Links::InRoot
    };
    let expect = Some(Expect::of(&hit.meta));
    Some(Step { rules, path, change, expect, links, subjects, content: None })
}

/// Rows and spans do not mix: where an editor of rows knows the file, it has the say, and what it
/// leaves of the spans is found again when the result is looked at.
fn edits(hits: &[&Hit]) -> Option<Change> {
    let records: Vec<(Format, &Edit)> = hits
        .iter()
        .filter_map(|hit| match &hit.what {
            Target::Record { format, edit } => Some((*format, edit)),
            _ => None,
        })
        .collect();
    let rows = records.iter().map(|(format, _)| *format).find(|format| *format != Format::Spans);
    let (first, _) = records.first()?;
    let format = rows.unwrap_or(*first);
    let mut edits: Vec<Edit> =
        records.into_iter().filter(|(f, _)| *f == format).map(|(_, e)| e.clone()).collect();
    edits.sort();
    edits.dedup();
    Some(Change::Edit { format, edits })
}

/// The steps that bring `wanted` into the image: nothing for what is there already, byte for byte
/// and mode for mode.
///
/// # Errors
/// A file in the place that cannot be read.
pub fn missing(root: &crate::root::Root, wanted: Vec<Installed>) -> Result<Vec<Step>> {
    let mut steps = Vec::new();
    for file in wanted {
        let meta = root.lstat(&file.path)?;
        let (there, change, content) = match file.kind {
            InstalledKind::File { content, mode } => {
                let same_mode = meta.as_ref().is_some_and(|m| m.mode & 0o7777 == mode);
                let same = same_mode
                    && root.read(&file.path, 1 << 30)?.is_some_and(|old| *old == *content);
                (
                    same,
                    Change::Install { mode, bytes: content.len() as u64 },
                    Some(content.into_owned()),
                )
            }
            InstalledKind::Changed { content } => {
                let same = root.read(&file.path, 1 << 30)?.is_some_and(|old| *old == content);
                (same, Change::Rewrite { bytes: content.len() as u64 }, Some(content))
            }
            InstalledKind::Link { target } => {
                let same = root.read_link(&file.path)?.is_some_and(|old| old == target.as_bytes());
                (same, Change::Link { target: target.into_owned() }, None)
            }
        };
        if !there {
            steps.push(Step {
                rules: vec![SEAL.into()],
                path: file.path,
                change,
                expect: meta.as_ref().map(Expect::of),
                links: Links::InRoot,
                subjects: vec![file.why.to_owned()],
                content,
            });
        }
    }
    Ok(steps)
}

/// Adds the steps that remove `path` and all below it, where it is there.
///
/// # Errors
/// A directory that cannot be listed.
pub fn gone(root: &crate::root::Root, path: ImagePath, steps: &mut Vec<Step>) -> Result<()> {
    let Some(meta) = root.lstat(&path)? else { return Ok(()) };
    let directory = meta.kind == FileKind::Directory;
    if directory {
        for entry in root.read_dir(&path)? {
            if let Some(below) = path.join(&entry.name) {
                gone(root, below, steps)?;
            }
        }
    }
    steps.push(Step {
        rules: vec![SEAL.into()],
        path,
        change: if directory { Change::RemoveDirectory } else { Change::Remove },
        expect: Some(Expect::of(&meta)),
        links: Links::InRoot,
        subjects: vec!["state of an earlier boot".into()],
        content: None,
    });
    Ok(())
}
