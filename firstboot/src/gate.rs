//! Phase 2, after injection and before sshd: may it start?

use std::collections::BTreeSet;

use disinherit_core::Result;
use disinherit_core::identity::Identity;
use disinherit_core::manifest::{InjectedPassword, KeyHash};
use disinherit_core::root::Root;

use crate::decision::{Decision, Reason};
use crate::deliver::deliver;
use crate::evidence::{Question, counting, judge};
use crate::evidence::{agents, declared};
use crate::phase::Phase;
use crate::state::{Adopted, Record, Removal, Seal, State};
use crate::strip::passwords::{self, Whose};
use crate::{early, flag, host_keys, logins, quarantine, revoked, sshd_test};

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
    seed: Option<KeyHash>,
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
    let now = Identity::read_late(root);
    let remembered = Remembered::of(state.record.as_ref());
    let manifest = state.manifest();
    let closed = |reason| Ok(Examined { decision: Decision::new(reason, &now), adoption: None });
    let from = match Phase::decide(&state, &now) {
        Phase::NotSealed => return closed(Reason::NotSealed),
        Phase::Adopted => return closed(Reason::Adopted),
        Phase::Returned => return returned(root, &state, &now),
        Phase::Strip { .. } | Phase::Changed { new: true, .. } => {
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
    let mut declared = declared::collect(root, &(&manifest.seeds | &remembered.seeds))?;
    declared.keys.extend(agents::declared(root, &remembered.ignition, &remembered.present)?);
    let authorized = &remembered.authorized;
    let question = Question {
        manifest: &manifest,
        declared: &declared,
        authorized,
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
    let offered = &declared.keys | authorized;
    let only = from.map(|_| offered.clone());
    let adoption = (!keys.is_empty()).then_some(Adoption {
        keys,
        seed: declared.seed,
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
    // An ordinary boot of an adopted instance is what there is most of: it reads its state once.
    let adopted = Phase::decide(&State::read(root), &Identity::read_late(root)) == Phase::Adopted;
    if !adopted {
        early::late(root)?;
        take_offers(root)?;
    }
    let Examined { mut decision, adoption } = examine(root)?;
    if let Some(adoption) = adoption {
        adopt(root, &adoption, &mut decision, after)?;
    } else if decision.reason == Reason::Adopted {
        // An adopted instance opens whatever else: its owner must not be locked out by us.
        let kept = host_keys::make_missing(root).map(drop).and_then(|()| revoked::restore(root));
        if let Err(error) = kept {
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
    let state = State::read(root);
    let manifest = state.manifest();
    // Once more in a first boot: a home that was mounted after the early unit still has its keys.
    let removal = adoption.only.clone().map_or(Removal::Sealed, Removal::AllBut);
    let goes = |key: &KeyHash| !adoption.declared.contains(key) && removal.takes(&manifest, key);
    let mut revoked = former_keys(state.record.as_ref());
    for path in logins::files(root)? {
        if adoption.only.is_some() {
            revoked.extend(logins::keys_of(root, &path)?.into_iter().filter(goes));
        }
        logins::remove(root, &path, goes)?;
    }
    if manifest.policy.injected_password == InjectedPassword::Refuse {
        passwords::lock(root, Whose::All)?;
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
    revoked.retain(|key| !adoption.declared.contains(key));
    let mut adopted = Adopted {
        identity: Identity::read_late(root),
        keys: adoption.keys.clone(),
        revoked,
        ignition: agents::ignition(root)?,
        ..Adopted::default()
    };
    adopted.seeds.extend(adoption.seed);
    adopted.accepted.extend(adoption.declared.iter().filter(|key| manifest.seals(key)));
    revoked::write_for(root, &manifest, Some(&adopted))?;
    Record::Adopted(Box::new(adopted)).write(root)?;
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
    let now = Identity::read_late(root);
    let changed = match Phase::decide(&state, &now) {
        Phase::Waiting => None,
        Phase::Changed { new: false, .. } => state.record,
        _ => return Ok(()),
    };
    let declared = declared::collect(root, &BTreeSet::new())?;
    if let Some(Record::Adopted(mut adopted)) = changed {
        let remembered = agents::declared(
            root,
            &adopted.ignition,
            &adopted.changed.as_ref().map(|c| c.present.clone()).unwrap_or_default(),
        )?;
        let offered = adopted.changed.as_mut().map(|c| &mut c.offered);
        if let Some(offered) = offered {
            let before = offered.len();
            offered.extend(&declared.keys);
            offered.extend(&remembered);
            if offered.len() != before {
                Record::Adopted(adopted).write(root)?;
            }
        }
    }
    match &declared.credential {
        Some(lines) => deliver(root, "root", lines),
        None => Ok(()),
    }
}

/// The owner's instance whose early unit could not restore everything (a full or read-only disk): it
/// opens, unless a key that the other identity's platform has offered would open it too.
fn returned(root: &Root, state: &State, now: &Identity) -> Result<Examined> {
    let offered = match &state.record {
        Some(Record::Adopted(adopted)) => {
            adopted.changed.as_ref().map(|c| &c.offered | &c.authorized).unwrap_or_default()
        }
        _ => BTreeSet::new(),
    };
    let foreign = logins::keys(root)?.iter().any(|key| offered.contains(key));
    let reason = if foreign { Reason::NotStripped } else { Reason::Adopted };
    let mut decision = Decision::new(reason, now);
    let note = "the old identity is back, and what was set aside could not all be restored";
    decision.notes.push(format!("{note}: free some space and reboot; passwords stay locked"));
    Ok(Examined { decision, adoption: None })
}

/// Keys that opened the disk for its former owner.
fn former_keys(record: Option<&Record>) -> BTreeSet<KeyHash> {
    match record {
        Some(Record::Adopted(former)) => &former.keys | &former.revoked,
        _ => BTreeSet::new(),
    }
}

/// What the state says about keys.
#[derive(Default)]
struct Remembered {
    /// Seeds that this disk has used.
    seeds: BTreeSet<KeyHash>,
    /// Keys that `authorize` has declared.
    authorized: BTreeSet<KeyHash>,
    /// Keys that agents had written for the former owner.
    present: BTreeSet<KeyHash>,
    /// Keys that Ignition had written for him.
    ignition: BTreeSet<KeyHash>,
}

impl Remembered {
    fn of(record: Option<&Record>) -> Self {
        match record {
            Some(Record::Stripped { authorized, .. }) => {
                Self { authorized: authorized.clone(), ..Self::default() }
            }
            Some(Record::Adopted(adopted)) => {
                let changed = adopted.changed.clone().unwrap_or_default();
                Self {
                    seeds: adopted.seeds.clone(),
                    authorized: changed.authorized,
                    present: changed.present,
                    ignition: adopted.ignition.clone(),
                }
            }
            _ => Self::default(),
        }
    }
}
