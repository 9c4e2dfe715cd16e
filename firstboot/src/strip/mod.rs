//! Removing inherited logins: a fixed order of durable steps, each of which may be repeated.
//!
//! Nothing is injected before the last step, so whatever is cut short is done again at the next boot.
//! After the last step it must not be done again for the same instance: then a platform has injected.

pub mod forget;
pub mod passwords;

use std::collections::BTreeSet;

use disinherit_core::Result;
use disinherit_core::identity::Identity;
use disinherit_core::manifest::{KeyHash, Manifest};
use disinherit_core::root::Root;

use crate::evidence::agents;
use crate::state::{Record, Removal};
use crate::{host_keys, logins, revoked};
use passwords::Whose;

/// The durable steps of this boot, in their order: those of a removal, or those under a changed identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The state says `stripping`.
    Begun,
    /// No inherited password is left.
    Passwords,
    /// No inherited key is left.
    Logins,
    /// No inherited host key is left.
    HostKeys,
    /// cloud-init will inject again.
    Forgotten,
    /// The state says `stripped`.
    Done,
    /// What the owner has is copied, because the identity is another one.
    SetAside,
    /// His passwords are locked.
    Locked,
    /// The state says under which identity.
    Changed,
}

/// Removes what `removal` says. `after` hears of every step when it is durable, and may stop the run.
///
/// # Errors
/// Those of the steps, and of `after`.
pub fn run(
    root: &Root,
    manifest: &Manifest,
    removal: &Removal,
    now: &Identity,
    after: &mut dyn FnMut(Step) -> Result<()>,
) -> Result<()> {
    Record::Stripping { identity: now.clone(), removal: removal.clone() }.write(root)?;
    after(Step::Begun)?;
    let whose = match removal {
        Removal::Sealed => Whose::Sealed(manifest),
        Removal::AllBut(_) => Whose::All,
    };
    passwords::lock(root, whose)?;
    after(Step::Passwords)?;
    let injected = agents::of_this_boot(root)?;
    for path in logins::files(root)? {
        logins::remove(root, &path, |key| removal.takes(manifest, key) && !injected.contains(key))?;
    }
    revoked::write_for(root, manifest, None)?;
    after(Step::Logins)?;
    let all = matches!(removal, Removal::AllBut(_));
    host_keys::remove(root, |key| all || manifest.host_keys.contains(key))?;
    after(Step::HostKeys)?;
    forget::forget(root)?;
    after(Step::Forgotten)?;
    let kept: BTreeSet<KeyHash> = logins::keys(root)?;
    Record::Stripped { identity: now.clone(), kept, authorized: BTreeSet::new() }.write(root)?;
    after(Step::Done)
}

impl Removal {
    /// True when this key goes.
    pub fn takes(&self, manifest: &Manifest, key: &KeyHash) -> bool {
        match self {
            Self::Sealed => manifest.seals(key),
            Self::AllBut(kept) => !kept.contains(key) && !manifest.kept_keys.contains(key),
        }
    }
}
