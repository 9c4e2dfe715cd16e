//! The validated policy; the only one that planning sees.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::catalogue::{Catalogue, Default as RuleDefault, Rule, Severity};
use crate::content::mark;
use crate::manifest::{InjectedPassword, SealedKeys};
use crate::policy::{Allow, ContentMode, EraseMode, Fragment, MachineId, ProofMode, Switch};
use crate::suggest::nearest;
use crate::text::public_key;
use crate::{Error, Result};

/// The validated policy together with the catalogue it switches.
#[derive(Debug, Clone)]
pub struct Settings {
    /// All rules, those of the policy included.
    pub catalogue: Catalogue,
    /// Accounts whose password and public keys stay.
    pub keep_users: BTreeSet<Vec<u8>>,
    /// Accounts that are removed with their homes.
    pub remove_users: BTreeSet<Vec<u8>>,
    /// What stays although a rule matches.
    pub allow: Allow,
    /// What is done about secrets that only the content scan found.
    pub content: ContentMode,
    /// What the fingerprints of secrets are made with.
    pub fingerprint_key: mark::Key,
    /// What `/etc/machine-id` becomes.
    pub machine_id: MachineId,
    /// Install disinherit-firstboot and seal the image.
    pub firstboot: bool,
    /// Whether a sealed key counts when this instance's metadata declares it.
    pub sealed_keys: SealedKeys,
    /// Login sources beyond key files that the image means to keep.
    pub evidence: BTreeSet<String>,
    /// What a password set by the platform may do.
    pub injected_password: InjectedPassword,
    /// How the disk below the files is treated.
    pub erase: EraseMode,
    /// How far the raw disk is searched afterwards.
    pub proof: ProofMode,
    /// How long that search may take.
    pub proof_limit: Option<Duration>,
    /// Findings of this severity and above fail the run.
    pub fail_on: Severity,
    /// Residual risks fail the run too.
    pub strict: bool,
    switches: BTreeMap<String, Switch>,
}

impl Settings {
    /// Validates a merged policy.
    ///
    /// # Errors
    /// [`crate::Kind::Usage`] for a rule that does not exist, a user that is kept and removed,
    /// a fingerprint that is none.
    pub fn new(fragment: Fragment) -> Result<Self> {
        let mut catalogue = Catalogue::builtin()?;
        for mut rule in fragment.extra_rules {
            rule.category = "policy".into();
            catalogue.add(rule)?;
        }
        for id in fragment.rules.keys() {
            if catalogue.get(id).is_none() {
                let known = catalogue.rules().iter().map(|rule| rule.id.as_str());
                let remedy = nearest(id, known).map_or_else(
                    || "list the rules with: packer-plugin-disinherit rules".to_owned(),
                    |near| {
                        format!("did you mean `{near}`? `packer-plugin-disinherit rules` lists all")
                    },
                );
                return Err(Error::usage("switch the rule", id).remedy(remedy));
            }
        }
        for key in &fragment.allow.keys {
            if !public_key::is_fingerprint(key) && !mark::is_mark(key) {
                return Err(Error::usage("allow the key", key)
                    .remedy("write its fingerprint as ssh-keygen -l prints it, SHA256:..., or that of a secret as a report has it, HMAC:..."));
            }
        }
        let names = |list: Vec<String>| list.into_iter().map(String::into_bytes).collect();
        let keep_users: BTreeSet<Vec<u8>> = names(fragment.keep_users);
        let remove_users: BTreeSet<Vec<u8>> = names(fragment.remove_users);
        if let Some(both) = keep_users.intersection(&remove_users).next() {
            return Err(Error::usage("keep and remove the user", crate::path::escape(both))
                .remedy("name it in keep_users or in remove_users"));
        }
        let fingerprint_key = fragment.fingerprint_key.map_or_else(mark::Key::random, Ok)?;
        let strict = fragment.strict.unwrap_or(false);
        Ok(Self {
            catalogue,
            keep_users,
            remove_users,
            allow: fragment.allow,
            content: fragment.content.unwrap_or_default(),
            fingerprint_key,
            machine_id: fragment.machine_id.unwrap_or_default(),
            firstboot: fragment.firstboot.unwrap_or(true),
            sealed_keys: fragment.sealed_keys.unwrap_or_default(),
            evidence: fragment.evidence.into_iter().collect(),
            injected_password: fragment.injected_password.unwrap_or_default(),
            erase: fragment.erase.unwrap_or_default(),
            proof: fragment.proof.unwrap_or_default(),
            proof_limit: fragment.proof_limit.map(|limit| limit.0),
            fail_on: if strict {
                Severity::Low
            } else {
                fragment.fail_on.unwrap_or(Severity::High)
            },
            strict,
            switches: fragment.rules,
        })
    }

    /// How policy switches a rule; `None` where it says nothing.
    pub fn switch(&self, rule: &str) -> Option<Switch> {
        self.switches.get(rule).copied()
    }

    /// What policy makes of a rule: `None` when it is not looked at, else whether it acts.
    pub fn acts(&self, rule: &Rule) -> Option<bool> {
        match self.switches.get(&rule.id) {
            Some(Switch::Off) => None,
            Some(Switch::Report) => Some(false),
            Some(Switch::On) => Some(rule.action != crate::catalogue::Action::Report),
            None => Some(self.wanted(rule) && rule.action != crate::catalogue::Action::Report),
        }
    }

    /// A policy that removes secrets wherever they lie means those of optional rules too.
    fn wanted(&self, rule: &Rule) -> bool {
        match rule.default {
            RuleDefault::On => true,
            RuleDefault::Optional => rule.credential && self.content == ContentMode::Remove,
            RuleDefault::Audit => false,
        }
    }

    /// The ids of the rules that act.
    pub fn acting_rules(&self) -> BTreeSet<String> {
        self.catalogue
            .rules()
            .iter()
            .filter(|r| self.acts(r) == Some(true))
            .map(|r| r.id.clone())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(yaml: &str) -> Result<Settings> {
        Settings::new(Fragment::parse("test", yaml)?)
    }

    #[test]
    fn a_rule_that_does_not_exist_is_named() {
        let text = settings("rules: {his-bsh: off}").unwrap_err().report();
        assert!(text.contains("his-bsh") && text.contains("rules"), "{text}");
        let text = settings("rules: {his-shel: off}").unwrap_err().report();
        assert!(text.contains("did you mean `his-shell`?"), "{text}");
    }

    #[test]
    fn a_user_is_kept_or_removed() {
        assert!(settings("keep_users: [a]\nremove_users: [a]").is_err());
    }

    #[test]
    fn strict_lowers_the_bar_to_every_finding() {
        assert_eq!(settings("strict: true\nfail_on: high").unwrap().fail_on, Severity::Low);
        assert_eq!(settings("").unwrap().fail_on, Severity::High);
    }

    #[test]
    fn switches_decide_what_acts() {
        let s = settings("rules: {his-shell: report, his-repl: off}").unwrap();
        let acts = |id: &str| s.acts(s.catalogue.get(id).unwrap());
        assert_eq!(acts("his-shell"), Some(false));
        assert_eq!(acts("his-repl"), None);
        assert_eq!(acts("his-database"), Some(true));
        assert_eq!(acts("login-other"), Some(false));
    }

    #[test]
    fn removing_by_content_means_the_credentials_of_optional_rules_too() {
        let acts = |yaml: &str, id: &str| {
            let s = settings(yaml).unwrap();
            s.acts(s.catalogue.get(id).unwrap())
        };
        assert_eq!(acts("", "net-wireguard"), Some(false));
        assert_eq!(acts("content: remove", "net-wireguard"), Some(true));
        assert_eq!(
            acts("content: remove\nrules: {net-wireguard: report}", "net-wireguard"),
            Some(false)
        );
        assert_eq!(
            acts("content: remove", "acc-homed-user"),
            Some(false),
            "a home is no credential"
        );
        assert_eq!(acts("", "svc-luks"), Some(false));
        assert_eq!(acts("content: remove", "svc-luks"), Some(true));
    }

    #[test]
    fn extra_rules_speak_the_grammar_of_the_catalogue() {
        let s = settings(
            "extra_rules:\n- {id: our-token, what: token, where: [/opt/app/token], action: delete, \
             severity: high, why: opens the app, source: our wiki}",
        )
        .unwrap();
        assert!(s.acting_rules().contains("our-token"));
    }
}
