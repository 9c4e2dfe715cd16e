//! Whether sshd would let an account in with a key: shell, expiry, sshd's own rules.

use disinherit_core::accounts::Account;
use disinherit_core::path::escape;
use disinherit_core::root::{FileKind, Root};
use disinherit_core::sshd::{Config, Who, pattern_matches};
use disinherit_core::{ImagePath, Result};

use super::clock;

/// The files about accounts that are asked here.
#[derive(Debug)]
pub(super) struct Rules<'a> {
    pub(super) root: &'a Root,
    pub(super) config: &'a Config,
    pub(super) shadow: &'a [u8],
}

impl Rules<'_> {
    /// Why nobody could log in as this account with a key; `None` when nothing speaks against it.
    pub(super) fn against(&self, account: &Account, who: &Who) -> Result<Option<String>> {
        if let Some(why) = self.shell(&account.shell)? {
            return Ok(Some(why));
        }
        if let Some(why) = self.aging(&account.name, self.says(who, "usepam", "yes")) {
            return Ok(Some(why.to_owned()));
        }
        Ok(self.sshd(account, who))
    }

    fn shell(&self, shell: &[u8]) -> Result<Option<String>> {
        let shell = if shell.is_empty() { b"/bin/sh" } else { shell };
        let name = shell.rsplit(|b| *b == b'/').next().unwrap_or_default();
        if matches!(name, b"nologin" | b"false" | b"true" | b"sync" | b"halt" | b"shutdown") {
            return Ok(Some(format!("its shell {} lets nobody in", escape(shell))));
        }
        let Some(path) = ImagePath::new(shell) else {
            return Ok(Some("its shell is no path".into()));
        };
        let meta = self.root.stat(&path)?;
        let runs = meta.is_some_and(|m| m.kind == FileKind::Regular && m.mode & 0o111 != 0);
        Ok((!runs).then(|| format!("its shell {path} cannot be run")))
    }

    /// shadow(5): expiry closes the account; PAM asks for a new password, for which there is no
    /// terminal; and without PAM sshd takes a leading `!` for a locked account.
    fn aging(&self, name: &[u8], pam: bool) -> Option<&'static str> {
        let row = self.shadow.split(|b| *b == b'\n').find_map(|line| {
            let fields: Vec<&[u8]> = line.split(|b| *b == b':').collect();
            (fields.first() == Some(&name)).then_some(fields)
        })?;
        let day = |index: usize| {
            let text = std::str::from_utf8(row.get(index)?).ok()?;
            text.parse::<i64>().ok()
        };
        let today = clock::today();
        if day(7).is_some_and(|expires| expires >= 0 && expires <= today) {
            return Some("the account has expired");
        }
        if !pam && row.get(1).is_some_and(|field| field.starts_with(b"!")) {
            return Some("it is locked with `!`, which sshd without PAM refuses");
        }
        if !pam {
            return None;
        }
        match (day(2), day(4)) {
            (Some(0), _) => Some("a new password is demanded at login"),
            (Some(changed), Some(max)) if max >= 0 && changed + max < today => {
                Some("its password is too old and a new one is demanded at login")
            }
            _ => None,
        }
    }

    fn sshd(&self, account: &Account, who: &Who) -> Option<String> {
        if self.says(who, "pubkeyauthentication", "no") {
            return Some("sshd's PubkeyAuthentication is off".to_owned());
        }
        let root_login = self.word(who, "permitrootlogin");
        if account.uid == 0 {
            let word = root_login.as_deref().unwrap_or(b"prohibit-password");
            if word.eq_ignore_ascii_case(b"no")
                || word.eq_ignore_ascii_case(b"forced-commands-only")
            {
                return Some(format!("sshd's PermitRootLogin is {}", escape(word)));
            }
        }
        let user = |pattern: &[u8]| user_matches(&account.name, pattern);
        let group = |pattern: &[u8]| who.user.groups.iter().any(|g| pattern_matches(g, pattern));
        let listed = |keyword: &str, judge: &dyn Fn(&[u8]) -> bool| {
            self.config.effective(keyword, who).map(|patterns| {
                let hit = |p: &Vec<u8>| p.strip_prefix(b"!").map_or_else(|| judge(p), |_| false);
                let out = |p: &Vec<u8>| p.strip_prefix(b"!").is_some_and(judge);
                patterns.iter().any(hit) && !patterns.iter().any(out)
            })
        };
        // The order of sshd's allowed_user().
        if listed("denyusers", &user) == Some(true) {
            return Some("sshd's DenyUsers names it".to_owned());
        }
        if listed("allowusers", &user) == Some(false) {
            return Some("sshd's AllowUsers does not name it".to_owned());
        }
        if listed("denygroups", &group) == Some(true) {
            return Some("sshd's DenyGroups names a group of it".to_owned());
        }
        if listed("allowgroups", &group) == Some(false) {
            return Some("sshd's AllowGroups names no group of it".to_owned());
        }
        None
    }

    fn word(&self, who: &Who, keyword: &str) -> Option<Vec<u8>> {
        self.config.effective(keyword, who)?.into_iter().next()
    }

    pub(super) fn says(&self, who: &Who, keyword: &str, value: &str) -> bool {
        self.word(who, keyword).is_some_and(|word| word.eq_ignore_ascii_case(value.as_bytes()))
    }
}

/// `USER` or `USER@HOST`. From which host a client comes is not known here: a rule that asks for a
/// host allows and denies as if the client came from there.
fn user_matches(name: &[u8], pattern: &[u8]) -> bool {
    let user = pattern.split(|b| *b == b'@').next().unwrap_or_default();
    pattern_matches(name, user)
}
