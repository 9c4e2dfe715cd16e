//! `seal`: the manifest first, then what closes the image. It removes no login; the first boot does.

use std::borrow::Cow;

use disinherit_core::manifest::{Manifest, writer};
use disinherit_core::root::{FileKind, Links, Root};
use disinherit_core::seal::{self, Installed, Inventory, Kind, SshdFiles};
use disinherit_core::sshd::without;
use disinherit_core::{Error, ImagePath, Result, change};

use crate::edit::edit;
use crate::trial::{self, Trial};
use crate::{flag, revoked};

/// Seals `root`; returns a line for each thing done. A second run changes nothing.
///
/// # Errors
/// Refused when the units would form an ordering cycle. Failed when something cannot be read or
/// written; then the image is sealed as far as the lines before say, and may be sealed again.
pub fn seal(root: &Root) -> Result<Vec<String>> {
    let mut said = Vec::new();
    let before = Manifest::read(root)?;
    let mut inventory = Inventory::discover(root)?;
    if let Some(before) = &before {
        inventory.passwords = before.policy.injected_password;
    }
    if let Some(cycle) = seal::cycles(root, &seal::files(&inventory))?.first() {
        return Err(Error::refused("seal: systemd would drop a unit to break this cycle:", cycle)
            .remedy("remove the After= or Before= that makes it"));
    }
    inventory.check()?;
    if inventory.closes_passwords() {
        try_sshd(root, &inventory.sshd, &mut said)?;
    }
    let mut manifest = seal::record(root)?;
    if let Some(before) = before {
        manifest.policy = before.policy;
        manifest.kept_keys = before.kept_keys;
    }
    if manifest.write(root)? {
        said.push(format!("wrote {}", disinherit_core::manifest::PATH));
    }
    for path in seal::state_paths() {
        if remove(root, &path)? {
            said.push(format!("removed {path}, the state of an earlier life"));
        }
    }
    let program = std::fs::read("/proc/self/exe")
        .map_err(|e| Error::failed("read", "this program").because(e))?;
    let program = Installed::file(seal::binary_path(), program, 0o755, "the first-boot program");
    for wanted in std::iter::once(program).chain(seal::files(&inventory)) {
        if install(root, &wanted)? {
            said.push(format!("wrote {} ({})", wanted.path, wanted.why));
        }
    }
    if inventory.ssh_enabled.is_empty() {
        said.push("warning: no SSH server is enabled; nothing would open".to_owned());
    }
    Ok(said)
}

/// Asks this image's own sshd, before anything is written.
fn try_sshd(root: &Root, sshd: &SshdFiles, said: &mut Vec<String>) -> Result<()> {
    said.extend(sshd.notes().iter().map(|note| format!("warning: {note}")));
    match trial::sshd_with(root, sshd)? {
        Trial::Accepted => Ok(()),
        Trial::NotTried(why) => {
            said.push(format!("sshd was not tried: {why}"));
            Ok(())
        }
        Trial::Refused(why) => Err(Error::refused("seal: sshd would not start so:", why)
            .remedy("change what it names in sshd's configuration; nothing was written")),
        Trial::TakesPasswords(what) => {
            Err(Error::refused("seal: sshd would go on taking passwords:", what)
                .remedy("take that out of sshd's configuration; nothing was written"))
        }
    }
}

fn install(root: &Root, wanted: &Installed) -> Result<bool> {
    let folder = wanted.path.parent().unwrap_or_else(ImagePath::root);
    let there = root.lstat(&wanted.path)?;
    match &wanted.kind {
        Kind::Link { target } => {
            if root.read_link(&wanted.path)?.as_deref() == Some(target.as_bytes()) {
                return Ok(false);
            }
            change::make_dirs(root, &folder, 0o755)?;
            change::symlink(&target_of(root, &wanted.path)?, target.as_bytes())?;
        }
        Kind::Changed { content } => {
            let path = root.canonical(&wanted.path)?.unwrap_or_else(|| wanted.path.clone());
            return edit(root, &path, Links::InRoot, |_| Ok(Some(content.clone().into())));
        }
        Kind::File { content, mode } => {
            let same_mode =
                there.is_some_and(|m| m.kind == FileKind::Regular && m.permissions() == *mode);
            if same_mode && root.read(&wanted.path, u64::MAX)?.is_some_and(|old| *old == **content)
            {
                return Ok(false);
            }
            change::make_dirs(root, &folder, 0o755)?;
            let content: &Cow<'_, [u8]> = content;
            let (uid, gid) = writer();
            change::create(&target_of(root, &wanted.path)?, content, *mode, uid, gid)?;
        }
    }
    Ok(true)
}

/// Writes units and drop-ins as this version has them on a system that is sealed, after an upgrade of
/// the program. Manifest and state stay: an adopted instance stays adopted. Nothing is tried with sshd,
/// and nothing that decides is changed, so a system that was opened is not closed.
///
/// # Errors
/// When something cannot be read or written.
pub fn refresh(root: &Root) -> Result<Vec<String>> {
    let Some(manifest) = Manifest::read(root)? else { return Ok(Vec::new()) };
    // Sealed before, and taken back by `unseal` since: what is there says so.
    if seal::installed(root)?.is_empty() {
        return Ok(Vec::new());
    }
    let mut inventory = Inventory::discover(root)?;
    inventory.passwords = manifest.policy.injected_password;
    // Whatever a newer drop-in asserts: a system that was opened in this boot is not closed in it.
    if root.is_live() && flag::is_set(root)? {
        flag::set_stripped(root)?;
    }
    let mut said = Vec::new();
    let own = |wanted: &Installed| !matches!(wanted.kind, Kind::Changed { .. });
    for wanted in seal::files(&inventory).into_iter().filter(own) {
        if is_of_sshd(&wanted) && root.lstat(&wanted.path)?.is_none() {
            continue;
        }
        // The list of this instance, not an empty one.
        if wanted.path == ImagePath::literal(seal::REVOKED) {
            revoked::restore(root)?;
            continue;
        }
        if install(root, &wanted)? {
            said.push(format!("wrote {} ({})", wanted.path, wanted.why));
        }
    }
    Ok(said)
}

/// True for settings of sshd: an owner may have taken them away.
fn is_of_sshd(wanted: &Installed) -> bool {
    wanted.path.as_bytes().starts_with(b"/etc/ssh/")
}

/// Takes back what [`seal()`] has made active; returns a line for each thing removed. The program, the
/// manifest and the state stay. So does the list of revoked keys where sshd may be `running`: sshd reads
/// it at every login, and refuses every key when a list that it was started with is gone
/// (sshd_config(5), RevokedKeys).
///
/// # Errors
/// When something cannot be read or removed; may be repeated.
pub fn unseal(root: &Root, running: bool) -> Result<Vec<String>> {
    let mut said = Vec::new();
    let mut units = false;
    let manifest = Manifest::read(root).ok().flatten().unwrap_or_default();
    for path in seal::changed_files(root, &manifest)? {
        if edit(root, &path, Links::InRoot, |now| Ok(without(now).map(Into::into)))? {
            said.push(format!("changed {path} back"));
        }
    }
    for path in seal::installed(root)? {
        units |= path.as_bytes().ends_with(b".service");
        if remove(root, &path)? {
            said.push(format!("removed {path}"));
        }
        let folder = path.parent().unwrap_or_else(ImagePath::root);
        let of_dropins =
            folder.as_bytes().ends_with(b".service.d") || folder.as_bytes().ends_with(b".socket.d");
        if of_dropins && root.stat(&folder)?.is_some() && root.read_dir(&folder)?.is_empty() {
            remove(root, &folder)?;
        }
    }
    let list = ImagePath::literal(seal::REVOKED);
    if !running && remove(root, &list)? {
        said.push(format!("removed {list}"));
    }
    if said.is_empty() {
        return Ok(said);
    }
    said.push("SSH no longer waits for an injected key".to_owned());
    if running && units {
        said.push("run: systemctl daemon-reload".to_owned());
    }
    if running && root.lstat(&list)?.is_some() {
        said.push(format!("kept {list}: sshd needs it; reload sshd, then remove it"));
    }
    Ok(said)
}

fn target_of(root: &Root, path: &ImagePath) -> Result<disinherit_core::root::Target> {
    root.target(path, Links::InRoot)?.ok_or_else(|| Error::failed("create", path))
}

fn remove(root: &Root, path: &ImagePath) -> Result<bool> {
    let Some(target) = root.target(path, Links::InRoot)? else { return Ok(false) };
    let Some(meta) = target.meta()? else { return Ok(false) };
    if meta.kind == FileKind::Directory {
        change::delete_tree(&target, &mut |_, _| {})?;
    } else {
        change::delete(&target, &meta)?;
    }
    Ok(true)
}
