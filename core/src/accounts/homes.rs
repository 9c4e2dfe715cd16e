//! Which directories are homes.

use super::Accounts;
use crate::root::{FileKind, Meta, Root};
use crate::{Error, ImagePath, Result};

/// A home directory that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    /// Its path: the first under which the directory was found, as passwd or the folder has it.
    pub path: ImagePath,
    /// Names of the accounts that live there; none for `/etc/skel` and for homes left behind.
    pub owners: Vec<Vec<u8>>,
}

/// Directories of the system. An account may have one as its home; it is never treated as one.
const SYSTEM: [&str; 33] = [
    "/",
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/etc/ssh",
    "/home",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/media",
    "/mnt",
    "/nonexistent",
    "/opt",
    "/sbin",
    "/srv",
    "/sys",
    "/tmp",
    "/usr",
    "/usr/bin",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local",
    "/usr/sbin",
    "/usr/share",
    "/var",
    "/var/cache",
    "/var/lib",
    "/var/log",
    "/var/mail",
    "/var/spool",
    "/var/tmp",
];

/// Nothing below these is a home.
const VOLATILE: [&str; 4] = ["/dev", "/proc", "/run", "/sys"];

/// Where `useradd -m` copies from.
const SKELETONS: [&str; 2] = ["/etc/skel", "/usr/local/share/skel"];

/// Folders whose children are homes, also when no account is left for them.
const PARENTS: [&str; 4] = ["/home", "/var/home", "/export/home", "/srv/home"];

const USERADD: &str = "/etc/default/useradd";
/// Largest size of that file in bytes.
const MAX_BYTES: u64 = 1 << 20;

impl Accounts {
    /// The homes that exist: those of all accounts, the skeletons, and every directory below the
    /// usual parents of homes and the `HOME=` of `/etc/default/useradd`. A directory that several
    /// paths lead to is listed once. System directories are left out, whatever passwd says. A home
    /// that cannot be looked at (a circle of links, a name that is too long) goes to the log; see
    /// [`Accounts::homes_and_problems`].
    ///
    /// # Errors
    /// A parent of homes cannot be listed.
    pub fn homes(&self, root: &Root) -> Result<Vec<Home>> {
        let (homes, problems) = self.homes_and_problems(root)?;
        for problem in problems {
            log::warn!("{}", problem.report());
        }
        Ok(homes)
    }

    /// The homes as [`Accounts::homes`] has them, and what kept others from being looked at.
    ///
    /// # Errors
    /// As [`Accounts::homes`].
    pub fn homes_and_problems(&self, root: &Root) -> Result<(Vec<Home>, Vec<Error>)> {
        let mut found = Found { root, homes: Vec::new(), problems: Vec::new() };
        for account in self.iter() {
            if let Some(path) = ImagePath::new(&account.home).filter(|_| !account.home.is_empty()) {
                found.add(&path, Some(&account.name));
            }
        }
        for path in SKELETONS.map(ImagePath::literal) {
            found.add(&path, None);
        }
        for parent in parents(root)? {
            for entry in root.read_dir(&parent)? {
                let path = parent.join(&entry.name);
                if let (FileKind::Directory, Some(path)) = (entry.kind, path) {
                    found.add(&path, None);
                }
            }
        }
        Ok((found.homes.into_iter().map(|(_, home)| home).collect(), found.problems))
    }
}

/// Homes with the device and inode of their directory.
struct Found<'a> {
    root: &'a Root,
    homes: Vec<((u64, u64), Home)>,
    problems: Vec<Error>,
}

impl Found<'_> {
    fn add(&mut self, path: &ImagePath, owner: Option<&[u8]>) {
        match self.identify(path) {
            Ok(Some(id)) => self.note(id, path, owner),
            Ok(None) => {}
            Err(problem) => self.problems.push(problem),
        }
    }

    /// Device and inode of a directory that may be a home.
    fn identify(&self, path: &ImagePath) -> Result<Option<(u64, u64)>> {
        if is_system(path) {
            return Ok(None);
        }
        // A system directory reached by another name (`/bin` of a merged /usr, a link) is one too.
        let Some(real) = self.root.canonical(path)?.filter(|real| !is_system(real)) else {
            return Ok(None);
        };
        Ok(match self.root.stat(&real)? {
            Some(Meta { kind: FileKind::Directory, dev, ino, .. }) => Some((dev, ino)),
            _ => None,
        })
    }

    fn note(&mut self, id: (u64, u64), path: &ImagePath, owner: Option<&[u8]>) {
        let index = self.homes.iter().position(|(other, _)| *other == id);
        let owner = owner.map(<[u8]>::to_vec);
        match index.and_then(|index| self.homes.get_mut(index)) {
            Some((_, home)) => {
                let new = owner.filter(|owner| !home.owners.contains(owner));
                home.owners.extend(new);
            }
            None => {
                let home = Home { path: path.clone(), owners: owner.into_iter().collect() };
                self.homes.push((id, home));
            }
        }
    }
}

fn is_system(path: &ImagePath) -> bool {
    let is = |list: &[&'static str], test: fn(&ImagePath, &ImagePath) -> bool| {
        list.iter().any(|other| test(path, &ImagePath::literal(other)))
    };
    is(&SYSTEM, |path, other| path == other)
        || is(&VOLATILE, ImagePath::starts_with)
        || is(&PARENTS, |path, other| path == other)
}

/// The usual parents and the one of useradd(8).
fn parents(root: &Root) -> Result<Vec<ImagePath>> {
    let mut parents: Vec<_> = PARENTS.map(ImagePath::literal).into();
    if let Some(text) = root.read(&ImagePath::literal(USERADD), MAX_BYTES)? {
        let home = text.rsplit(|b| *b == b'\n').find_map(|line| line.strip_prefix(b"HOME="));
        let home = home.map(<[u8]>::trim_ascii).filter(|home| home.starts_with(b"/"));
        let home = home.and_then(ImagePath::new);
        // What stands beside homes in a system directory is not for us to call a home.
        let home = home.filter(|home| !parents.contains(home) && !is_system(home));
        parents.extend(home);
    }
    Ok(parents)
}
