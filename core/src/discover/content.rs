//! What the content scan found, judged: which of it goes, and what is only said.

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;

use super::Scene;
use super::expand::{Except, problem};
use crate::accounts::{Accounts, Home};
use crate::catalogue::{Certainty, Finder, Pattern, Severity};
use crate::content::{
    EDITABLE, Found, Homes, Looked, Scan, Scanner, Secretive, Seen, Sight, Zone, Zones,
};
use crate::edit::{Cut, Edit, Format};
use crate::facts::{Hit, Note, Problem, Target};
use crate::packages::Packages;
use crate::policy::{ContentMode, Switch};
use crate::reach::Reach;
use crate::root::{FileKind, Links, Root};
use crate::{ImagePath, Result};

/// Lines and fingerprints that one finding names.
const NAMED: usize = 5;
/// Accounts of people have at least this uid (login.defs(5), UID_MIN), and not that of nobody.
const FIRST_PERSON: u32 = 1000;
const NOBODY: u32 = 65534;

/// Whose home is whose: that of a service is mostly the service's data.
pub(super) fn homes(root: &Root, accounts: &Accounts, homes: &[Home]) -> Homes {
    let person = |name: &Vec<u8>| {
        let uid = accounts.iter().find(|a| a.name == *name).map(|a| a.uid);
        uid.is_some_and(|uid| uid == 0 || uid >= FIRST_PERSON && uid != NOBODY)
    };
    let mut out = Homes::default();
    for home in homes {
        // A place without links is what the walk meets.
        let Ok(Some(path)) = root.canonical(&home.path) else { continue };
        let below_home = path.starts_with(&ImagePath::literal("/home"));
        if home.owners.is_empty() || below_home || home.owners.iter().any(person) {
            out.people.push(path);
        } else {
            out.services.push(path);
        }
    }
    out
}

/// Looks through every file that does not go anyway.
///
/// # Errors
/// The root cannot be walked, or a database of packages cannot be read.
pub(super) fn look(
    scene: &mut Scene<'_>,
    reach: &Reach,
    homes: Homes,
    before: &Seen,
    looked: &Looked,
) -> Result<()> {
    let on = |id: &str| scene.settings.switch(id) != Some(Switch::Off);
    let rules = scene.settings.catalogue.rules().iter().filter(|rule| on(&rule.id));
    let scanner = Scanner::new(rules)?;
    let packages = Packages::load(scene.root)?;
    let zones = Zones::new(homes)?;
    let gone = gone(scene);
    let allow = Except::new(&[], &scene.settings.allow.paths);
    let (own_homes, ours) = (scene.homes, scene.ours.clone());
    let initrds: Vec<&Pattern> = scene
        .settings
        .catalogue
        .rules()
        .iter()
        .filter(|rule| rule.find == Finder::Initrd)
        .flat_map(|rule| &rule.places)
        .collect();
    let spared = |path: &ImagePath| {
        allow.covers(path, own_homes)
            || ours.as_ref().is_some_and(|o| path.starts_with(o))
            // They are looked into by a check of their own, which knows what belongs there.
            || initrds.iter().any(|place| place.matches(path))
            || zones.is_boot(path)
    };
    let scan = Scan {
        root: scene.root,
        reach,
        scanner: &scanner,
        zones: &zones,
        key: &scene.settings.fingerprint_key,
        packages: &packages,
        before,
        gone: &gone,
        looked,
    };
    let sight = scan.run(&spared)?;
    scene.facts.problems.extend(unseen(&packages, &sight));
    for (path, error) in &sight.problems {
        scene.facts.problems.push(problem(path.clone(), error));
    }
    for file in &sight.files {
        if !packages.is_unmodified(scene.root, &file.path)? {
            // Without a database nobody can tell a library's own sample from a secret in it.
            let vendors = file.zone == Zone::Vendor && !packages.knows_all();
            judge(scene, file, vendors);
        }
    }
    scene.facts.seen.extend(sight.seen);
    Ok(())
}

/// What is not known of the image, or not said of it.
fn unseen(packages: &Packages, sight: &Sight) -> Vec<Problem> {
    let databases = packages.unread().iter().map(|(path, why)| Problem {
        path: path.clone(),
        what: format!(
            "the database of packages was not read to its end: {why}; what a package brought may be \
             among the findings"
        ),
        severity: Severity::Medium,
    });
    let more = (sight.overflow > 0).then(|| Problem {
        path: ImagePath::root(),
        what: format!(
            "{} more files hold something than are listed here: scrub these, then run again",
            sight.overflow
        ),
        severity: Severity::High,
    });
    databases.chain(more).collect()
}

/// Files that go as a whole by another rule, or whose rows an editor knows.
fn gone(scene: &Scene<'_>) -> HashSet<(u64, u64)> {
    let acts = |hit: &&Hit| {
        let rule = scene.settings.catalogue.get(&hit.rule);
        rule.is_none_or(|rule| scene.settings.acts(rule) == Some(true))
    };
    let whole = |hit: &&Hit| match &hit.what {
        Target::Record { format, .. } => *format != Format::Spans,
        Target::Inode => hit.meta.kind == FileKind::Regular,
        Target::Content | Target::MachineIdCopy => true,
    };
    let hits = scene.facts.hits.iter();
    hits.filter(acts).filter(whole).map(|hit| (hit.meta.dev, hit.meta.ino)).collect()
}

/// What an editor takes out of the file anyway.
fn cuts(scene: &Scene<'_>, file: &Secretive) -> Vec<Range<usize>> {
    let acts = |hit: &&Hit| {
        let rule = scene.settings.catalogue.get(&hit.rule);
        rule.is_some_and(|rule| scene.settings.acts(rule) == Some(true))
    };
    let same = |hit: &&Hit| hit.meta.dev == file.meta.dev && hit.meta.ino == file.meta.ino;
    let span = |hit: &Hit| match &hit.what {
        Target::Record { edit: Edit::Cut(cut), .. } => Some(cut.from..cut.to),
        _ => None,
    };
    scene.facts.hits.iter().filter(same).filter(acts).filter_map(span).collect()
}

fn judge(scene: &mut Scene<'_>, file: &Secretive, vendors: bool) {
    if file.held.cut_short {
        scene.facts.problems.push(Problem {
            path: file.path.clone(),
            what: "not all of it was looked into: it holds more than the content scan reads or lists, \
                   or is packed and damaged"
                .into(),
            severity: Severity::Medium,
        });
    }
    let cuts = cuts(scene, file);
    let goes = |found: &Found| {
        cuts.iter().any(|c| c.start <= found.secret.start && found.secret.end <= c.end)
    };
    let kept = |found: &&Found| !scene.settings.allow.keys.contains(&found.mark) && !goes(found);
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
        scene.facts.hits.push(Hit {
            rule: found.rule.clone(),
            path: file.path.clone(),
            what,
            meta: file.meta.clone(),
            links,
            subject: Some(format!("{}, line {}, {}", found.certainty, found.line, found.mark)),
        });
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
