//! What the content scan found, judged: which of it goes, and what is only said.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use super::{Inode, Scene};
use crate::catalogue::{Certainty, Severity};
use crate::content::{EDITABLE, Found, Secretive, Zone};
use crate::edit::{Cut, Edit, Format};
use crate::facts::{Hit, Note, Problem, Target};
use crate::policy::{ContentMode, Switch};
use crate::root::Links;

/// Lines and fingerprints that one finding names.
const NAMED: usize = 5;

/// What is cut out of files anyway: by an editor, or under another name of the same file.
#[derive(Default)]
pub(super) struct Cuts(HashMap<Inode, Vec<Range<usize>>>);

impl Cuts {
    pub(super) fn of(scene: &Scene<'_>) -> Self {
        let mut cuts = Self::default();
        for hit in &scene.facts.hits {
            cuts.add(scene, hit);
        }
        cuts
    }

    fn add(&mut self, scene: &Scene<'_>, hit: &Hit) {
        let Target::Record { edit: Edit::Cut(cut), .. } = &hit.what else { return };
        let rule = scene.settings.catalogue.get(&hit.rule);
        if rule.is_some_and(|rule| scene.settings.acts(rule) == Some(true)) {
            self.0.entry((hit.meta.dev, hit.meta.ino)).or_default().push(cut.from..cut.to);
        }
    }

    fn take(&self, file: &Secretive, found: &Found) -> bool {
        let inside =
            |cut: &Range<usize>| cut.start <= found.secret.start && found.secret.end <= cut.end;
        self.0.get(&(file.meta.dev, file.meta.ino)).is_some_and(|cuts| cuts.iter().any(inside))
    }
}

pub(super) fn judge(scene: &mut Scene<'_>, cuts: &mut Cuts, file: &Secretive, vendors: bool) {
    if file.held.cut_short {
        scene.facts.problems.push(Problem {
            path: file.path.clone(),
            what: "not all of it was looked into: it holds more than the content scan reads or lists, \
                   or is packed and damaged"
                .into(),
            severity: Severity::Medium,
        });
    }
    let kept = |found: &&Found| {
        !scene.settings.allow.keys.contains(&found.mark) && !cuts.take(file, found)
    };
    let (act, stay): (Vec<&Found>, Vec<&Found>) =
        file.held.found.iter().filter(kept).partition(|found| acts(scene, file, found, vendors));
    let none_stays = stay.is_empty();
    say(scene, file, &stay);
    if act.is_empty() {
        return;
    }
    let sure = act.iter().any(|found| found.certainty == Certainty::Sure);
    let whole = file.held.packed
        || file.held.bare && none_stays
        || file.zone.is_disposable() && (sure || file.meta.size > EDITABLE);
    let links = if file.zone == Zone::System || file.zone == Zone::Vendor {
        Links::InRoot
    } else {
        Links::OwnerMatched
    };
    for found in act {
        let what = match whole {
            true if file.zone == Zone::Log && !is_rotated(file) => Target::Content,
            true => Target::Inode,
            false => Target::Record { format: Format::Spans, edit: Edit::Cut(cut(file, found)) },
        };
        let hit = Hit {
            rule: found.rule.clone(),
            path: file.path.clone(),
            what,
            meta: file.meta.clone(),
            links,
            subject: Some(format!("{}, line {}, {}", found.certainty, found.line, found.mark)),
        };
        cuts.add(scene, &hit);
        scene.facts.hits.push(hit);
    }
}

/// Why nothing of the file goes whatever the policy says: nothing can be cut out of it, and somebody
/// needs the rest.
fn held_back(file: &Secretive) -> Option<&'static str> {
    if file.held.packed && !file.zone.is_leftover() {
        Some("it is packed")
    } else if file.meta.size > EDITABLE && !file.zone.is_disposable() {
        Some("it is larger than 64 MiB")
    } else {
        None
    }
}

/// Whether this secret goes: by policy's word on the rule, else by how sure it is and where it lies.
fn acts(scene: &Scene<'_>, file: &Secretive, found: &Found, vendors: bool) -> bool {
    if held_back(file).is_some() {
        return false;
    }
    match scene.settings.switch(&found.rule) {
        Some(Switch::On) => true,
        Some(Switch::Report | Switch::Off) => false,
        None if vendors => false,
        None => {
            scene.settings.content == ContentMode::Remove
                || found.certainty == Certainty::Sure && file.zone.is_leftover()
        }
    }
}

/// One finding for each rule that saw something which stays.
fn say(scene: &mut Scene<'_>, file: &Secretive, stay: &[&Found]) {
    let mut by_rule: BTreeMap<(&str, Certainty), Vec<&Found>> = BTreeMap::new();
    for found in stay {
        by_rule.entry((&found.rule, found.certainty)).or_default().push(found);
    }
    for ((rule, certainty), all) in by_rule {
        let known = scene.settings.catalogue.get(rule).map_or(Severity::High, |r| r.severity);
        let severity = match certainty {
            Certainty::Sure => known.max(Severity::High),
            Certainty::Likely => known.min(Severity::Medium),
        };
        let mut places: Vec<String> =
            all.iter().take(NAMED).map(|f| format!("line {} {}", f.line, f.mark)).collect();
        if all.len() > NAMED {
            places.push(format!("and {} more", all.len() - NAMED));
        }
        if let Some(why) = held_back(file) {
            places.push(format!("only the whole file could go, as {why}"));
        }
        scene.facts.notes.push(Note {
            rule: rule.to_owned(),
            path: file.path.clone(),
            subject: Some(format!("{certainty}: {}", places.join(", "))),
            severity: Some(severity),
        });
    }
}

/// An older log that nobody writes to any more, by its name.
fn is_rotated(file: &Secretive) -> bool {
    let name = file.path.file_name().unwrap_or_default();
    let suffix = name.rsplit(|b| *b == b'.').next().unwrap_or_default();
    file.held.packed || suffix == b"old" || suffix.iter().all(u8::is_ascii_digit)
}

fn cut(file: &Secretive, found: &Found) -> Cut {
    // Whatever reads a file that is no text finds its fields by their places.
    let put = if file.held.binary { "X".repeat(found.cut.len()) } else { found.put.clone() };
    Cut {
        from: found.cut.start,
        to: found.cut.end,
        secret: (found.secret.start, found.secret.end),
        line: found.line,
        what: found.rule.clone(),
        put,
    }
}
