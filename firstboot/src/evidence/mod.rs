//! Which keys could open this instance, and why each counts or does not.

mod account;
pub mod agents;
mod clock;
pub mod declared;
mod strict_modes;

use std::collections::BTreeSet;
use std::fmt;

use disinherit_core::accounts::Accounts;
use disinherit_core::manifest::{KeyHash, Manifest, SealedKeys};
use disinherit_core::path::escape;
use disinherit_core::root::Root;
use disinherit_core::sshd::{Config, Who};
use disinherit_core::text::authorized_keys::{self, KeyLine, Line};
use disinherit_core::text::public_key;
use disinherit_core::{ImagePath, Result, known_keys};
use serde::Serialize;

use crate::edit;
use account::Rules;
use declared::Declared;

/// One key in one login file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Judged {
    /// The account it would open, escaped.
    pub account: String,
    /// The file.
    pub path: ImagePath,
    /// 1-based line number.
    pub line: usize,
    /// The key.
    pub key: KeyHash,
    /// As ssh-keygen(1) prints it.
    pub fingerprint: String,
    /// The platform declares it for this instance.
    pub declared: bool,
    /// What was decided.
    pub verdict: Verdict,
}

/// Whether a key is evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "is", content = "why")]
pub enum Verdict {
    /// It opens the gate.
    Counts,
    /// It opens the gate although the image carried it: the platform declares it.
    CountsThoughSealed,
    /// It does not, for this reason.
    Refused(String),
}

/// What has to hold for a key beside being usable.
#[derive(Debug)]
pub struct Question<'a> {
    /// What the image carried.
    pub manifest: &'a Manifest,
    /// What the platform declares.
    pub declared: &'a Declared,
    /// What `authorize` declared.
    pub authorized: &'a BTreeSet<KeyHash>,
    /// Only declared keys count: the disk belonged to another instance.
    pub declared_only: bool,
}

/// Judges every key of every login file.
///
/// # Errors
/// When accounts, sshd's configuration or a login file cannot be read.
pub fn judge(root: &Root, question: &Question<'_>) -> Result<Vec<Judged>> {
    let (config, _problems) = Config::load(root)?;
    let shadow = root.read(&ImagePath::literal("/etc/shadow"), edit::LIMIT)?.unwrap_or_default();
    let rules = Rules { root, config: &config, shadow: &shadow };
    let accounts = Accounts::load(root)?;
    let mut judged = Vec::new();
    for account in accounts.iter() {
        let who = Who::new(accounts.user(account));
        for path in config.effective_login_files(&who) {
            let Some(text) = root.read(&path, edit::LIMIT)? else { continue };
            let mut general = rules.against(account, &who)?;
            if general.is_none() && !rules.says(&who, "strictmodes", "no") {
                general = strict_modes::against(root, &path, &account.home, account.uid)?;
            }
            for line in authorized_keys::lines(&text) {
                let Line::Key(line) = line else { continue };
                judged.push(question.judge(&account.name, &path, &line, general.as_deref()));
            }
        }
    }
    Ok(judged)
}

/// The keys that open the gate.
pub fn counting(judged: &[Judged]) -> BTreeSet<KeyHash> {
    let mut keys = BTreeSet::new();
    keys.extend(judged.iter().filter(|j| !matches!(j.verdict, Verdict::Refused(_))).map(|j| j.key));
    keys
}

impl Question<'_> {
    fn judge(
        &self,
        account: &[u8],
        path: &ImagePath,
        line: &KeyLine<'_>,
        account_fault: Option<&str>,
    ) -> Judged {
        let key = KeyHash(public_key::digest(&line.blob));
        let declared = self.declares(&key);
        let verdict = match key_fault(&key, line) {
            Some(why) => Verdict::Refused(why),
            None => match (account_fault, self.origin(&key, declared)) {
                (Some(why), _) => Verdict::Refused(why.to_owned()),
                (None, verdict) => verdict,
            },
        };
        Judged {
            account: escape(account).into_owned(),
            path: path.clone(),
            line: line.number,
            key,
            fingerprint: key.fingerprint(),
            declared,
            verdict,
        }
    }

    /// True when this key was declared for this instance.
    pub fn declares(&self, key: &KeyHash) -> bool {
        self.declared.keys.contains(key) || self.authorized.contains(key)
    }

    fn origin(&self, key: &KeyHash, declared: bool) -> Verdict {
        let refused = |why: &str| Verdict::Refused(why.to_owned());
        if self.manifest.kept_keys.contains(key) && !declared {
            let allowed = self.manifest.policy.evidence.contains("kept");
            return if allowed {
                Verdict::Counts
            } else {
                refused("kept in the image by policy: it may log in, but does not open the gate")
            };
        }
        if self.manifest.keys.contains(key) {
            return match (declared, self.manifest.policy.sealed_keys) {
                (true, SealedKeys::Metadata) => Verdict::CountsThoughSealed,
                (true, SealedKeys::Refuse) => {
                    refused("sealed in the image, and policy refuses those")
                }
                (false, _) => refused("sealed in the image, and not declared by the platform"),
            };
        }
        if self.declared_only && !declared {
            return refused("not declared by the platform for this identity");
        }
        Verdict::Counts
    }
}

/// What is wrong with a key or its line, whoever put it there.
pub fn key_fault(key: &KeyHash, line: &KeyLine<'_>) -> Option<String> {
    if let Some(place) = known_keys::published(key) {
        return Some(format!("its private half is published ({place})"));
    }
    if let Err(weakness) = public_key::check(&line.blob) {
        return Some(format!("anybody could use it: {weakness}"));
    }
    if line.has_option("cert-authority") || public_key::is_certificate(&line.blob) {
        return Some("a certificate authority is no key of a person".to_owned());
    }
    if line.has_option("command") {
        return Some("it is bound to a forced command".to_owned());
    }
    if !line.options_accepted() {
        return Some("sshd does not accept its options".to_owned());
    }
    let expiry = line.option_value("expiry-time")?;
    clock::has_passed(&expiry, clock::seconds()).then(|| "its expiry-time has passed".to_owned())
}

impl fmt::Display for Judged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}:{} {} ", self.account, self.path, self.line, self.fingerprint)?;
        match &self.verdict {
            Verdict::Counts => f.write_str("counts"),
            Verdict::CountsThoughSealed => {
                f.write_str("counts: sealed, but the platform declares it")
            }
            Verdict::Refused(why) => write!(f, "refused: {why}"),
        }
    }
}
