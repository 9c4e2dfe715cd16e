//! What makes two machines one: host keys and machine IDs.

use std::collections::BTreeSet;

use super::expand::{Except, Found};
use super::{Scene, accounts::LIMIT, links};
use crate::catalogue::Rule;
use crate::edit::{Edit, Format};
use crate::facts::{Hit, Target};
use crate::manifest::KeyHash;
use crate::policy::MachineId;
use crate::root::{FileKind, Links};
use crate::text::authorized_keys::{self, Line};
use crate::text::public_key;
use crate::{ImagePath, Result};

/// Every host key and certificate that sshd's configuration names, the usual places too.
pub(super) fn host_keys(scene: &mut Scene<'_>, rule: &Rule) -> Result<()> {
    let mut paths: BTreeSet<ImagePath> = scene.sshd.host_keys().into_iter().collect();
    paths.extend(scene.sshd.host_certificates());
    let public: Vec<ImagePath> =
        paths.iter().filter_map(|p| ImagePath::new([p.as_bytes(), b".pub"].concat())).collect();
    paths.extend(public);
    let except = Except::new(&rule.except, &scene.settings.allow.paths);
    for place in &rule.places {
        paths.extend(scene.expander.expand(place, &except).into_iter().map(|f| f.path));
    }
    for path in paths {
        let Some(meta) = scene.expander.entry(&path, &except) else { continue };
        if meta.kind == FileKind::Directory {
            continue;
        }
        remember(scene, &path);
        let found = Found { path, meta, links: Links::InRoot };
        if found.meta.kind == FileKind::Symlink {
            // Only root can have put it here, and sshd follows it.
            if let Some((path, meta)) = links::file_behind(scene, &found, &except) {
                remember(scene, &path);
                scene.hit_inode(rule, &Found { path, meta, links: Links::InRoot }, None);
            }
        }
        scene.hit_inode(rule, &found, None);
    }
    Ok(())
}

/// The manifest lists host keys, so that the first boot knows an inherited one.
fn remember(scene: &mut Scene<'_>, path: &ImagePath) {
    if !path.as_bytes().ends_with(b".pub") {
        return;
    }
    let Ok(Some(text)) = scene.root.read(path, LIMIT) else { return };
    for line in authorized_keys::lines(&text) {
        if let Line::Key(key) = line {
            scene.facts.host_keys.push(KeyHash(public_key::digest(&key.blob)));
        }
    }
}

/// `/etc/machine-id`, when it holds an ID. The other word of machine-id(5) stays: an image whose
/// author chose first-boot semantics keeps them.
pub(super) fn machine_id(scene: &mut Scene<'_>, rule: &Rule) -> Result<()> {
    let path = ImagePath::literal("/etc/machine-id");
    let Some(meta) = scene.root.stat(&path)? else { return Ok(()) };
    let text = match scene.root.read(&path, 4096) {
        Ok(Some(text)) => text,
        Ok(None) => return Ok(()),
        // A FIFO, for instance: said, and no reason to leave everything else as it is.
        Err(error) => {
            scene.problem(&path, &error);
            return Ok(());
        }
    };
    let edit = match (text.trim_ascii(), scene.settings.machine_id) {
        (b"", MachineId::Empty) | (b"uninitialized", _) => return Ok(()),
        (_, MachineId::Empty) => Edit::Clear,
        (_, MachineId::Uninitialized) => Edit::Uninitialized,
    };
    scene.facts.hits.push(Hit {
        rule: rule.id.clone(),
        path,
        what: Target::Record { format: Format::Whole, edit },
        meta,
        links: Links::InRoot,
        subject: None,
    });
    Ok(())
}

/// `/var/lib/dbus/machine-id`, when it is a file of its own.
pub(super) fn dbus_machine_id(scene: &mut Scene<'_>, rule: &Rule) -> Result<()> {
    let path = ImagePath::literal("/var/lib/dbus/machine-id");
    if let Some(meta) = scene.root.lstat(&path)? {
        if meta.kind == FileKind::Regular {
            scene.facts.hits.push(Hit {
                rule: rule.id.clone(),
                path,
                what: Target::MachineIdCopy,
                meta,
                links: Links::InRoot,
                subject: None,
            });
        }
    }
    Ok(())
}
