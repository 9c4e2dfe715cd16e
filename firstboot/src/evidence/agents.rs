//! Keys that agents beside cloud-init put on the disk. They declare a key for this instance when it
//! was not there for a former one.
//!
//! | agent | where | source |
//! |---|---|---|
//! | Ignition | `~/.ssh/authorized_keys.d/ignition`, in the initramfs | ignition: internal/exec/util/passwd.go |
//! | Afterburn | `~/.ssh/authorized_keys.d/afterburn` | afterburn: src/providers/mod.rs |
//! | google-guest-agent | lines below `# Added by Google` | guest-agent: non_windows_accounts.go |
//! | waagent | `<PublicKeys>` of its ovf-env.xml | WALinuxAgent: azurelinuxagent/common/protocol/ovfenv.py |

use std::collections::BTreeSet;

use disinherit_core::accounts::Accounts;
use disinherit_core::manifest::KeyHash;
use disinherit_core::root::Root;
use disinherit_core::{ImagePath, Result, seal};

use crate::edit;

const IGNITION: &str = ".ssh/authorized_keys.d/ignition";
const AFTERBURN: &str = ".ssh/authorized_keys.d/afterburn";
const GOOGLE: &str = ".ssh/authorized_keys";
const GOOGLE_MARK: &[u8] = b"# Added by Google";
const OVF_ENV: &str = "/var/lib/waagent/ovf-env.xml";
/// Ignition's record, with the boot in which it ran (ignition: internal/exec/stages).
const IGNITION_RESULT: &str = "/etc/.ignition-result.json";
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// Keys of agents that write after the early unit, as far as they are on the disk now.
///
/// # Errors
/// When a file is there and cannot be read.
pub fn keys(root: &Root) -> Result<BTreeSet<KeyHash>> {
    let mut keys = of_homes(root, AFTERBURN, |text| text.to_vec())?;
    keys.extend(of_homes(root, GOOGLE, below_mark)?);
    if let Some(text) = root.read(&ImagePath::literal(OVF_ENV), edit::LIMIT)? {
        // An element ends where the key does: `<Value>ssh-rsa AAAA user</Value>`.
        let text: Vec<u8> =
            text.iter().map(|b| if b"<>".contains(b) { b' ' } else { *b }).collect();
        keys.extend(seal::mentioned(&text));
    }
    Ok(keys)
}

/// Keys that Ignition has written, in whatever boot.
///
/// # Errors
/// When a file is there and cannot be read.
pub fn ignition(root: &Root) -> Result<BTreeSet<KeyHash>> {
    of_homes(root, IGNITION, |text| text.to_vec())
}

/// Keys that were injected before the early unit, in this boot: Ignition's, when its record names this
/// boot. A sealed key among them is declared, as one that comes later would be.
///
/// # Errors
/// When a file is there and cannot be read.
pub fn of_this_boot(root: &Root) -> Result<BTreeSet<KeyHash>> {
    let record = root.read(&ImagePath::literal(IGNITION_RESULT), edit::LIMIT)?.unwrap_or_default();
    let boot = root.read(&ImagePath::literal(BOOT_ID), edit::LIMIT)?.unwrap_or_default();
    let boot = boot.trim_ascii();
    if boot.len() == 36 && record.windows(boot.len()).any(|part| part == boot) {
        ignition(root)
    } else {
        Ok(BTreeSet::new())
    }
}

/// What agents declare for this instance: keys that are not among those of a former one.
///
/// # Errors
/// When a file is there and cannot be read.
pub fn declared(
    root: &Root,
    former_ignition: &BTreeSet<KeyHash>,
    former: &BTreeSet<KeyHash>,
) -> Result<BTreeSet<KeyHash>> {
    let mut declared = of_this_boot(root)?;
    declared.extend(ignition(root)?.difference(former_ignition));
    declared.extend(keys(root)?.difference(former));
    Ok(declared)
}

fn of_homes(root: &Root, file: &str, pick: impl Fn(&[u8]) -> Vec<u8>) -> Result<BTreeSet<KeyHash>> {
    let mut keys = BTreeSet::new();
    for account in Accounts::load(root)?.iter() {
        let path = ImagePath::new(&account.home).and_then(|home| home.join(file));
        let Some(path) = path else { continue };
        if let Some(text) = root.read(&path, edit::LIMIT)? {
            keys.extend(seal::mentioned(&pick(&text)));
        }
    }
    Ok(keys)
}

/// The line below each mark; a key with an expiry has a mark of its own too.
fn below_mark(text: &[u8]) -> Vec<u8> {
    let mut picked = Vec::new();
    let mut marked = false;
    for line in text.split(|b| *b == b'\n') {
        if marked {
            picked.extend_from_slice(line);
            picked.push(b'\n');
        }
        marked = line.trim_ascii().starts_with(GOOGLE_MARK);
    }
    picked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn google_marks_each_of_its_keys() {
        let text = b"ssh-rsa mine\n# Added by Google\nssh-rsa one\nssh-rsa mine2\n# Added by Google\nssh-rsa two";
        assert_eq!(below_mark(text), b"ssh-rsa one\nssh-rsa two\n");
        assert_eq!(below_mark(b"# Added by Google"), b"");
    }
}
