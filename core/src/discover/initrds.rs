//! Initial RAM disks and unified kernel images of the image.

use std::collections::BTreeSet;

use super::Scene;
use super::expand::{Except, Found, problem};
use crate::catalogue::{Finder, Severity};
use crate::content::Seen;
use crate::facts::{Note, Problem};
use crate::initrd;
use crate::root::FileKind;
use crate::{Error, ImagePath, Result};

/// The rule of this family; what held nothing `before` and has not changed is not unpacked again.
pub(super) fn look(scene: &mut Scene<'_>, before: &Seen) -> Result<()> {
    let settings = scene.settings;
    let rules = settings.catalogue.rules().iter();
    for rule in rules.filter(|r| r.find == Finder::Initrd) {
        if settings.acts(rule).is_none() {
            continue;
        }
        let except = Except::new(&rule.except, &settings.allow.paths);
        let places = rule.places.iter().flat_map(|place| scene.expander.expand(place, &except));
        let regular = |path: &ImagePath| matches!(scene.root.stat(path), Ok(Some(meta)) if meta.kind == FileKind::Regular);
        // Links to the newest one are usual.
        let real = |found: Found| scene.root.canonical(&found.path).ok().flatten();
        let paths: BTreeSet<_> = places.filter_map(real).filter(regular).collect();
        for path in paths {
            let (mut file, meta) = match scene.root.open(&path) {
                Ok(Some(opened)) => opened,
                Ok(None) => continue,
                Err(error) => {
                    scene.problem(&path, &error);
                    continue;
                }
            };
            if before.is_clean_inside(&meta) {
                scene.facts.seen.add_inside(&meta);
                continue;
            }
            match initrd::look(&mut file) {
                Ok(found) if found.is_empty() => scene.facts.seen.add_inside(&meta),
                Ok(found) => scene.facts.notes.extend(found.into_iter().map(|inside| Note {
                    rule: rule.id.clone(),
                    path: path.clone(),
                    subject: Some(format!("{}: {}", inside.path, inside.what)),
                    severity: Some(inside.severity),
                })),
                Err(error) => {
                    let error = Error::failed("look into", &path).because(error);
                    let unread = problem(path, &error);
                    let severity = Severity::Medium;
                    scene.facts.problems.push(Problem { severity, ..unread });
                }
            }
        }
    }
    Ok(())
}
