//! Secrets inside of files that hold more than them: which spans of them an editor would cut.

use std::collections::BTreeSet;

use super::Scene;
use super::accounts::load;
use super::expand::{Except, Found};
use super::links::{self, Leads};
use crate::catalogue::{Finder, Pattern, Rule, Severity};
use crate::edit::{self, Cut, Edit, Format, KeyPattern, Unfit};
use crate::facts::{Hit, Note, Target};
use crate::root::{FileKind, Links};
use crate::{ImagePath, Result};

/// What is larger is no configuration.
const LIMIT: u64 = 16 << 20;

/// Every secret that the rule's settings hold in the files that its places name.
pub(super) fn look(scene: &mut Scene<'_>, rule: &Rule) -> Result<()> {
    let first = scene.facts.hits.len();
    let except = Except::new(&rule.except, &scene.settings.allow.paths);
    let mut seen = BTreeSet::new();
    for place in &rule.places {
        for found in scene.expander.expand(place, &except) {
            let Some(file) = file(scene, rule, found, &except)? else { continue };
            if !seen.insert(file.path.clone()) {
                continue;
            }
            if let Some(text) = text(scene, &file)? {
                secrets(scene, rule, &file, &text)?;
            }
        }
    }
    if rule.find == Finder::MountCredentials {
        named_by_mounts(scene, rule, &except, &mut seen)?;
    }
    scene.only_report(rule, first);
    Ok(())
}

/// Where mounts are written down.
const MOUNTS: [&str; 4] =
    ["/etc/fstab", "/etc/auto.*", "/etc/auto.master.d/*", "/etc/systemd/system/*.mount"];

/// The password files that mounts name, wherever they lie.
fn named_by_mounts(
    scene: &mut Scene<'_>,
    rule: &Rule,
    except: &Except<'_>,
    seen: &mut BTreeSet<ImagePath>,
) -> Result<()> {
    for place in MOUNTS {
        let place: Pattern =
            place.parse().map_err(|e| crate::Error::failed("read", place).because(e))?;
        for found in scene.expander.expand(&place, except) {
            let Some(file) = file(scene, rule, found, except)? else { continue };
            let Some(mounts) = text(scene, &file)? else { continue };
            for path in edit::named_files(&mounts, &[b"credentials", b"cred"]) {
                let Some(path) = ImagePath::new(path) else { continue };
                let Some(meta) = scene.expander.entry(&path, except) else { continue };
                let found = Found { path, meta, links: Links::InRoot };
                let Some(file) = self::file(scene, rule, found, except)? else { continue };
                if !seen.insert(file.path.clone()) {
                    continue;
                }
                if let Some(text) = text(scene, &file)? {
                    secrets(scene, rule, &file, &text)?;
                }
            }
        }
    }
    Ok(())
}

/// The regular file that `found` is or leads to.
pub(super) fn file(
    scene: &mut Scene<'_>,
    rule: &Rule,
    found: Found,
    except: &Except<'_>,
) -> Result<Option<Found>> {
    match found.meta.kind {
        FileKind::Regular => return Ok(Some(found)),
        FileKind::Symlink => {}
        _ => return Ok(None),
    }
    if found.links == Links::OwnerMatched {
        return Ok(match links::in_home(scene, &found, except)? {
            Leads::To(target) => Some(target),
            Leads::Null | Leads::Nowhere => None,
            Leads::Unsure(target) => {
                scene.note(rule, target, Some(format!("a link at {} leads here", found.path)));
                None
            }
        });
    }
    let behind = links::file_behind(scene, &found, except);
    Ok(behind.map(|(path, meta)| Found { path, meta, links: Links::InRoot }))
}

/// The text of a file of a size that people write; what cannot be read is a problem.
pub(super) fn text(
    scene: &mut Scene<'_>,
    file: &Found,
) -> Result<Option<zeroize::Zeroizing<Vec<u8>>>> {
    if file.meta.size > LIMIT {
        let error = crate::Error::failed("read", &file.path)
            .because(format!("it is larger than {} MiB, which no configuration is", LIMIT >> 20));
        scene.problem(&file.path, &error);
        return Ok(None);
    }
    match scene.root.read(&file.path, LIMIT) {
        Ok(text) => Ok(text),
        Err(error) => {
            scene.problem(&file.path, &error);
            Ok(None)
        }
    }
}

fn secrets(scene: &mut Scene<'_>, rule: &Rule, file: &Found, text: &[u8]) -> Result<()> {
    if text.trim_ascii().is_empty() {
        return Ok(());
    }
    let mut keys = rule.keys.clone();
    if rule.find == Finder::Debconf {
        keys.extend(asked_for_passwords(scene, &file.path)?);
    }
    match edit::find(rule.find, text, &keys) {
        Ok(cuts) => cuts.into_iter().for_each(|cut| hit(scene, rule, file, cut)),
        Err(unfit) => {
            let severity = severity(unfit, text, &keys, rule);
            scene.facts.notes.push(Note {
                rule: rule.id.clone(),
                path: file.path.clone(),
                subject: Some(unfit.to_string()),
                severity: Some(severity),
            });
        }
    }
    Ok(())
}

/// A broken file is as bad as what looks like a secret in it.
fn severity(unfit: Unfit, text: &[u8], keys: &[KeyPattern], rule: &Rule) -> Severity {
    let lines = || edit::find(Finder::Settings, text, keys);
    match unfit {
        Unfit::Broken(_) if lines().is_ok_and(|cuts| cuts.is_empty()) => Severity::Low,
        _ => rule.severity,
    }
}

/// One span that an editor would cut.
pub(super) fn hit(scene: &mut Scene<'_>, rule: &Rule, file: &Found, cut: Cut) {
    let subject = Some(format!("line {}: {}", cut.line, cut.what));
    scene.facts.hits.push(Hit {
        rule: rule.id.clone(),
        path: file.path.clone(),
        what: Target::Record { format: Format::Spans, edit: Edit::Cut(cut) },
        meta: file.meta.clone(),
        links: file.links,
        subject,
    });
}

/// debconf keeps the types of its questions in a file beside the answers.
fn asked_for_passwords(scene: &Scene<'_>, answers: &ImagePath) -> Result<Vec<KeyPattern>> {
    let beside = answers.parent().and_then(|folder| folder.join("templates.dat"));
    let templates = match beside {
        Some(beside) => load(scene.root, &beside)?,
        None => None,
    };
    Ok(templates.map(|(text, _)| edit::password_templates(&text)).unwrap_or_default())
}
