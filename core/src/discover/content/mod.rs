//! The content scan of an image: what it is given, and what is made of what it saw.

mod judge;

use std::collections::HashSet;

use super::Scene;
use super::expand::{Except, problem};
use crate::accounts::{Accounts, Home};
use crate::catalogue::{Finder, Pattern, Severity};
use crate::content::{Homes, Looked, Scan, Scanner, Seen, Sight, Zone, Zones};
use crate::edit::Format;
use crate::facts::{Hit, Problem, Target};
use crate::packages::Packages;
use crate::policy::Switch;
use crate::reach::Reach;
use crate::root::{FileKind, Root};
use crate::{ImagePath, Result};

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

/// A device and an inode on it.
type Inode = (u64, u64);

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
    let mut cuts = judge::Cuts::of(scene);
    for file in &sight.files {
        if !packages.is_unmodified(scene.root, &file.path)? {
            // Without a database nobody can tell a library's own sample from a secret in it.
            let vendors = file.zone == Zone::Vendor && !packages.knows_all();
            judge::judge(scene, &mut cuts, file, vendors);
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
fn gone(scene: &Scene<'_>) -> HashSet<Inode> {
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
