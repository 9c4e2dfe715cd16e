//! Rights of root that are given to accounts which are not there.

use std::collections::BTreeSet;

use serde_yaml::Value;

use super::Scene;
use super::accounts::LIMIT;
use super::editors;
use super::expand::{Except, Found};
use crate::catalogue::{Finder, Rule};
use crate::edit;
use crate::path::escape;
use crate::root::Root;
use crate::{ImagePath, Result};

/// Sources of accounts that lie in the image, nsswitch.conf(5).
const LOCAL: &[&[u8]] =
    &[b"files", b"compat", b"systemd", b"db", b"altfiles", b"extrausers", b"usrfiles"];

/// Orphaned rows in the files that the rule's places name. A drop-in of sudo with nothing else in
/// it goes as a whole.
pub(super) fn look(scene: &mut Scene<'_>, rule: &Rule) -> Result<()> {
    let elsewhere = accounts_elsewhere(scene.root)?;
    let later = made_at_boot(scene.root)?;
    let except = Except::new(&rule.except, &scene.settings.allow.paths);
    for place in &rule.places {
        for found in scene.expander.expand(place, &except) {
            let Some(file) = editors::file(scene, rule, found, &except)? else { continue };
            let Some(text) = editors::text(scene, &file)? else { continue };
            let known = |name: &[u8]| {
                let removed = scene.settings.remove_users.contains(name);
                !removed && (scene.accounts.by_name(name).is_some() || later.contains(name))
            };
            let orphans = match rule.find {
                Finder::Doas => edit::doas(&text, &known),
                _ => edit::sudoers(&text, &known),
            };
            if orphans.cuts.is_empty() {
                continue;
            }
            if elsewhere {
                let names: BTreeSet<&str> = orphans.cuts.iter().map(|c| c.what.as_str()).collect();
                let names = names.into_iter().collect::<Vec<_>>().join(", ");
                let subject = format!("{names}, unless a directory service has that account");
                scene.note(rule, file.path, Some(subject));
            } else {
                gone(scene, rule, &file, orphans);
            }
        }
    }
    Ok(())
}

fn gone(scene: &mut Scene<'_>, rule: &Rule, file: &Found, orphans: edit::Orphans) {
    let drop_in = file.path.parent().is_some_and(|folder| folder.as_bytes().ends_with(b".d"));
    if orphans.all && drop_in {
        let names = orphans.cuts.iter().map(|c| escape(c.what.as_bytes()).into_owned());
        let names = names.collect::<Vec<_>>().join(", ");
        scene.hit_inode(rule, file, Some(names));
        return;
    }
    for cut in orphans.cuts {
        editors::hit(scene, rule, file, cut);
    }
}

/// True when accounts may also come from a directory service: nobody can tell then who is missing.
fn accounts_elsewhere(root: &Root) -> Result<bool> {
    let Some(text) = root.read(&ImagePath::literal("/etc/nsswitch.conf"), LIMIT)? else {
        return Ok(false);
    };
    let passwd = text.split(|b| *b == b'\n').find_map(|line| line.strip_prefix(b"passwd:"));
    let services = passwd.unwrap_or_default().split(u8::is_ascii_whitespace);
    let mut named = services.filter(|word| !word.is_empty() && !word.starts_with(b"["));
    Ok(named.any(|service| !LOCAL.contains(&service)))
}

/// Accounts that cloud-init makes at first boot: its default user and those of its configuration.
fn made_at_boot(root: &Root) -> Result<BTreeSet<Vec<u8>>> {
    let folder = ImagePath::literal("/etc/cloud/cloud.cfg.d");
    let mut files = vec![ImagePath::literal("/etc/cloud/cloud.cfg")];
    files.extend(root.read_dir(&folder)?.iter().filter_map(|entry| folder.join(&entry.name)));
    let mut names = BTreeSet::new();
    for file in files {
        let Ok(Some(text)) = root.read(&file, LIMIT) else { continue };
        let Ok(config) = serde_yaml::from_slice::<Value>(&text) else { continue };
        let default = config.get("system_info").and_then(|s| s.get("default_user"));
        let listed = config.get("users").and_then(Value::as_sequence).into_iter().flatten();
        let named = listed.chain(default).filter_map(|user| user.get("name"));
        names.extend(named.filter_map(Value::as_str).map(|name| name.as_bytes().to_vec()));
    }
    Ok(names)
}
