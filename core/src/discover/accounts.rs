//! Passwords in passwd(5), shadow(5), group(5) and gshadow(5).

use zeroize::Zeroizing;

use super::Scene;
use crate::catalogue::{Finder, Rule, Severity};
use crate::edit::{Edit, Format};
use crate::facts::{Facts, Hit, Problem, Target};
use crate::path::escape;
use crate::root::{Links, Meta, Root};
use crate::text::{Field, GShadow, Group, Passwd, Shadow};
use crate::{Error, ImagePath, Result};

/// Line numbers of suspicious and of malformed rows; the four formats share the methods, not a trait.
macro_rules! rows {
    ($format:ident, $text:expr) => {{
        let file = $format::parse(&$text);
        (file.suspicious(), file.malformed())
    }};
}

/// Account files larger than this are not account files.
pub(crate) const LIMIT: u64 = 64 << 20;

const SHADOW: &str = "/etc/shadow";

pub(super) fn load(root: &Root, path: &ImagePath) -> Result<Option<(Zeroizing<Vec<u8>>, Meta)>> {
    let Some(text) = root.read(path, LIMIT)? else { return Ok(None) };
    let meta = root.stat(path)?.ok_or_else(|| {
        Error::failed("read", path).remedy("it vanished while it was read; run again")
    })?;
    Ok(Some((text, meta)))
}

/// Rows that are no rows: sshd and login pass over them, but a hash in one is still a hash.
///
/// # Errors
/// An account file that exists and cannot be read: nothing about accounts is known then.
pub(super) fn broken_rows(root: &Root, facts: &mut Facts) -> Result<()> {
    for file in ["/etc/passwd", SHADOW, "/etc/group", "/etc/gshadow"] {
        let path = ImagePath::literal(file);
        let Some((text, _)) = load(root, &path)? else { continue };
        let (suspicious, malformed) = match file {
            "/etc/passwd" => rows!(Passwd, text),
            SHADOW => rows!(Shadow, text),
            "/etc/group" => rows!(Group, text),
            _ => rows!(GShadow, text),
        };
        let mut say = |lines: &[usize], what: &str, severity| {
            for line in lines {
                let what = format!("line {line} {what}");
                facts.problems.push(Problem { path: path.clone(), what, severity });
            }
        };
        say(&suspicious, "is no valid row and holds what looks like a hash", Severity::High);
        let harmless: Vec<usize> =
            malformed.into_iter().filter(|l| !suspicious.contains(l)).collect();
        say(&harmless, "is no valid row; it was kept as it is", Severity::Low);
    }
    Ok(())
}

/// One rule of this family.
pub(super) fn look(scene: &mut Scene<'_>, rule: &Rule) -> Result<()> {
    for place in &rule.places {
        for found in scene.expander.expand(place, &super::Except::new(&[], &[])) {
            let path = found.path;
            let loaded = match load(scene.root, &path) {
                Ok(Some(loaded)) => loaded,
                Ok(None) => {
                    leads_nowhere(scene, path);
                    continue;
                }
                Err(error) => {
                    scene.problem(&path, &error);
                    continue;
                }
            };
            match rule.find {
                Finder::ShadowHash => shadow(scene, rule, &path, &loaded, Field::Hash),
                Finder::ShadowEmpty => shadow(scene, rule, &path, &loaded, Field::Empty),
                Finder::ShadowLockedHash => shadow(scene, rule, &path, &loaded, Field::LockedHash),
                Finder::PasswdInline => passwd(scene, rule, &path, &loaded)?,
                Finder::UidZero => uid_zero(scene, rule, &path, &loaded),
                Finder::GshadowPassword => gshadow(scene, rule, &path, &loaded),
                _ => group(scene, rule, &path, &loaded),
            }
        }
    }
    Ok(())
}

/// An account file that is a link without a file: whoever puts one there decides who logs in.
fn leads_nowhere(scene: &mut Scene<'_>, path: ImagePath) {
    let what = "it is a link that leads nowhere".to_owned();
    let problem = Problem { path, what, severity: Severity::Medium };
    if !scene.facts.problems.contains(&problem) {
        scene.facts.problems.push(problem);
    }
}

/// Users whom policy keeps and who are not there: a slip of the pen would lock out the real one.
pub(super) fn unknown_users(scene: &mut Scene<'_>) {
    let known = |user: &&Vec<u8>| scene.accounts.by_name(user).is_none();
    let unknown: Vec<&Vec<u8>> = scene.settings.keep_users.iter().filter(known).collect();
    scene.facts.problems.extend(unknown.into_iter().map(|user| Problem {
        path: ImagePath::literal("/etc/passwd"),
        what: format!("policy keeps the user {}, who has no account here", escape(user)),
        severity: Severity::Medium,
    }));
}

pub(super) type Loaded = (Zeroizing<Vec<u8>>, Meta);

fn record(
    scene: &mut Scene<'_>,
    rule: &Rule,
    path: &ImagePath,
    meta: &Meta,
    name: &[u8],
    format: Format,
    edit: Edit,
) {
    scene.facts.hits.push(Hit {
        rule: rule.id.clone(),
        path: path.clone(),
        what: Target::Record { format, edit },
        meta: meta.clone(),
        links: Links::InRoot,
        subject: Some(escape(name).into_owned()),
    });
}

fn shadow(
    scene: &mut Scene<'_>,
    rule: &Rule,
    path: &ImagePath,
    (text, meta): &Loaded,
    field: Field,
) {
    let file = Shadow::parse(text);
    for entry in file.entries() {
        if entry.field == field && !scene.settings.keep_users.contains(entry.name) {
            let edit = Edit::LockShadow { row: entry.index };
            record(scene, rule, path, meta, entry.name, Format::Shadow, edit);
        }
    }
}

fn passwd(
    scene: &mut Scene<'_>,
    rule: &Rule,
    path: &ImagePath,
    (text, meta): &Loaded,
) -> Result<()> {
    let beside = path.parent().and_then(|folder| folder.join("shadow"));
    let shadow = match beside {
        Some(beside) => load(scene.root, &beside)?,
        None => None,
    };
    let shadow = shadow.as_ref().map(|(text, _)| Shadow::parse(text));
    let file = Passwd::parse(text);
    for entry in file.entries() {
        let open = matches!(entry.password, Field::Empty | Field::Hash | Field::LockedHash);
        if !open || scene.settings.keep_users.contains(entry.name) {
            continue;
        }
        let shadowed = shadow.as_ref().is_some_and(|s| s.entries().any(|e| e.name == entry.name));
        let edit = Edit::PasswdField { row: entry.index, shadowed };
        record(scene, rule, path, meta, entry.name, Format::Passwd, edit);
    }
    Ok(())
}

fn uid_zero(scene: &mut Scene<'_>, rule: &Rule, path: &ImagePath, (text, _): &Loaded) {
    for entry in Passwd::parse(text).entries() {
        if entry.uid == Some(0) && entry.name != b"root" {
            scene.note(rule, path.clone(), Some(escape(entry.name).into_owned()));
        }
    }
}

fn gshadow(scene: &mut Scene<'_>, rule: &Rule, path: &ImagePath, (text, meta): &Loaded) {
    for entry in GShadow::parse(text).entries() {
        if matches!(entry.field, Field::Hash | Field::LockedHash) {
            let edit = Edit::GshadowField { row: entry.index };
            record(scene, rule, path, meta, entry.name, Format::Gshadow, edit);
        }
    }
}

fn group(scene: &mut Scene<'_>, rule: &Rule, path: &ImagePath, (text, meta): &Loaded) {
    for entry in Group::parse(text).entries() {
        if matches!(entry.field, Field::Hash | Field::LockedHash) {
            let edit = Edit::GroupField { row: entry.index };
            record(scene, rule, path, meta, entry.name, Format::Group, edit);
        }
    }
}
