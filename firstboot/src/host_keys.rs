//! Host keys: inherited ones go, missing ones are made, and what was made is told on the console.

use std::collections::BTreeSet;

use disinherit_core::manifest::{KeyHash, writer};
use disinherit_core::root::{Links, Root};
use disinherit_core::sshd::Config;
use disinherit_core::{Error, ImagePath, Result, change, host_keys};

use crate::edit;
use crate::program;

pub use disinherit_core::host_keys::{files, present};

const SSH_KEYGEN: [&str; 2] = ["/usr/bin/ssh-keygen", "/bin/ssh-keygen"];
/// Private keys are made here (a tmpfs, root only) and then written beside their final name.
const WORKSHOP: &str = "/run/disinherit/host-keys";
/// What sshd looks for when its configuration names no host key (sshd_config(5), HostKey).
const DEFAULTS: [&str; 3] =
    ["/etc/ssh/ssh_host_ed25519_key", "/etc/ssh/ssh_host_ecdsa_key", "/etc/ssh/ssh_host_rsa_key"];

/// Removes every host key whose public half is `inherited` or cannot be told, with its `.pub` and
/// its certificate. Returns the private files removed.
///
/// # Errors
/// When a key cannot be read or removed.
pub fn remove(root: &Root, inherited: impl Fn(&KeyHash) -> bool) -> Result<Vec<ImagePath>> {
    let mut removed = Vec::new();
    for private in files(root)? {
        let public = host_keys::public_half(root, &private)?;
        if !public.is_empty() && !public.iter().any(&inherited) {
            continue;
        }
        // The private file last: until it is gone the next run finds this key again.
        for file in with_companions(&private)? {
            delete(root, &file)?;
        }
        removed.push(private);
    }
    Ok(removed)
}

/// A private host key, its certificate and its public half first: what may lie beside it.
///
/// # Errors
/// Never for a path of an image.
pub fn with_companions(private: &ImagePath) -> Result<[ImagePath; 3]> {
    Ok([with_suffix(private, "-cert.pub")?, with_suffix(private, ".pub")?, private.clone()])
}

/// Makes the host keys that sshd's configuration names and that are missing or empty; without a
/// `HostKey` line the three that sshd looks for. Returns the files made.
///
/// # Errors
/// When ssh-keygen is missing or fails, or a file cannot be written.
pub fn make_missing(root: &Root) -> Result<Vec<ImagePath>> {
    let (config, _problems) = Config::load(root)?;
    let named = config.settings().iter().any(|setting| setting.keyword == "hostkey");
    let wanted = if named { config.host_keys() } else { DEFAULTS.map(ImagePath::literal).to_vec() };
    let mut made = Vec::new();
    for path in wanted {
        if root.stat(&path)?.is_none_or(|meta| meta.size == 0) {
            make(root, &path)?;
            made.push(path);
        }
    }
    Ok(made)
}

fn make(root: &Root, path: &ImagePath) -> Result<()> {
    let workshop = ImagePath::literal(WORKSHOP);
    change::make_dirs(root, &workshop, 0o700)?;
    for name in ["key", "key.pub"] {
        delete(root, &child(&workshop, name)?)?;
    }
    let file = root.host_path().join(workshop.relative()).join("key");
    let arguments: [&std::ffi::OsStr; 9] = [
        "-q".as_ref(),
        "-t".as_ref(),
        algorithm(path).as_ref(),
        "-N".as_ref(),
        "".as_ref(),
        "-C".as_ref(),
        "".as_ref(),
        "-f".as_ref(),
        file.as_os_str(),
    ];
    let answer = program::run(&SSH_KEYGEN, &arguments)?;
    if !answer.success {
        return Err(Error::failed("make the host key", path).because(answer.complaint));
    }
    // The public half first: a private file that is there says that the pair is whole.
    let mode = private_mode(root)?;
    for (name, suffix, mode) in [("key.pub", ".pub", (0o644, None)), ("key", "", mode)] {
        let made = child(&workshop, name)?;
        let text = root
            .read(&made, edit::LIMIT)?
            .filter(|text| !text.is_empty())
            .ok_or_else(|| Error::failed("read the key made for", path))?;
        let target = root
            .target_followed(&with_suffix(path, suffix)?, Links::InRoot)?
            .ok_or_else(|| Error::failed("write", path).remedy("make its folder"))?;
        let (uid, gid) = writer();
        change::create(&target, &text, mode.0, uid, mode.1.unwrap_or(gid))?;
        delete(root, &made)?;
    }
    Ok(())
}

/// RHEL up to 9 gives private host keys to the group `ssh_keys` (for ssh-keysign), mode 0640.
fn private_mode(root: &Root) -> Result<(u32, Option<u32>)> {
    let Some(text) = root.read(&ImagePath::literal("/etc/group"), edit::LIMIT)? else {
        return Ok((0o600, None));
    };
    let group = disinherit_core::text::Group::parse(&text);
    let gid = group.entries().find(|e| e.name == b"ssh_keys").and_then(|e| e.gid);
    Ok(gid.map_or((0o600, None), |gid| (0o640, Some(gid))))
}

/// By the file's name, as OpenSSH's own names have it.
fn algorithm(path: &ImagePath) -> &'static str {
    let name = path.file_name().unwrap_or_default();
    let says = |word: &[u8]| name.windows(word.len()).any(|part| part == word);
    if says(b"ecdsa") {
        "ecdsa"
    } else if says(b"rsa") {
        "rsa"
    } else {
        "ed25519"
    }
}

/// The host keys in the form that cloud-init prints on the console and tools read back from it
/// (cloud-init: tools/write-ssh-key-fingerprints).
///
/// # Errors
/// When a key cannot be read.
pub fn announcement(root: &Root) -> Result<String> {
    let mut fingerprints = String::new();
    let mut keys = String::new();
    for private in files(root)? {
        let Some(text) = root.read(&with_suffix(&private, ".pub")?, edit::LIMIT)? else { continue };
        let hash: BTreeSet<KeyHash> = host_keys::public_half(root, &private)?;
        let line = disinherit_core::path::escape(text.trim_ascii()).into_owned();
        let kind = line.split(' ').next().unwrap_or_default();
        for key in hash {
            fingerprints.push_str(&format!("{} {}\n", key.fingerprint(), kind));
        }
        keys.push_str(&line);
        keys.push('\n');
    }
    Ok(format!(
        "-----BEGIN SSH HOST KEY FINGERPRINTS-----\n{fingerprints}-----END SSH HOST KEY \
         FINGERPRINTS-----\n-----BEGIN SSH HOST KEY KEYS-----\n{keys}-----END SSH HOST KEY KEYS-----"
    ))
}

fn delete(root: &Root, path: &ImagePath) -> Result<()> {
    let Some(target) = root.target_followed(path, Links::InRoot)? else { return Ok(()) };
    if let Some(meta) = target.meta()? {
        change::delete(&target, &meta)?;
    }
    Ok(())
}

fn with_suffix(path: &ImagePath, suffix: &str) -> Result<ImagePath> {
    let bytes = [path.as_bytes(), suffix.as_bytes()].concat();
    ImagePath::new(bytes).ok_or_else(|| Error::failed("name", path))
}

fn child(path: &ImagePath, name: &str) -> Result<ImagePath> {
    path.join(name).ok_or_else(|| Error::failed("name", path))
}
