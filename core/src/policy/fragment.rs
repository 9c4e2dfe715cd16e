//! One policy file, or the options of one command line.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::catalogue::{Pattern, Rule, Severity};
use crate::content::mark;
use crate::manifest::{InjectedPassword, SealedKeys};
use crate::policy::Limit;
use crate::suggest::nearest;
use crate::{Error, Result};

/// One policy file; every key is optional and unknown keys are errors.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fragment {
    /// Accounts whose password and public keys stay.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keep_users: Vec<String>,
    /// Accounts that are removed with their homes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remove_users: Vec<String>,
    /// Rules by id: `on`, `off` or `report`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rules: BTreeMap<String, Switch>,
    /// What stays although a rule matches.
    #[serde(default, skip_serializing_if = "Allow::is_empty")]
    pub allow: Allow,
    /// More rules, in the grammar of the catalogue.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extra_rules: Vec<Rule>,
    /// What is done about secrets that only the content scan found; `report` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<ContentMode>,
    /// Makes the fingerprints of secrets the same in every run, so that `allow.keys` can name one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint_key: Option<mark::Key>,
    /// What `/etc/machine-id` becomes; `empty` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine_id: Option<MachineId>,
    /// Install disinherit-firstboot and seal the image; true by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firstboot: Option<bool>,
    /// Whether a sealed key counts when this instance's metadata declares it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed_keys: Option<SealedKeys>,
    /// Login sources beyond key files that the image means to keep, and `kept`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<String>,
    /// What a password set by the platform may do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub injected_password: Option<InjectedPassword>,
    /// How the disk below the files is treated; `auto` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erase: Option<EraseMode>,
    /// How far the raw disk is searched afterwards; `full` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<ProofMode>,
    /// How long that search may take, for example `10m`; no limit by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof_limit: Option<Limit>,
    /// Findings that fail the run: this severity and above; `high` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fail_on: Option<Severity>,
    /// Every finding and every residual risk fails the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
}

/// What stays although a rule matches.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Allow {
    /// Paths, in the grammar of the catalogue.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<Pattern>,
    /// Public keys by fingerprint, `SHA256:...` as ssh-keygen(1) prints it; secrets that the content
    /// scan finds by theirs, `HMAC:...` as a report under the same `fingerprint_key` has it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
    /// Accounts that the image is meant to have; what they can log in with goes all the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<String>,
}

impl Allow {
    fn is_empty(&self) -> bool {
        self.paths.is_empty() && self.keys.is_empty() && self.users.is_empty()
    }
}

/// A rule, switched by policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Switch {
    /// The rule acts, also where it only reports by default.
    On,
    /// The rule is not looked at.
    Off,
    /// The rule reports and changes nothing.
    Report,
}

/// What `/etc/machine-id` becomes, see machine-id(5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MachineId {
    /// An empty file: a new ID at the next boot, presets are not applied again.
    #[default]
    Empty,
    /// `uninitialized`: the next boot counts as a first boot and applies presets, which enables
    /// services again that the image's author disabled.
    Uninitialized,
}

/// What is done about secrets that only the content scan found, that is, that no rule for their
/// place knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ContentMode {
    /// What is surely a secret goes from homes and from temporary, backup and log places; everything
    /// else is a finding.
    #[default]
    Report,
    /// Everything goes, from wherever it lies.
    Remove,
}

/// How the disk below the files is treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EraseMode {
    /// The best that this file system and this place allow.
    #[default]
    Auto,
    /// Discard free blocks.
    Trim,
    /// Overwrite free blocks that are not zero.
    Fill,
    /// Only the blocks of the files that go.
    Files,
    /// Nothing is overwritten, only unlinked.
    Off,
}

/// How far the raw disk is searched afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProofMode {
    /// Every block device below the root.
    #[default]
    Full,
    /// Where the files stood that change or go, their new places, journals and swap; all of a
    /// device whose file system does not tell where blocks lie.
    Touched,
    /// Not at all; the report says so.
    Off,
}

impl Fragment {
    /// Reads one policy file; `name` is used in messages.
    ///
    /// # Errors
    /// [`crate::Kind::Usage`] with line and column for a syntax error or an unknown key.
    pub fn parse(name: &str, text: &str) -> Result<Self> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        serde_yaml::from_str(text).map_err(|e| {
            let mut text = e.to_string();
            let remedy = meant(&text);
            if !text.contains(" at line ") {
                // The decoder leaves out the very first place.
                text.push_str(" at line 1 column 1");
            }
            Error::usage("read the policy", name).because(text).remedy(remedy)
        })
    }

    /// Puts `later` on top of this: single values win, lists add up.
    #[must_use]
    pub fn merge(mut self, later: Self) -> Self {
        self.keep_users.extend(later.keep_users);
        self.remove_users.extend(later.remove_users);
        self.rules.extend(later.rules);
        self.allow.paths.extend(later.allow.paths);
        self.allow.keys.extend(later.allow.keys);
        self.allow.users.extend(later.allow.users);
        self.extra_rules.extend(later.extra_rules);
        self.evidence.extend(later.evidence);
        Self {
            content: later.content.or(self.content),
            fingerprint_key: later.fingerprint_key.or(self.fingerprint_key),
            machine_id: later.machine_id.or(self.machine_id),
            firstboot: later.firstboot.or(self.firstboot),
            sealed_keys: later.sealed_keys.or(self.sealed_keys),
            injected_password: later.injected_password.or(self.injected_password),
            erase: later.erase.or(self.erase),
            proof: later.proof.or(self.proof),
            proof_limit: later.proof_limit.or(self.proof_limit),
            fail_on: later.fail_on.or(self.fail_on),
            strict: later.strict.or(self.strict),
            ..self
        }
    }
}

/// What to do about an error of the decoder, which names in backquotes what it found and then what
/// it knows.
fn meant(error: &str) -> String {
    let mut words = error.split('`').skip(1).step_by(2);
    let near = match words.next() {
        Some(found) if error.contains("unknown ") => nearest(found, words),
        _ => None,
    };
    near.map_or_else(
        || "see docs/policy.md for the keys that a policy may have".to_owned(),
        |word| format!("did you mean `{word}`?"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_pen_is_answered() {
        for (policy, word, place) in [
            ("keep_user: [ann]", "keep_users", "line 1 column 1"),
            ("allow:\n  path: [/x]", "paths", "line 2 column 3"),
            ("erase: tirm", "trim", "line 1 column 8"),
            ("rules: {his-shell: onn}", "on", "line 1 column 20"),
            ("extra_rules:\n- {id: a, wehre: [/x]}", "where", "line 2 column 11"),
        ] {
            let text = Fragment::parse("p", policy).unwrap_err().report();
            assert!(text.contains(&format!("did you mean `{word}`?")), "{policy}: {text}");
            assert!(text.contains(place), "{policy}: {text}");
        }
        let text = Fragment::parse("p", "shoe_size: 43").unwrap_err().report();
        assert!(text.contains("docs/policy.md") && !text.contains("did you mean"), "{text}");
    }

    #[test]
    fn unknown_keys_are_errors_with_a_place() {
        let error = Fragment::parse("p.yaml", "strict: true\nkeep_user: [ann]\n").unwrap_err();
        assert_eq!(error.kind(), crate::Kind::Usage);
        let text = error.report();
        assert!(text.contains("keep_user") && text.contains("line 2 column 1"), "{text}");
    }

    #[test]
    fn later_fragments_win_and_lists_add_up() {
        let a = Fragment::parse("a", "keep_users: [ann]\nfail_on: low\nrules: {his-shell: off}");
        let b =
            Fragment::parse("b", "keep_users: [bob]\nfail_on: critical\nrules: {his-shell: on}");
        let merged = a.unwrap().merge(b.unwrap());
        assert_eq!(merged.keep_users, ["ann", "bob"]);
        assert_eq!(merged.fail_on, Some(Severity::Critical));
        assert_eq!(merged.rules["his-shell"], Switch::On);
    }

    #[test]
    fn an_empty_file_is_an_empty_policy() {
        assert!(Fragment::parse("p", "\n").unwrap().keep_users.is_empty());
    }
}
