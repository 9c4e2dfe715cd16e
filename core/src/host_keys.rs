//! SSH host keys: where they lie, and what their public half is.

use std::collections::BTreeSet;

use crate::manifest::KeyHash;
use crate::root::Root;
use crate::seal::{keys_in, read};
use crate::sshd::Config;
use crate::text::public_key;
use crate::{ImagePath, Result};

/// Hashes of the public halves of all host keys.
///
/// # Errors
/// When a key or the configuration cannot be read.
pub fn present(root: &Root) -> Result<BTreeSet<KeyHash>> {
    let mut keys = BTreeSet::new();
    for path in files(root)? {
        keys.extend(public_half(root, &path)?);
    }
    Ok(keys)
}

/// Private host keys that exist: those that sshd's configuration names, and its usual names.
///
/// # Errors
/// When the configuration or the folder cannot be read.
pub fn files(root: &Root) -> Result<BTreeSet<ImagePath>> {
    let (config, _problems) = Config::load(root)?;
    let mut files = BTreeSet::new();
    for path in config.host_keys() {
        if root.stat(&path)?.is_some() {
            files.insert(path);
        }
    }
    let folder = ImagePath::literal("/etc/ssh");
    for entry in root.read_dir(&folder)? {
        if entry.name.starts_with(b"ssh_host_") && entry.name.ends_with(b"_key") {
            files.extend(folder.join(&entry.name));
        }
    }
    Ok(files)
}

/// Hashes of the public half of a host key: from the private file, which carries it in clear
/// (OpenSSH, PROTOCOL.key), and from the `.pub` beside it.
///
/// # Errors
/// When one of the two is there and cannot be read.
pub fn public_half(root: &Root, private: &ImagePath) -> Result<BTreeSet<KeyHash>> {
    let mut keys = BTreeSet::new();
    let text = read(root, private)?;
    keys.extend(inside(&text).map(|blob| KeyHash(public_key::digest(&blob))));
    let mut name = private.as_bytes().to_vec();
    name.extend_from_slice(b".pub");
    if let Some(path) = ImagePath::new(&name) {
        keys.extend(keys_in(root, &path)?);
    }
    Ok(keys)
}

/// The public blob inside an `openssh-key-v1` private key.
fn inside(pem: &[u8]) -> Option<Vec<u8>> {
    use base64::Engine as _;
    const MAGIC: &[u8] = b"openssh-key-v1\0";
    let body: Vec<u8> = pem
        .split(|b| *b == b'\n')
        .filter(|line| !line.starts_with(b"-----"))
        .flat_map(|line| line.trim_ascii().iter().copied())
        .collect();
    let body = zeroize::Zeroizing::new(body);
    let raw = base64::engine::general_purpose::STANDARD.decode(&*body).ok();
    let raw = zeroize::Zeroizing::new(raw?);
    let mut rest = raw.strip_prefix(MAGIC)?;
    for _cipher_kdf_options in 0..3 {
        rest = string(rest)?.1;
    }
    let rest = rest.strip_prefix(&1_u32.to_be_bytes())?;
    Some(string(rest)?.0.to_vec())
}

/// One RFC 4251 string and what follows it.
fn string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_at_checked(4)?;
    let length = usize::try_from(u32::from_be_bytes(length.try_into().ok()?)).ok()?;
    rest.split_at_checked(length)
}
