//! The accounts of an image, their groups, and the homes that somebody may have left things in.

mod homes;
#[cfg(test)]
mod tests;

use crate::root::Root;
use crate::sshd::User;
use crate::text::{Group, Passwd, passwd};
use crate::{ImagePath, Result};

pub use homes::Home;

/// Where accounts are listed: the usual file, the vendor's on OSTree systems (nss-altfiles), and
/// that of Ubuntu Core (libnss-extrausers).
const PASSWD: [&str; 3] = ["/etc/passwd", "/usr/lib/passwd", "/var/lib/extrausers/passwd"];
/// The same for groups.
const GROUP: [&str; 3] = ["/etc/group", "/usr/lib/group", "/var/lib/extrausers/group"];

/// Largest file that is read, in bytes.
const MAX_BYTES: u64 = 64 << 20;

/// One row of one of the passwd files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Login name.
    pub name: Vec<u8>,
    /// User id.
    pub uid: u32,
    /// Primary group id; `None` when the row has no valid one.
    pub gid: Option<u32>,
    /// Home directory as written.
    pub home: Vec<u8>,
    /// Login shell as written; empty means `/bin/sh`.
    pub shell: Vec<u8>,
    /// The file that lists the account.
    pub file: ImagePath,
}

impl Account {
    /// False where the shell is one that ends at once; empty means `/bin/sh`.
    pub fn has_login_shell(&self) -> bool {
        let name = self.shell.rsplit(|b| *b == b'/').next().unwrap_or_default();
        !matches!(name, b"nologin" | b"false" | b"sync" | b"shutdown" | b"halt" | b"true")
    }
}

/// All accounts of an image.
#[derive(Debug, Clone)]
pub struct Accounts {
    accounts: Vec<Account>,
    groups: Vec<GroupRow>,
}

#[derive(Debug, Clone)]
struct GroupRow {
    name: Vec<u8>,
    gid: Option<u32>,
    members: Vec<Vec<u8>>,
}

impl Accounts {
    /// Reads all passwd and group files that exist. Rows without a valid user id and NIS rows are
    /// no accounts.
    ///
    /// # Errors
    /// A file exists and cannot be read.
    pub fn load(root: &Root) -> Result<Self> {
        let (mut accounts, mut groups) = (Vec::new(), Vec::new());
        for file in PASSWD.map(ImagePath::literal) {
            if let Some(text) = root.read(&file, MAX_BYTES)? {
                accounts.extend(
                    Passwd::parse(&text).entries().filter_map(|entry| account(&entry, &file)),
                );
            }
        }
        for file in GROUP.map(ImagePath::literal) {
            if let Some(text) = root.read(&file, MAX_BYTES)? {
                groups.extend(Group::parse(&text).entries().map(|entry| GroupRow {
                    name: entry.name.to_vec(),
                    gid: entry.gid,
                    members: entry.members.iter().map(|member| member.to_vec()).collect(),
                }));
            }
        }
        Ok(Self { accounts, groups })
    }

    /// The accounts in the order of the files; a name may occur more than once.
    pub fn iter(&self) -> impl Iterator<Item = &Account> {
        self.accounts.iter()
    }

    /// The account that a login by that name gets: the first row.
    pub fn by_name(&self, name: &[u8]) -> Option<&Account> {
        self.accounts.iter().find(|account| account.name == name)
    }

    /// Names of the groups of an account: the primary one first, then those that list it. Groups
    /// that a directory service adds are not known here.
    pub fn groups_of(&self, account: &Account) -> Vec<Vec<u8>> {
        let primary =
            self.groups.iter().filter(|g| g.gid.is_some() && g.gid == account.gid).take(1);
        let listed = self.groups.iter().filter(|g| g.members.contains(&account.name));
        let mut names: Vec<Vec<u8>> = Vec::new();
        for group in primary.chain(listed) {
            if !names.contains(&group.name) {
                names.push(group.name.clone());
            }
        }
        names
    }

    /// What sshd's configuration asks about an account.
    pub fn user(&self, account: &Account) -> User {
        User {
            name: account.name.clone(),
            uid: account.uid,
            home: account.home.clone(),
            groups: self.groups_of(account),
        }
    }
}

fn account(entry: &passwd::Entry<'_>, file: &ImagePath) -> Option<Account> {
    Some(Account {
        name: entry.name.to_vec(),
        uid: entry.uid?,
        gid: entry.gid,
        home: entry.home.to_vec(),
        shell: entry.shell.to_vec(),
        file: file.clone(),
    })
}
