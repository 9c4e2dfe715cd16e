//! Who may log in: the key files that sshd's effective configuration names, and the login sources
//! beyond them.

use std::collections::BTreeSet;

use super::accounts::LIMIT;
use super::expand::{Except, Found};
use super::{Scene, links};
use crate::catalogue::Rule;
use crate::edit::{Edit, Format};
use crate::facts::{Hit, Login, Problem, Target};
use crate::manifest::KeyHash;
use crate::path::escape;
use crate::root::{FileKind, Links};
use crate::text::authorized_keys::{self, KeyLine, Line};
use crate::text::public_key;
use crate::{ImagePath, Result};

/// Every file that sshd would read keys from, with the accounts that it opens.
fn key_files(scene: &Scene<'_>) -> Vec<(ImagePath, Vec<u8>)> {
    let mut files = BTreeSet::new();
    for account in scene.accounts.iter() {
        for file in scene.sshd.login_files(&scene.accounts.user(account)) {
            files.insert((file.path, account.name.clone()));
        }
    }
    files.into_iter().collect()
}

/// The lines of a key list that are keys.
fn keys(text: &[u8]) -> impl Iterator<Item = KeyLine<'_>> {
    authorized_keys::lines(text).filter_map(|line| match line {
        Line::Key(key) => Some(key),
        Line::Skipped { .. } => None,
    })
}

/// Lists every key that sshd would accept, for the report and the manifest.
pub(super) fn list(scene: &mut Scene<'_>) -> Result<()> {
    for (path, user) in key_files(scene) {
        let text = match scene.root.read(&path, LIMIT) {
            Ok(Some(text)) => text,
            Ok(None) => continue,
            Err(error) => {
                scene.problem(&path, &error);
                continue;
            }
        };
        for line in keys(&text) {
            scene.facts.logins.push(Login {
                user: escape(&user).into_owned(),
                path: path.clone(),
                fingerprint: public_key::fingerprint(&line.blob),
                hash: KeyHash(public_key::digest(&line.blob)),
                key_type: escape(line.key_type).into_owned(),
                weakness: public_key::check(&line.blob).err().map(|w| w.to_string()),
            });
        }
    }
    scene.facts.logins.sort();
    scene.facts.logins.dedup();
    Ok(())
}

/// The rule `login-authkeys`: the files go, but for keys and users that policy keeps.
pub(super) fn files(scene: &mut Scene<'_>, rule: &Rule) -> Result<()> {
    let mut files = key_files(scene);
    let except = Except::new(&rule.except, &scene.settings.allow.paths);
    for place in &rule.places {
        for found in scene.expander.expand(place, &except) {
            let user = owner_of(scene, &found.path);
            files.push((found.path, user));
        }
    }
    let kept: BTreeSet<ImagePath> = files
        .iter()
        .filter(|(_, user)| scene.settings.keep_users.contains(user))
        .map(|(path, _)| path.clone())
        .collect();
    let mut seen = BTreeSet::new();
    for (path, user) in files {
        if kept.contains(&path) || !seen.insert(path.clone()) {
            continue;
        }
        let Some(meta) = scene.expander.entry(&path, &except) else { continue };
        let links = links_for(scene, &path);
        let found = Found { path: path.clone(), meta, links };
        let subject = (!user.is_empty()).then(|| escape(&user).into_owned());
        match found.meta.kind {
            FileKind::Regular => file(scene, rule, &found, subject),
            FileKind::Symlink => link(scene, rule, &found, (&except, &kept), subject),
            FileKind::Directory => {
                for below in scene.expander.tree(&found, &except) {
                    scene.hit_inode(rule, &below, subject.clone());
                }
            }
            _ => scene.hit_inode(rule, &found, subject),
        }
    }
    Ok(())
}

/// The account in whose home a file lies; empty for a place of the system.
fn owner_of(scene: &Scene<'_>, path: &ImagePath) -> Vec<u8> {
    let holds = |home: &[u8]| ImagePath::new(home).is_some_and(|h| path.starts_with(&h));
    let account = scene.accounts.iter().filter(|a| holds(&a.home)).max_by_key(|a| a.home.len());
    account.map(|a| a.name.clone()).unwrap_or_default()
}

/// A path below a home may hold links that its owner planted.
fn links_for(scene: &Scene<'_>, path: &ImagePath) -> Links {
    let in_home = scene.homes.own.iter().any(|home| path.starts_with(home));
    if in_home { Links::OwnerMatched } else { Links::InRoot }
}

fn file(scene: &mut Scene<'_>, rule: &Rule, found: &Found, subject: Option<String>) {
    let text = match scene.root.read(&found.path, LIMIT) {
        Ok(text) => text.unwrap_or_default(),
        Err(error) => {
            scene.problem(&found.path, &error);
            return scene.hit_inode(rule, found, subject);
        }
    };
    let keep: Vec<String> = keys(&text)
        .map(|line| public_key::fingerprint(&line.blob))
        .filter(|fp| scene.settings.allow.keys.contains(fp))
        .collect();
    if keep.is_empty() {
        return scene.hit_inode(rule, found, subject);
    }
    let edit = Edit::KeepKeys { keep };
    let edited = crate::edit::run(Format::AuthorizedKeys, &text, std::slice::from_ref(&edit));
    if edited.is_ok_and(|new| *new == *text) {
        return;
    }
    scene.facts.hits.push(Hit {
        rule: rule.id.clone(),
        path: found.path.clone(),
        what: Target::Record { format: Format::AuthorizedKeys, edit },
        meta: found.meta.clone(),
        links: found.links,
        subject,
    });
}

/// A link goes; what it leads to goes too when it is a list of keys of the link's owner. Anything
/// else may be a trap: `authorized_keys` as a link to `/etc/passwd` must not cost the image its
/// accounts, nor one to the list of a user who is kept.
fn link(
    scene: &mut Scene<'_>,
    rule: &Rule,
    found: &Found,
    (except, kept): (&Except<'_>, &BTreeSet<ImagePath>),
    subject: Option<String>,
) {
    let before = scene.facts.hits.len();
    if let Some((path, meta)) = links::file_behind(scene, found, except) {
        let stays =
            kept.iter().any(|k| scene.root.canonical(k).ok().flatten().as_ref() == Some(&path));
        if links::is_trap(&found.meta, &meta) {
            leads_astray(scene, found, path, "is another user's");
        } else if !stays {
            target(
                scene,
                rule,
                found,
                Found { links: links_for(scene, &path), path, meta },
                &subject,
            );
        }
    }
    // Where keys stay that policy allows, sshd still needs the link to them.
    let edited = scene.facts.hits.get(before..).unwrap_or_default();
    if edited.iter().all(|hit| hit.what == Target::Inode) && !allowed(scene, found) {
        scene.hit_inode(rule, found, subject);
    }
}

/// What a link of the same owner leads to: nothing is lost with an empty file, and a file with one
/// line that is neither a key nor a remark is no list of keys.
fn target(
    scene: &mut Scene<'_>,
    rule: &Rule,
    link: &Found,
    found: Found,
    subject: &Option<String>,
) {
    let Ok(Some(text)) = scene.root.read(&found.path, LIMIT) else { return };
    if keys(&text).next().is_none() {
        return;
    }
    if authorized_keys::lines(&text).all(|line| matches!(line, Line::Key(_))) {
        file(scene, rule, &found, subject.clone());
    } else {
        leads_astray(scene, link, found.path, "is no list of keys");
    }
}

/// True when a key behind the link stays by policy.
fn allowed(scene: &Scene<'_>, found: &Found) -> bool {
    let Ok(Some(text)) = scene.root.read(&found.path, LIMIT) else { return false };
    keys(&text).any(|k| scene.settings.allow.keys.contains(&public_key::fingerprint(&k.blob)))
}

fn leads_astray(scene: &mut Scene<'_>, link: &Found, path: ImagePath, why: &str) {
    scene.facts.problems.push(Problem {
        what: format!("a link at {} leads here, but it {why}; left alone", link.path),
        path,
        severity: crate::catalogue::Severity::Medium,
    });
}

/// Login sources beyond key files: reported, never removed.
pub(super) fn other_sources(scene: &mut Scene<'_>, rule: &Rule) -> Result<()> {
    for source in scene.sshd.other_login_sources() {
        if !scene.settings.evidence.iter().any(|e| e.eq_ignore_ascii_case(&source.keyword)) {
            let subject = super::services::login_text(&source);
            scene.note(rule, source.source.file, Some(subject));
        }
    }
    Ok(())
}
