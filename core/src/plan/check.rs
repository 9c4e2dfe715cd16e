//! Checks of a whole plan before the first write: would it lock the operator out, would it leave
//! an image that nobody can administer.

use crate::catalogue::Severity;
use crate::facts::Facts;
use crate::policy::Settings;
use crate::report::Finding;
use crate::{Error, ImagePath, Result};

/// Refuses a plan after which no operator could come in.
///
/// # Errors
/// [`crate::Kind::Refused`], naming the line that policy needs.
pub(super) fn refuse_lock_out(facts: &Facts, settings: &Settings) -> Result<()> {
    let services = &facts.services;
    if !services.ssh_enabled && !settings.evidence.contains("no-ssh") {
        return if settings.firstboot {
            Err(Error::refused("seal", "an image in which no SSH server is enabled").remedy(
                "enable ssh.service, or write `evidence: [no-ssh]` or `firstboot: false` into the policy",
            ))
        } else {
            Ok(())
        };
    }
    if settings.firstboot {
        let unnamed: Vec<&String> =
            services.other_logins.iter().filter(|login| !named(login, settings)).collect();
        if let Some(login) = unnamed.first() {
            let word = login.split_whitespace().next().unwrap_or(login);
            return Err(Error::refused("seal an image whose sshd also lets in by", login).remedy(
                format!("write `evidence: [{word}]` into the policy when that is meant, or take it out of sshd's configuration"),
            ));
        }
    }
    let removes_host_keys = facts.hits.iter().any(|h| {
        settings.catalogue.get(&h.rule).is_some_and(|r| {
            r.find == crate::catalogue::Finder::HostKeys && settings.acts(r) == Some(true)
        })
    });
    if removes_host_keys && !settings.firstboot && services.host_key_makers.is_empty() {
        return Err(Error::refused("remove the host keys of", "an image that makes no new ones").remedy(
            "leave `firstboot` on, install cloud-init, or switch the rule off: `rules: {host-ssh-keys: off}`",
        ));
    }
    refuse_lost_host_keys(facts, settings, removes_host_keys)
}

/// cloud-init and sshd-keygen make keys under sshd's usual names only; sshd does not start without
/// one that its configuration names.
fn refuse_lost_host_keys(facts: &Facts, settings: &Settings, removes: bool) -> Result<()> {
    let named = &facts.services.host_keys;
    let usual = |p: &&ImagePath| p.as_bytes().starts_with(b"/etc/ssh/ssh_host_");
    match named.iter().find(|p| !usual(p)) {
        Some(own) if removes && !settings.firstboot && !named.iter().any(|p| usual(&p)) => {
            Err(Error::refused("remove the host key", own).remedy(
                "nothing makes a new one in that place: leave `firstboot` on, take HostKey out of sshd's configuration, or switch the rule off: `rules: {host-ssh-keys: off}`",
            ))
        }
        _ => Ok(()),
    }
}

fn named(login: &str, settings: &Settings) -> bool {
    let keyword = login.split_whitespace().next().unwrap_or_default();
    settings.evidence.iter().any(|e| e.eq_ignore_ascii_case(keyword))
}

/// Findings when the image, once launched, lets nobody in or nobody become root.
pub(super) fn way_in(facts: &Facts, settings: &Settings) -> Vec<Finding> {
    let services = &facts.services;
    let expected = settings.evidence.contains("late-key") || !settings.keep_users.is_empty();
    if !services.ssh_enabled || expected {
        return Vec::new();
    }
    if !services.cloud_init {
        return vec![first_boot(
            "way-in",
            "nothing in this image puts a key of the platform into an account",
            "sshd stays closed on every instance until somebody writes a key to its disk",
            "install cloud-init or another agent that injects keys, or write `evidence: [late-key]` into the policy",
        )];
    }
    if !services.sudo && !services.root_by_key {
        return vec![first_boot(
            "way-to-root",
            "no account that a key is injected for can become root",
            "root has no password afterwards, and there is neither sudo nor a login as root",
            "install sudo, or set `disable_root: false` in /etc/cloud/cloud.cfg.d",
        )];
    }
    Vec::new()
}

fn first_boot(rule: &str, what: &str, why: &str, remedy: &str) -> Finding {
    Finding {
        rule: rule.into(),
        category: "first-boot".into(),
        severity: Severity::High,
        path: ImagePath::root(),
        subject: None,
        what: what.into(),
        why: why.into(),
        remedy: remedy.into(),
    }
}
