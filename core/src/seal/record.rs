//! What an image carries now, as its manifest will list it.

use std::collections::BTreeSet;

use super::Inventory;
use crate::accounts::Accounts;
use crate::host_keys;
use crate::identity::Identity;
use crate::manifest::{Account, KeyHash, Manifest};
use crate::path::escape;
use crate::root::{FileKind, Root};
use crate::sshd::Config;
use crate::text::{Passwd, Shadow, authorized_keys, public_key};
use crate::{Error, ImagePath, Result};

const LIMIT: u64 = 16 << 20;
/// Local sources of cloud-init: a seed in the image is not a metadata service.
const SEEDS: &str = "/var/lib/cloud/seed";
/// Configuration of cloud-init that may carry keys of users.
const CLOUD_CONFIG: [&str; 2] = ["/etc/cloud", "/etc/cloud/cloud.cfg.d"];

/// Records accounts, keys that sshd would accept, host keys, seeds, agents and, on a running system,
/// the machine's identity.
///
/// # Errors
/// When something that has to be listed cannot be read: a manifest with a hole would let an inherited
/// login pass.
pub fn record(root: &Root) -> Result<Manifest> {
    let mut manifest = Manifest::default();
    accounts(root, &mut manifest)?;
    manifest.sshd_files = super::sshd_files::by_option(root)?;
    let all = Accounts::load(root)?;
    for config in configs(root, &manifest)? {
        for account in all.iter() {
            for file in config.login_files(&all.user(account)) {
                manifest.keys.extend(keys_in(root, &file.path)?);
            }
        }
    }
    for place in CLOUD_CONFIG {
        for entry in root.read_dir(&ImagePath::literal(place))? {
            let Some(path) = ImagePath::literal(place).join(&entry.name) else { continue };
            if entry.kind == FileKind::Regular {
                manifest.keys.extend(mentioned(&read(root, &path)?));
            }
        }
    }
    for entry in root.read_dir(&ImagePath::literal(SEEDS))? {
        let Some(folder) = ImagePath::literal(SEEDS).join(&entry.name) else { continue };
        manifest.seeds.extend(seed_digest(root, &folder)?);
        for file in root.read_dir(&folder)?.iter().filter(|f| f.kind == FileKind::Regular) {
            let Some(path) = folder.join(&file.name) else { continue };
            manifest.keys.extend(mentioned(&read(root, &path)?));
        }
    }
    manifest.host_keys = host_keys::present(root)?;
    manifest.agents.extend(Inventory::discover(root)?.agents.into_iter().map(str::to_owned));
    if root.is_live() {
        manifest.identity = Identity::read(root);
    }
    Ok(manifest)
}

/// The configuration of each sshd of a sealed image, that of its own main file first.
///
/// # Errors
/// When one of them cannot be read.
pub fn configs(root: &Root, manifest: &Manifest) -> Result<Vec<Config>> {
    let mut configs = vec![Config::load(root)?.0];
    for file in manifest.sshd_main_files() {
        configs.push(Config::load_from(root, file)?.0);
    }
    Ok(configs)
}

fn accounts(root: &Root, manifest: &mut Manifest) -> Result<()> {
    let passwd = read(root, &ImagePath::literal("/etc/passwd"))?;
    if passwd.is_empty() {
        return Err(Error::refused("seal an image without accounts", root.host_path().display())
            .remedy("check that /etc/passwd is that of the image"));
    }
    let shadow = Shadow::parse(&read(root, &ImagePath::literal("/etc/shadow"))?);
    let secret: Vec<&[u8]> =
        shadow.entries().filter(|e| e.field.needs_lock()).map(|e| e.name).collect();
    let passwd = Passwd::parse(&passwd);
    let mut add = |name: &[u8], account: Account| {
        manifest.accounts.insert(escape(name).into_owned(), account);
    };
    for entry in passwd.entries() {
        let account = Account {
            name: escape(entry.name).into_owned(),
            uid: entry.uid,
            home: escape(entry.home).into_owned(),
            shell: escape(entry.shell).into_owned(),
            had_password: entry.password.needs_lock() || secret.contains(&entry.name),
        };
        add(entry.name, account);
    }
    Ok(())
}

pub(crate) fn keys_in(root: &Root, path: &ImagePath) -> Result<BTreeSet<KeyHash>> {
    let text = read(root, path)?;
    let mut keys = BTreeSet::new();
    keys.extend(authorized_keys::lines(&text).filter_map(hash));
    Ok(keys)
}

/// Public keys that stand anywhere in a text, whatever its format: a key type, blanks, base64.
pub fn mentioned(text: &[u8]) -> BTreeSet<KeyHash> {
    let words: Vec<&[u8]> = text
        .split(|b| b.is_ascii_whitespace() || b"\"',[]{}".contains(b))
        .filter(|word| !word.is_empty())
        .collect();
    let pairs = words.iter().zip(words.iter().skip(1));
    let mut keys = BTreeSet::new();
    keys.extend(pairs.filter_map(|(kind, blob)| {
        let line = [*kind, b" ", *blob].concat();
        authorized_keys::lines(&line).find_map(hash)
    }));
    keys
}

fn hash(line: authorized_keys::Line<'_>) -> Option<KeyHash> {
    match line {
        authorized_keys::Line::Key(key) => Some(KeyHash(public_key::digest(&key.blob))),
        authorized_keys::Line::Skipped { .. } => None,
    }
}

/// One digest over the files of a seed directory; `None` when there are none.
///
/// # Errors
/// When a file cannot be read.
pub fn seed_digest(root: &Root, folder: &ImagePath) -> Result<Option<KeyHash>> {
    let mut all = Vec::new();
    for file in root.read_dir(folder)?.iter().filter(|f| f.kind == FileKind::Regular) {
        let Some(path) = folder.join(&file.name) else { continue };
        let digest = KeyHash::of(&read(root, &path)?);
        all.extend_from_slice(&KeyHash::of(&file.name).0);
        all.extend_from_slice(&digest.0);
    }
    Ok((!all.is_empty()).then(|| KeyHash::of(&all)))
}

pub(crate) fn read(root: &Root, path: &ImagePath) -> Result<zeroize::Zeroizing<Vec<u8>>> {
    if root.stat(path)?.is_some_and(|meta| meta.kind != FileKind::Regular) {
        return Ok(zeroize::Zeroizing::default());
    }
    Ok(root.read(path, LIMIT)?.unwrap_or_default())
}
