//! What this boot has to do, decided from the state on the disk and the identity of the machine.
//! Pure: no file is read here.

use disinherit_core::identity::{Comparison, Identity};

use crate::state::{Changed, Record, Removal, Seal, State};

/// What this boot has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// No manifest: change nothing, let sshd start.
    NotSealed,
    /// Remove inherited logins before anything is injected.
    Strip {
        /// Which ones.
        removal: Removal,
    },
    /// Inherited logins are gone, no key was accepted yet.
    Waiting,
    /// The instance belongs to somebody, and this is it.
    Adopted,
    /// The same, after a time under another identity: what was set aside comes back.
    Returned,
    /// The disk of an adopted instance under another identity.
    Changed {
        /// The identity that adopted it.
        from: Identity,
        /// This boot is the first one under the present identity.
        new: bool,
    },
}

impl Phase {
    /// Decides for `state` under the identity `now`.
    ///
    /// The order matters: without a manifest nothing is ours; an adopted instance stays adopted
    /// whatever became of the manifest; an unreadable state was read as `stripping`.
    pub fn decide(state: &State, now: &Identity) -> Self {
        if matches!(state.seal, Seal::NotSealed) {
            return Self::NotSealed;
        }
        match &state.record {
            None => Self::Strip { removal: Removal::Sealed },
            Some(Record::Stripping { removal, .. }) => Self::Strip { removal: removal.clone() },
            Some(Record::Stripped { identity, kept, .. }) => match now.compare(identity) {
                Comparison::Same | Comparison::Unknown => Self::Waiting,
                // What arrived meanwhile was for the other instance.
                Comparison::Different { .. } => {
                    Self::Strip { removal: Removal::AllBut(kept.clone()) }
                }
            },
            Some(Record::Adopted(adopted)) => {
                Self::of_adopted(&adopted.identity, adopted.changed.as_ref(), now)
            }
        }
    }

    fn of_adopted(owner: &Identity, changed: Option<&Changed>, now: &Identity) -> Self {
        match (now.compare(owner), changed) {
            (Comparison::Different { .. }, Some(before)) => Self::Changed {
                from: owner.clone(),
                new: now.compare(&before.identity) != Comparison::Same,
            },
            (Comparison::Different { .. }, None) => {
                Self::Changed { from: owner.clone(), new: true }
            }
            (Comparison::Same, Some(_)) => Self::Returned,
            // The sources are gone while something is set aside: nothing proves the way back.
            (Comparison::Unknown, Some(_)) => Self::Changed { from: owner.clone(), new: false },
            (Comparison::Same | Comparison::Unknown, None) => Self::Adopted,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use disinherit_core::manifest::KeyHash;
    use disinherit_core::{Error, Result};

    use super::*;
    use crate::state::Adopted;

    const A: &str = "aaaaaaaa-0000-4000-8000-000000000001";
    const B: &str = "bbbbbbbb-0000-4000-8000-000000000002";
    const C: &str = "cccccccc-0000-4000-8000-000000000003";

    fn id(uuid: &str) -> Identity {
        Identity::from_sources([("dmi-product-uuid", Some(uuid.to_owned()))])
    }

    fn sealed(record: Option<Record>) -> State {
        State { seal: Seal::Sealed(Box::default()), record }
    }

    fn adopted(changed: Option<&str>) -> Record {
        let changed = changed.map(|uuid| Changed { identity: id(uuid), ..Changed::default() });
        Record::Adopted(Box::new(Adopted { identity: id(A), changed, ..Adopted::default() }))
    }

    fn unreadable() -> Result<()> {
        Err(Error::failed("parse", "manifest"))
    }

    #[test]
    fn without_a_manifest_nothing_is_ours() {
        let state = State { seal: Seal::NotSealed, record: Some(adopted(None)) };
        assert_eq!(Phase::decide(&state, &id(B)), Phase::NotSealed);
    }

    #[test]
    fn adopted_stays_adopted() {
        let state = sealed(Some(adopted(None)));
        assert_eq!(Phase::decide(&state, &id(A)), Phase::Adopted);
        assert_eq!(Phase::decide(&state, &Identity::default()), Phase::Adopted, "source gone");
        let swapped = id("aaaaaaaa-0000-0040-8000-000000000001");
        assert_eq!(Phase::decide(&state, &swapped), Phase::Adopted, "firmware update");
        let error = unreadable().unwrap_err();
        let state = State { seal: Seal::Unreadable(error), record: Some(adopted(None)) };
        assert_eq!(Phase::decide(&state, &id(A)), Phase::Adopted, "manifest broken");
    }

    #[test]
    fn another_identity_waits_for_an_offer_and_finds_back() {
        let changed = |new| Phase::Changed { from: id(A), new };
        assert_eq!(Phase::decide(&sealed(Some(adopted(None))), &id(B)), changed(true));
        assert_eq!(Phase::decide(&sealed(Some(adopted(Some(B)))), &id(B)), changed(false));
        assert_eq!(Phase::decide(&sealed(Some(adopted(Some(B)))), &id(C)), changed(true));
        assert_eq!(Phase::decide(&sealed(Some(adopted(Some(B)))), &id(A)), Phase::Returned);
        let gone = Identity::default();
        assert_eq!(Phase::decide(&sealed(Some(adopted(Some(B)))), &gone), changed(false));
    }

    #[test]
    fn a_first_boot_removes_what_was_sealed_and_a_copy_of_it_the_rest() {
        assert_eq!(Phase::decide(&sealed(None), &id(A)), Phase::Strip { removal: Removal::Sealed });
        let kept = BTreeSet::from([KeyHash([1; 32])]);
        let stripped =
            Record::Stripped { identity: id(A), kept: kept.clone(), authorized: BTreeSet::new() };
        assert_eq!(Phase::decide(&sealed(Some(stripped.clone())), &id(A)), Phase::Waiting);
        assert_eq!(
            Phase::decide(&sealed(Some(stripped)), &id(B)),
            Phase::Strip { removal: Removal::AllBut(kept) }
        );
    }
}
