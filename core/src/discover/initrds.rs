//! Initial RAM disks and unified kernel images of the image.

use std::collections::BTreeSet;
use std::fs::File;
use std::panic::resume_unwind;
use std::thread;

use super::Scene;
use super::expand::{Except, Found, problem};
use crate::catalogue::{Finder, Severity};
use crate::content::Seen;
use crate::facts::{Note, Problem};
use crate::initrd::{self, Inside};
use crate::root::{FileKind, Meta};
use crate::{Error, ImagePath, Result};

/// One that is to be unpacked.
pub(super) struct Packed<'a> {
    rule: &'a str,
    path: ImagePath,
    file: File,
    meta: Meta,
}

/// Those that the rule of this family names; what held nothing `before` and has not changed is not
/// unpacked again.
pub(super) fn list<'a>(scene: &mut Scene<'a>, before: &Seen) -> Vec<Packed<'a>> {
    let settings = scene.settings;
    let mut packed = Vec::new();
    let rules = settings.catalogue.rules().iter();
    for rule in rules.filter(|r| r.find == Finder::Initrd && settings.acts(r).is_some()) {
        let except = Except::new(&rule.except, &settings.allow.paths);
        let places = rule.places.iter().flat_map(|place| scene.expander.expand(place, &except));
        let regular = |path: &ImagePath| matches!(scene.root.stat(path), Ok(Some(meta)) if meta.kind == FileKind::Regular);
        // Links to the newest one are usual.
        let real = |found: Found| scene.root.canonical(&found.path).ok().flatten();
        let paths: BTreeSet<_> = places.filter_map(real).filter(regular).collect();
        for path in paths {
            match scene.root.open(&path) {
                Ok(Some((_, meta))) if before.is_clean_inside(&meta) => {
                    scene.facts.seen.add_inside(&meta);
                }
                Ok(Some((file, meta))) => packed.push(Packed { rule: &rule.id, path, file, meta }),
                Ok(None) => {}
                Err(error) => scene.problem(&path, &error),
            }
        }
    }
    packed
}

/// Unpacks each on a thread of its own while `work` is done.
pub(super) fn unpack_beside<T>(
    packed: &[Packed<'_>],
    work: impl FnOnce() -> T,
) -> (T, Vec<Result<Vec<Inside>>>) {
    let unpack = || unpack(packed);
    thread::scope(|scope| match thread::Builder::new().spawn_scoped(scope, unpack) {
        Ok(other) => {
            let done = work();
            (done, other.join().unwrap_or_else(|panic| resume_unwind(panic)))
        }
        // There are limits on threads.
        Err(_) => (work(), unpack()),
    })
}

fn unpack(packed: &[Packed<'_>]) -> Vec<Result<Vec<Inside>>> {
    packed
        .iter()
        .map(|one| {
            let failed = |error| Error::failed("look into", &one.path).because(error);
            initrd::look(&mut &one.file).map_err(failed)
        })
        .collect()
}

/// Says what was `found` in those that were unpacked.
pub(super) fn say(scene: &mut Scene<'_>, packed: Vec<Packed<'_>>, found: Vec<Result<Vec<Inside>>>) {
    for (one, found) in packed.into_iter().zip(found) {
        match found {
            Ok(found) if found.is_empty() => scene.facts.seen.add_inside(&one.meta),
            Ok(found) => scene.facts.notes.extend(found.into_iter().map(|inside| Note {
                rule: one.rule.to_owned(),
                path: one.path.clone(),
                subject: Some(format!("{}: {}", inside.path, inside.what)),
                severity: Some(inside.severity),
            })),
            Err(error) => {
                let unread = problem(one.path, &error);
                scene.facts.problems.push(Problem { severity: Severity::Medium, ..unread });
            }
        }
    }
}
