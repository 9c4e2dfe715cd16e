//! What the gate decided, for the console, the journal and `status --json`.

use std::fmt::Display;

use disinherit_core::root::{Links, Root};
use disinherit_core::{Error, ImagePath, Result, change};
use serde::Serialize;

use crate::evidence::{Judged, Verdict};
use crate::state;

/// The last decision of this boot, as JSON.
pub const PATH: &str = "/run/disinherit/decision.json";
/// agetty(8) shows it above the login prompt.
const ISSUE: &str = "/run/issue.d/disinherit.issue";
/// pam_motd(8) shows it to whoever still gets in: an agent's console, a kept login.
const MOTD: &str = "/run/motd.d/disinherit";

/// Why sshd may start or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// Open: the image was never sealed.
    NotSealed,
    /// Open: a key was accepted in an earlier boot.
    Adopted,
    /// Open: a key was accepted now.
    KeyAccepted,
    /// Closed: no login file holds a key.
    NoKey,
    /// Closed: there are keys, and none counts.
    NoKeyCounts,
    /// Closed: the disk belongs to an instance with another identity.
    IdentityChanged,
    /// Closed: inherited logins could not be removed, or the early unit has not run.
    NotStripped,
    /// Closed: a key counts, but sshd refuses its configuration.
    SshdRefuses,
}

/// A decision with its evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Decision {
    /// sshd may start.
    pub open: bool,
    /// Why.
    pub reason: Reason,
    /// This machine.
    pub identity: String,
    /// The machine that the disk belongs to, where that is another one.
    pub belongs_to: Option<String>,
    /// cloud-init's datasource and instance-id.
    pub datasource: Option<String>,
    /// The keys that were looked at.
    pub keys: Vec<Judged>,
    /// Anything else that a reader should know.
    pub notes: Vec<String>,
}

impl Reason {
    /// True when sshd may start.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::NotSealed | Self::Adopted | Self::KeyAccepted)
    }

    /// The code in messages and in JSON.
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotSealed => "not-sealed",
            Self::Adopted => "adopted",
            Self::KeyAccepted => "key-accepted",
            Self::NoKey => "no-key",
            Self::NoKeyCounts => "no-key-counts",
            Self::IdentityChanged => "identity-changed",
            Self::NotStripped => "not-stripped",
            Self::SshdRefuses => "sshd-refuses",
        }
    }

    const fn sentence(self) -> &'static str {
        match self {
            Self::NotSealed => "The image was never sealed; nothing was changed.",
            Self::Adopted => "This instance was adopted in an earlier boot.",
            Self::KeyAccepted => "A key of this instance's platform was accepted.",
            Self::NoKey => "The platform has injected no SSH key into this instance.",
            Self::NoKeyCounts => "There are SSH keys, but none that may open this instance.",
            Self::IdentityChanged => {
                "This disk belongs to an instance with another identity. Nothing was removed."
            }
            Self::NotStripped => "Logins of the image could not be removed.",
            Self::SshdRefuses => "A key was accepted, but sshd refuses to start.",
        }
    }

    const fn repair(self) -> &'static [&'static str] {
        match self {
            Self::NoKey | Self::NoKeyCounts => &[
                "put your public key into the instance's metadata or user-data, then reboot",
                AUTHORIZE,
            ],
            Self::IdentityChanged => &[
                "if this is a new instance: put a public key into its metadata, then reboot",
                "if it is the old one: give the machine its old identity (SMBIOS UUID) back",
                AUTHORIZE,
            ],
            Self::NotStripped => {
                &["read: journalctl -b -u disinherit-early.service, repair what it names, reboot"]
            }
            Self::SshdRefuses => &["repair what `sshd -t` names, then: systemctl start ssh"],
            Self::NotSealed | Self::Adopted | Self::KeyAccepted => &[],
        }
    }
}

const AUTHORIZE: &str =
    "or, from the platform's assistant, as root: disinherit-firstboot authorize USER FILE";

impl Decision {
    /// A decision without evidence.
    pub fn new(reason: Reason, identity: impl ToString) -> Self {
        Self {
            open: reason.is_open(),
            reason,
            identity: identity.to_string(),
            belongs_to: None,
            datasource: None,
            keys: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// The text for console and journal: one line when open, the whole story when closed.
    pub fn text(&self) -> String {
        let mut lines = vec![self.headline()];
        let mut tell = |what: &str, text: &dyn Display| lines.push(format!("  {what:<12} {text}"));
        if !self.open {
            tell("identity:", &self.identity);
        }
        if let Some(owner) = &self.belongs_to {
            tell("belongs to:", owner);
        }
        if !self.open {
            tell("datasource:", &self.datasource.as_deref().unwrap_or("none"));
        }
        for key in &self.keys {
            if !self.open {
                tell("key:", key);
            } else if key.verdict == Verdict::CountsThoughSealed {
                tell("warning:", key);
            }
        }
        for note in &self.notes {
            tell("note:", note);
        }
        for repair in self.reason.repair() {
            tell("repair:", repair);
        }
        lines.join("\n")
    }

    fn headline(&self) -> String {
        let (code, sentence) = (self.reason.code(), self.reason.sentence());
        if self.open {
            return format!("SSH may start [{code}]: {sentence}");
        }
        format!(
            "SSH IS CLOSED [{code}]\n{sentence} Nobody can log in here, not on this console either."
        )
    }

    /// Writes the decision for `status`, and the text that stands above the login prompt.
    ///
    /// # Errors
    /// When `/run` cannot be written.
    pub fn publish(&self, root: &Root) -> Result<()> {
        let json =
            serde_json::to_vec_pretty(self).map_err(|e| Error::failed("write", PATH).because(e))?;
        state::write_private(root, &ImagePath::literal(PATH), &json)?;
        let text = format!("\n{}\n\n", self.text());
        // A backslash begins an escape in issue(5).
        self.show(root, &ImagePath::literal(ISSUE), &text.replace('\\', "\\\\"))?;
        self.show(root, &ImagePath::literal(MOTD), &text)
    }

    /// Puts the text there while closed, and takes it away when open.
    fn show(&self, root: &Root, path: &ImagePath, text: &str) -> Result<()> {
        if self.open {
            if let Some(target) = root.target(path, Links::InRoot)? {
                if let Some(meta) = target.meta()? {
                    change::delete(&target, &meta)?;
                }
            }
            return Ok(());
        }
        if let Some(folder) = path.parent() {
            change::make_dirs(root, &folder, 0o755)?;
        }
        let target =
            root.target(path, Links::InRoot)?.ok_or_else(|| Error::failed("create", path))?;
        let (uid, gid) = disinherit_core::manifest::writer();
        change::create(&target, text.as_bytes(), 0o644, uid, gid)
    }
}
