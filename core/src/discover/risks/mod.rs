//! Settings of sshd that are risky as they are in effect: for each account, with `Match` blocks and
//! defaults, not as some line has them.
//!
//! Source: sshd_config(5); `core/tests/sshd_oracle` asks the real program the same questions.

mod checks;

use std::collections::BTreeMap;

use super::Scene;
use crate::catalogue::{Rule, Severity};
use crate::path::escape;
use crate::sshd::{Args, Config, Setting, Source, Who, pattern_matches};
use crate::{ImagePath, Result};

pub use checks::Topic;
use checks::{CHECKS, Check};

/// At most this many accounts are named in one finding.
const NAMED: usize = 5;

/// A risky setting and whom it concerns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Risk {
    /// What it is about.
    pub topic: Topic,
    /// The keyword as sshd_config(5) writes it.
    pub keyword: &'static str,
    /// The value in effect, arguments joined by one blank.
    pub value: Vec<u8>,
    /// How bad it is.
    pub severity: Severity,
    /// The accounts that it is in effect for, in the order they were asked about.
    pub users: Vec<Vec<u8>>,
    /// False where it depends on the connection: a `Match` block on an address, for instance.
    pub always: bool,
    /// The line that sets it; `None` for sshd's default.
    pub source: Option<Source>,
}

/// Everything risky that is in effect for one of `people`, by keyword and value. Accounts that sshd
/// lets in from nowhere (`AllowUsers`, `DenyGroups` and the like) are not concerned.
pub fn risks(config: &Config, people: &[Who]) -> Vec<Risk> {
    let mut found: BTreeMap<(usize, Vec<u8>), Risk> = BTreeMap::new();
    let people: Vec<&Who> = people.iter().filter(|who| may_log_in(config, who)).collect();
    let on = |check: &Check| check.only_with.is_none_or(|keyword| is_on(config, keyword));
    for (index, check) in CHECKS.iter().enumerate().filter(|(_, check)| on(check)) {
        for who in &people {
            if check.root_only && who.user.uid != 0 {
                continue;
            }
            let candidates = config.candidates(check.keyword, who);
            let risky = |args: &Option<Args>| (check.risky)(args.as_deref());
            let always = candidates.iter().all(risky);
            let Some(args) = candidates.iter().find(|args| risky(args)) else { continue };
            let value = args.as_ref().map_or_else(|| check.default.into(), |args| args.join(&b' '));
            let risk = found.entry((index, value)).or_insert_with_key(|(_, value)| Risk {
                topic: check.topic,
                keyword: check.keyword,
                value: value.clone(),
                severity: check.severity,
                users: Vec::new(),
                always: true,
                source: args.as_ref().and_then(|args| source(config, check, args)),
            });
            risk.users.push(who.user.name.clone());
            risk.always &= always;
        }
    }
    found.into_values().collect()
}

fn is_on(config: &Config, keyword: &str) -> bool {
    config.possible(keyword).first().is_some_and(|value| value.eq_ignore_ascii_case(b"yes"))
}

fn source(config: &Config, check: &Check, args: &Args) -> Option<Source> {
    let sets = |s: &&Setting| s.keyword.eq_ignore_ascii_case(check.keyword) && s.args == *args;
    config.settings().iter().find(sets).map(|setting| setting.source.clone())
}

/// False where sshd refuses the account whatever the connection is. A pattern with a host may match
/// from somewhere.
fn may_log_in(config: &Config, who: &Who) -> bool {
    let user = |pattern: &[u8]| {
        let name = pattern.split(|b| *b == b'@').next().unwrap_or_default();
        pattern_matches(&who.user.name, name)
    };
    let group = |pattern: &[u8]| who.user.groups.iter().any(|g| pattern_matches(g, pattern));
    let anywhere = |pattern: &[u8]| !pattern.contains(&b'@');
    let listed = |keyword: &str, judge: &dyn Fn(&[u8]) -> bool, missing: bool| {
        let lists = config.candidates(keyword, who);
        lists.iter().all(|list| match list {
            Some(args) => args.iter().any(|pattern| judge(pattern)) != missing,
            None => false,
        })
    };
    let denied = listed("denyusers", &|p| anywhere(p) && user(p), false)
        || listed("denygroups", &group, false)
        || listed("allowusers", &user, true)
        || listed("allowgroups", &group, true);
    !denied
}

/// The rules of this family: notes, never changes.
pub(super) fn look(scene: &mut Scene<'_>, rule: &Rule, topic: Topic) -> Result<()> {
    if !scene.facts.services.ssh_enabled {
        return Ok(());
    }
    let shell = |account: &&crate::accounts::Account| account.has_login_shell();
    let people: Vec<Who> =
        scene.accounts.iter().filter(shell).map(|a| Who::new(scene.accounts.user(a))).collect();
    for risk in risks(scene.sshd, &people).into_iter().filter(|risk| risk.topic == topic) {
        let path = risk.source.as_ref().map_or_else(
            || ImagePath::literal("/etc/ssh/sshd_config"),
            |source| source.file.clone(),
        );
        scene.facts.notes.push(crate::facts::Note {
            rule: rule.id.clone(),
            path,
            subject: Some(words(&risk, people.len())),
            severity: Some(risk.severity),
        });
    }
    Ok(())
}

/// `PermitRootLogin yes, line 3, for root`.
fn words(risk: &Risk, asked: usize) -> String {
    let line = risk
        .source
        .as_ref()
        .map_or_else(|| "sshd's default".to_owned(), |source| format!("line {}", source.line));
    let mut text = format!("{} {}, {line}", risk.keyword, escape(&risk.value));
    if risk.users.len() < asked || asked == 1 {
        let names: Vec<_> = risk.users.iter().take(NAMED).map(|name| escape(name)).collect();
        text.push_str(&format!(", for {}", names.join(", ")));
        if risk.users.len() > NAMED {
            text.push_str(&format!(" and {} more", risk.users.len() - NAMED));
        }
    }
    if !risk.always {
        text.push_str(", on some connections");
    }
    text
}

#[cfg(test)]
mod tests;
