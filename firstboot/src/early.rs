//! Phase 1, before anything injects a login.

use std::collections::BTreeSet;

use disinherit_core::identity::Identity;
use disinherit_core::root::Root;
use disinherit_core::{Error, ImagePath, Result};

use crate::evidence::agents;
use crate::phase::Phase;
use crate::state::{Changed, Record, State};
use crate::strip::passwords::{self, Whose};
use crate::strip::{self, Step, forget};
use crate::{flag, out, quarantine};

/// Traces of cloud-init in this boot: keys may have been injected already.
const INJECTED: [&str; 2] = ["/run/cloud-init/status.json", "/run/cloud-init/.instance-id"];

/// Does what this boot needs before injection; returns what that was. `after` hears of each durable
/// step and may stop the run.
///
/// # Errors
/// When a step fails; sshd then stays closed, and the next boot does it again.
pub fn run(root: &Root, after: &mut dyn FnMut(Step) -> Result<()>) -> Result<Phase> {
    let state = State::read(root);
    let now = Identity::read(root);
    let phase = Phase::decide(&state, &now);
    if phase == Phase::NotSealed {
        flag::set_stripped(root)?;
        return Ok(phase);
    }
    flag::clear(root)?;
    flag::clear_stripped(root)?;
    match &phase {
        Phase::NotSealed => {}
        Phase::Strip { removal } => {
            refuse_late(root)?;
            if let crate::state::Seal::Unreadable(error) = state.seal {
                return Err(error);
            }
            quarantine::burn(root)?;
            strip::run(root, &state.manifest(), removal, &now, after)?;
        }
        // Keys are injected once per instance-id; until one was accepted, every boot may try.
        Phase::Waiting => drop(forget::forget(root)?),
        // An adopted instance opens whatever else: a full or read-only disk must not shut it.
        Phase::Adopted => {
            if let Err(error) = adopted(root, state.record, &now) {
                out::say(format_args!("early: {}", error.report()));
            }
        }
        // The owner is back. What a full disk keeps from being restored is restored by a later boot.
        Phase::Returned => {
            if let Err(error) = returned(root, state.record) {
                out::say(format_args!("early: {}", error.report()));
            }
        }
        Phase::Changed { from, new } => {
            if *new {
                change(root, from, state.record, &now, after)?;
            } else {
                quarantine::store(root, from)?;
            }
            forget::forget(root)?;
        }
    }
    flag::set_stripped(root)?;
    Ok(phase)
}

/// Sources that appear later (a kernel with DMI after one without) become part of the identity.
fn adopted(root: &Root, record: Option<Record>, now: &Identity) -> Result<()> {
    let Some(Record::Adopted(mut adopted)) = record else { return quarantine::burn(root) };
    // Power was cut, or the disk was full, after passwords were locked under another identity and before
    // the state said so: the copy is all there is of them. That of a former owner is only burned.
    if quarantine::is_of(root, &adopted.identity)? {
        quarantine::restore(root, &BTreeSet::new())?;
    }
    quarantine::burn(root)?;
    if adopted.identity.complete(now) {
        Record::Adopted(adopted).write(root)?;
    }
    Ok(())
}

fn returned(root: &Root, record: Option<Record>) -> Result<()> {
    let Some(Record::Adopted(mut adopted)) = record else { return Ok(()) };
    let offered = adopted.changed.take().map(|c| &c.offered | &c.authorized).unwrap_or_default();
    quarantine::restore(root, &offered)?;
    Record::Adopted(adopted).write(root)?;
    quarantine::burn(root)
}

/// Sets aside what the owner has and remembers which keys agents had written for him. Keys that were
/// offered under a third identity stay known: they go when the old one comes back.
fn change(
    root: &Root,
    from: &Identity,
    record: Option<Record>,
    now: &Identity,
    after: &mut dyn FnMut(Step) -> Result<()>,
) -> Result<()> {
    quarantine::store(root, from)?;
    after(Step::SetAside)?;
    passwords::lock(root, Whose::All)?;
    after(Step::Locked)?;
    let Some(Record::Adopted(mut adopted)) = record else { return Ok(()) };
    let (mut offered, mut present) = (BTreeSet::new(), agents::keys(root)?);
    if let Some(before) = adopted.changed.take() {
        offered = &before.offered | &before.authorized;
        present.extend(before.present);
    }
    adopted.changed =
        Some(Changed { identity: now.clone(), offered, present, authorized: BTreeSet::new() });
    Record::Adopted(adopted).write(root)?;
    after(Step::Changed)
}

/// What the early unit could not know: without any other source the instance-id of cloud-init, which
/// comes with the network, says that this is another instance, or the former one again.
///
/// # Errors
/// When what another instance must not have cannot be set aside; sshd then stays closed.
pub fn late(root: &Root) -> Result<()> {
    let state = State::read(root);
    let (early, now) = (Identity::read(root), Identity::read_late(root));
    let before = Phase::decide(&state, &early);
    match Phase::decide(&state, &now) {
        Phase::Changed { from, new: true }
            if !matches!(before, Phase::Changed { new: true, .. }) =>
        {
            change(root, &from, state.record, &now, &mut |_| Ok(()))
        }
        // As in the early unit: the owner opens, and a later boot restores the rest.
        Phase::Returned if before != Phase::Returned => {
            if let Err(error) = returned(root, state.record) {
                out::say(format_args!("gate: {}", error.report()));
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Started late (by hand, or because a unit was masked), removal would take the keys that the
/// platform has just injected.
fn refuse_late(root: &Root) -> Result<()> {
    for path in INJECTED {
        if root.stat(&ImagePath::literal(path))?.is_some() {
            return Err(Error::refused("remove logins after cloud-init has run", "in this boot")
                .remedy("reboot; disinherit-early.service has to come first"));
        }
    }
    Ok(())
}
