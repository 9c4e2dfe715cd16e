//! Phase 1, before anything injects a login.

use std::collections::BTreeSet;

use disinherit_core::identity::Identity;
use disinherit_core::root::Root;
use disinherit_core::{Error, ImagePath, Result};

use crate::phase::Phase;
use crate::state::{Changed, Record, State};
use crate::strip::passwords::{self, Whose};
use crate::strip::{self, Step, forget};
use crate::{flag, out, quarantine};

/// Traces of cloud-init in this boot: keys may have been injected already.
const INJECTED: [&str; 2] = ["/run/cloud-init/status.json", "/run/cloud-init/.instance-id"];

/// Does what this boot needs before injection; returns what that was. `after` hears of each durable
/// step of a removal and may stop it.
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
        Phase::Returned => returned(root, state.record)?,
        Phase::Changed { from, new } => {
            quarantine::store(root, from)?;
            if *new {
                passwords::lock(root, Whose::All)?;
                changed(root, state.record, &now)?;
            }
            forget::forget(root)?;
        }
    }
    flag::set_stripped(root)?;
    Ok(phase)
}

/// Sources that appear later (a kernel with DMI after one without) become part of the identity.
fn adopted(root: &Root, record: Option<Record>, now: &Identity) -> Result<()> {
    // Adoption burns it; this is for a power cut in between.
    quarantine::burn(root)?;
    let Some(Record::Adopted { mut identity, keys, seeds, changed }) = record else {
        return Ok(());
    };
    if identity.complete(now) {
        Record::Adopted { identity, keys, seeds, changed }.write(root)?;
    }
    Ok(())
}

fn returned(root: &Root, record: Option<Record>) -> Result<()> {
    let Some(Record::Adopted { identity, keys, seeds, changed }) = record else { return Ok(()) };
    let offered = changed.map(|c| &c.offered | &c.authorized).unwrap_or_default();
    quarantine::restore(root, &offered)?;
    Record::Adopted { identity, keys, seeds, changed: None }.write(root)?;
    quarantine::burn(root)
}

/// Keys that were offered under a third identity stay known: they go when the old one comes back.
fn changed(root: &Root, record: Option<Record>, now: &Identity) -> Result<()> {
    let Some(Record::Adopted { identity, keys, seeds, changed }) = record else { return Ok(()) };
    let offered = changed.map(|c| &c.offered | &c.authorized).unwrap_or_default();
    let changed = Changed { identity: now.clone(), offered, authorized: BTreeSet::new() };
    Record::Adopted { identity, keys, seeds, changed: Some(changed) }.write(root)
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
