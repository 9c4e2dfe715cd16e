//! Accounts that nobody spoke of, and keys that nobody should trust.

use super::{Scene, accounts::LIMIT};
use crate::accounts::Account;
use crate::catalogue::Rule;
use crate::facts::Note;
use crate::known_keys;
use crate::path::escape;
use crate::root::Root;
use crate::{ImagePath, Result};

/// Accounts of people that policy does not know: whoever has a login shell and a user id that
/// login.defs(5) gives to people, but for those of the policy and cloud-init's own.
pub(super) fn accounts(scene: &mut Scene<'_>, rule: &Rule) -> Result<()> {
    let people = people(scene.root)?;
    let default = cloud_user(scene.root)?;
    let settings = scene.settings;
    let known = |account: &Account| {
        settings.keep_users.contains(&account.name)
            || settings.remove_users.contains(&account.name)
            || settings.allow.users.iter().any(|user| user.as_bytes() == account.name)
            || default.as_deref().is_some_and(|user| user.as_bytes() == account.name)
    };
    let strangers: Vec<_> = scene
        .accounts
        .iter()
        .filter(|a| people.contains(&a.uid) && a.has_login_shell() && !known(a))
        .map(|a| (a.file.clone(), escape(&a.name).into_owned()))
        .collect();
    for (path, name) in strangers {
        scene.note(rule, path, Some(name));
    }
    Ok(())
}

/// `UID_MIN` to `UID_MAX` of login.defs(5), 1000 to 60000 where it says nothing.
fn people(root: &Root) -> Result<std::ops::RangeInclusive<u32>> {
    let (mut min, mut max) = (1000, 60000);
    let text = root.read(&ImagePath::literal("/etc/login.defs"), LIMIT)?.unwrap_or_default();
    for line in text.split(|b| *b == b'\n') {
        let line = String::from_utf8_lossy(line);
        let mut words = line.split_whitespace();
        match (words.next(), words.next().and_then(|number| number.parse().ok())) {
            (Some("UID_MIN"), Some(number)) => min = number,
            (Some("UID_MAX"), Some(number)) => max = number,
            _ => {}
        }
    }
    Ok(min..=max)
}

/// The account that cloud-init makes by default: `system_info.default_user.name` of its own
/// configuration. A file that is no YAML is passed over, as cloud-init does with a warning.
fn cloud_user(root: &Root) -> Result<Option<String>> {
    let path = ImagePath::literal("/etc/cloud/cloud.cfg");
    let Some(text) = root.read(&path, LIMIT)? else { return Ok(None) };
    let value: Option<serde_yaml::Value> = serde_yaml::from_slice(&text).ok();
    let name = value.as_ref().and_then(|v| v.get("system_info")?.get("default_user")?.get("name"));
    Ok(name.and_then(serde_yaml::Value::as_str).map(str::to_owned))
}

/// Keys that sshd accepts and that anybody can use or break.
pub(super) fn weak_keys(scene: &mut Scene<'_>, rule: &Rule) {
    let weak = scene.facts.logins.iter().filter_map(|login| {
        let why = login.weakness.as_ref()?;
        Some((login.path.clone(), format!("{} {}: {why}", login.user, login.fingerprint)))
    });
    note_all(scene, rule, weak.collect());
}

/// Keys that sshd accepts and whose private half is published.
pub(super) fn published_keys(scene: &mut Scene<'_>, rule: &Rule) {
    let published = scene.facts.logins.iter().filter_map(|login| {
        let place = known_keys::published(&login.hash)?;
        Some((login.path.clone(), format!("{} {}: {place}", login.user, login.fingerprint)))
    });
    note_all(scene, rule, published.collect());
}

fn note_all(scene: &mut Scene<'_>, rule: &Rule, found: Vec<(ImagePath, String)>) {
    scene.facts.notes.extend(found.into_iter().map(|(path, subject)| Note {
        rule: rule.id.clone(),
        path,
        subject: Some(subject),
        severity: None,
    }));
}
