//! What discovery saw. Facts hold no secret text: only what lies where, whose it is, and what
//! inode it was, so that apply can refuse when the file has changed since.

use serde::{Deserialize, Serialize};

use crate::ImagePath;
use crate::catalogue::Severity;
use crate::content::Seen;
use crate::edit::{Edit, Format};
use crate::manifest::KeyHash;
use crate::reach::Mount;
use crate::root::{FileKind, Links, Meta};

/// Everything that discovery saw below one root.
#[derive(Debug, Default)]
pub struct Facts {
    /// What rules matched, in catalogue order.
    pub hits: Vec<Hit>,
    /// What was only noticed; never changed.
    pub notes: Vec<Note>,
    /// Every public key that sshd would accept.
    pub logins: Vec<Login>,
    /// Every account of passwd(5).
    pub accounts: Vec<crate::accounts::Account>,
    /// What could not be read; each is a finding, because what was not seen is not clean.
    pub problems: Vec<Problem>,
    /// File systems that were left alone.
    pub skipped: Vec<Mount>,
    /// Host keys by the SHA-256 of their public blob.
    pub host_keys: Vec<KeyHash>,
    /// What of the image matters to the first boot.
    pub services: Services,
    /// Files that held nothing, for the next look.
    pub seen: Seen,
}

/// A rule matched an inode or a record in it.
#[derive(Debug, Clone)]
pub struct Hit {
    /// The rule's id.
    pub rule: String,
    /// The file.
    pub path: ImagePath,
    /// What is there.
    pub what: Target,
    /// The inode as it was seen.
    pub meta: Meta,
    /// How the path may be resolved when it is changed.
    pub links: Links,
    /// Whose it is, for a reader: an account, a group, a key fingerprint.
    pub subject: Option<String>,
}

/// What a rule matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The inode as a whole.
    Inode,
    /// A record in a structured file.
    Record {
        /// The file's format.
        format: Format,
        /// What is done when the rule acts.
        edit: Edit,
    },
    /// The content as a whole; the inode stays, for whoever writes to it.
    Content,
    /// A copy of a machine ID that becomes a link to `/etc/machine-id`.
    MachineIdCopy,
}

impl Hit {
    /// True for a directory that goes after its content.
    pub fn is_directory(&self) -> bool {
        self.what == Target::Inode && self.meta.kind == FileKind::Directory
    }
}

/// Something worth saying that no action follows from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The rule's id.
    pub rule: String,
    /// Where.
    pub path: ImagePath,
    /// Whose, or which setting.
    pub subject: Option<String>,
    /// Overrides the rule's severity.
    pub severity: Option<Severity>,
}

/// A public key that sshd would accept.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Login {
    /// The account it opens, escaped.
    pub user: String,
    /// The file it lies in.
    pub path: ImagePath,
    /// As ssh-keygen(1) prints it, `SHA256:...`.
    pub fingerprint: String,
    /// SHA-256 of the plain key blob, as the manifest lists it.
    pub hash: KeyHash,
    /// The key type, for instance `ssh-ed25519`.
    pub key_type: String,
    /// Why nobody should accept this key, where there is a reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weakness: Option<String>,
}

/// Something that discovery could not do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Where.
    pub path: ImagePath,
    /// What went wrong, without content.
    pub what: String,
    /// How bad it is that this was not seen.
    pub severity: Severity,
}

/// What of the image matters to the first boot.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Services {
    /// cloud-init is installed.
    pub cloud_init: bool,
    /// An SSH server is installed and enabled, as a service or a socket.
    pub ssh_enabled: bool,
    /// What makes host keys anew at boot, without disinherit-firstboot.
    pub host_key_makers: Vec<String>,
    /// Where sshd's configuration looks for host keys.
    pub host_keys: Vec<ImagePath>,
    /// Login sources of sshd beyond key files.
    pub other_logins: Vec<String>,
    /// systemd is the image's init.
    pub systemd: bool,
    /// sudo or doas is installed, which cloud-init's default user gets root by.
    pub sudo: bool,
    /// cloud-init gives root the injected key, and sshd lets root in with it.
    pub root_by_key: bool,
}
