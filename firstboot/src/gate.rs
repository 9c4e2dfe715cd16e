//! Phase 2, after injection and before sshd: may it start?

use std::collections::BTreeSet;

use disinherit_core::Result;
use disinherit_core::identity::Identity;
use disinherit_core::manifest::KeyHash;
use disinherit_core::root::Root;

use crate::decision::{Decision, Reason};
use crate::deliver::deliver;
use crate::evidence::declared;
use crate::evidence::{Question, counting, judge};
use crate::phase::Phase;
use crate::state::{Record, Removal, Seal, State};
use crate::{flag, host_keys, logins, quarantine, sshd_test};

/// The durable steps of an adoption, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Logins of the disk's former owner are gone.
    Logins,
    /// So are inherited host keys.
    HostKeysRemoved,
    /// The host keys that sshd needs are there.
    HostKeysMade,
    /// The state says `adopted`.
    Adopted,
    /// sshd may start.
    Flag,
    /// What was set aside is burned.
    Burned,
}

/// What an examination found: a decision, and what an adoption would need.
#[derive(Debug)]
pub struct Examined {
    /// Open for an adopted or unsealed system; closed otherwise, with the reason; `key-accepted` when
    /// [`run`] would adopt.
    pub decision: Decision,
    adoption: Option<Adoption>,
}

#[derive(Debug)]
struct Adoption {
    keys: BTreeSet<KeyHash>,
    seeds: BTreeSet<KeyHash>,
    /// What the platform declares; a sealed key among them may stay.
    declared: BTreeSet<KeyHash>,
    /// Everything else goes: the disk belonged to another instance.
    only: Option<BTreeSet<KeyHash>>,
}

/// Looks at everything and changes nothing.
///
/// # Errors
/// When something that decides cannot be read.
pub fn examine(root: &Root) -> Result<Examined> {
    let state = State::read(root);
    let now = Identity::read(root);
    let (adopted_seeds, authorized) = remembered(state.record.as_ref());
    let manifest = state.manifest();
    let closed = |reason| Ok(Examined { decision: Decision::new(reason, &now), adoption: None });
    let from = match Phase::decide(&state, &now) {
        Phase::NotSealed => return closed(Reason::NotSealed),
        Phase::Adopted => return closed(Reason::Adopted),
        Phase::Strip { .. } | Phase::Returned | Phase::Changed { new: true, .. } => {
            let mut examined =
                Examined { decision: Decision::new(Reason::NotStripped, &now), adoption: None };
            if let Seal::Unreadable(error) = &state.seal {
                examined.decision.notes.push(error.report());
            }
            return Ok(examined);
        }
        Phase::Waiting => None,
        Phase::Changed { from, new: false } => Some(from),
    };
    let declared = declared::collect(root, &(&manifest.seeds | &adopted_seeds))?;
    let question = Question {
        manifest: &manifest,
        declared: &declared,
        authorized: &authorized,
        declared_only: from.is_some(),
    };
    let judged = judge(root, &question)?;
    let keys = counting(&judged);
    let reason = match (keys.is_empty(), &from, judged.is_empty()) {
        (false, _, _) => Reason::KeyAccepted,
        (true, Some(_), _) => Reason::IdentityChanged,
        (true, None, true) => Reason::NoKey,
        (true, None, false) => Reason::NoKeyCounts,
    };
    let mut decision = Decision::new(reason, &now);
    decision.belongs_to = from.as_ref().map(Identity::to_string);
    decision.datasource.clone_from(&declared.datasource);
    decision.notes.clone_from(&declared.notes);
    decision.keys = judged;
    let offered = &declared.keys | &authorized;
    let only = from.map(|_| offered.clone());
    let adoption = (!keys.is_empty()).then(|| Adoption {
        keys,
        seeds: declared.seed.into_iter().collect(),
        declared: offered,
        only,
    });
    Ok(Examined { decision, adoption })
}

/// Decides, and adopts the instance when a key counts. `after` hears of each durable step and may
/// stop the run. The flag is set last but for the burning, and only when sshd may start.
///
/// # Errors
/// When something fails; sshd stays closed.
pub fn run(root: &Root, after: &mut dyn FnMut(Step) -> Result<()>) -> Result<Decision> {
    flag::clear(root)?;
    take_offers(root)?;
    let Examined { mut decision, adoption } = examine(root)?;
    if let Some(adoption) = adoption {
        adopt(root, &adoption, &mut decision, after)?;
    } else if decision.reason == Reason::Adopted {
        // An adopted instance opens whatever else: its owner must not be locked out by us.
        if let Err(error) = host_keys::make_missing(root) {
            decision.notes.push(error.report());
        }
    }
    if decision.open {
        flag::set(root)?;
        after(Step::Flag)?;
    }
    if decision.reason == Reason::KeyAccepted {
        quarantine::burn(root)?;
        after(Step::Burned)?;
    }
    Ok(decision)
}

fn adopt(
    root: &Root,
    adoption: &Adoption,
    decision: &mut Decision,
    after: &mut dyn FnMut(Step) -> Result<()>,
) -> Result<()> {
    let manifest = State::read(root).manifest();
    // Once more in a first boot: a home that was mounted after the early unit still has its keys.
    let removal = adoption.only.clone().map_or(Removal::Sealed, Removal::AllBut);
    for path in logins::files(root)? {
        logins::remove(root, &path, |key| {
            !adoption.declared.contains(key) && removal.takes(&manifest, key)
        })?;
    }
    after(Step::Logins)?;
    let inherited = &manifest.host_keys | &quarantine::host_keys(root)?;
    host_keys::remove(root, |key| inherited.contains(key))?;
    after(Step::HostKeysRemoved)?;
    let made = host_keys::make_missing(root)?;
    after(Step::HostKeysMade)?;
    if let Some(complaint) = sshd_test::complaint(root)? {
        decision.reason = Reason::SshdRefuses;
        decision.open = false;
        decision.notes.push(complaint);
        return Ok(());
    }
    Record::Adopted {
        identity: Identity::read(root),
        keys: adoption.keys.clone(),
        seeds: adoption.seeds.clone(),
        changed: None,
    }
    .write(root)?;
    after(Step::Adopted)?;
    if !made.is_empty() {
        decision.notes.push(format!("{} new host keys", made.len()));
    }
    Ok(())
}

/// Puts a credential's key where sshd reads it, and remembers what was offered under a changed
/// identity: should the old one come back, these keys leave again.
fn take_offers(root: &Root) -> Result<()> {
    let state = State::read(root);
    let now = Identity::read(root);
    let changed = match Phase::decide(&state, &now) {
        Phase::Waiting => None,
        Phase::Changed { new: false, .. } => state.record,
        _ => return Ok(()),
    };
    let declared = declared::collect(root, &BTreeSet::new())?;
    if let Some(Record::Adopted { identity, keys, seeds, changed: Some(mut changed) }) = changed {
        let before = changed.offered.len();
        changed.offered.extend(&declared.keys);
        if changed.offered.len() != before {
            Record::Adopted { identity, keys, seeds, changed: Some(changed) }.write(root)?;
        }
    }
    match &declared.credential {
        Some(lines) => deliver(root, "root", lines),
        None => Ok(()),
    }
}

/// Seeds that this disk has used, and keys that `authorize` has declared.
fn remembered(record: Option<&Record>) -> (BTreeSet<KeyHash>, BTreeSet<KeyHash>) {
    match record {
        Some(Record::Stripped { authorized, .. }) => (BTreeSet::new(), authorized.clone()),
        Some(Record::Adopted { seeds, changed, .. }) => {
            (seeds.clone(), changed.as_ref().map(|c| c.authorized.clone()).unwrap_or_default())
        }
        _ => (BTreeSet::new(), BTreeSet::new()),
    }
}
