//! Discovery: from a root to [`Facts`]. Reads only; what cannot be read becomes a problem in the
//! facts and never an empty result, because what was not seen is not clean.

mod accounts;
mod content;
mod disks;
mod editors;
mod expand;
mod grants;
mod identity;
mod initrds;
mod links;
mod listing;
mod logins;
mod removals;
mod risks;
mod services;
mod strangers;

use crate::accounts::Accounts;
use crate::catalogue::{Action, Finder, Pattern, Rule, Severity};
use crate::content::{Looked, Seen};
use crate::facts::{Facts, Hit, Note, Problem, Target};
use crate::policy::Settings;
use crate::reach::Reach;
use crate::root::{FileKind, Root};
use crate::sshd;
use crate::{ImagePath, Result};

use expand::{Except, Expander, Found, Homes, problem};
use links::Leads;
pub use risks::{Risk, Topic, risks};

/// Looks at everything that the policy's rules name below `root`.
///
/// # Errors
/// Only what makes the whole discovery worthless, for instance an unreadable `/etc/passwd`.
pub fn discover(root: &Root, settings: &Settings, looked: &Looked) -> Result<Facts> {
    discover_again(root, settings, &Seen::default(), looked)
}

/// Looks once more: files that held nothing `before` and have not changed since are not read again.
///
/// # Errors
/// As [`discover`].
pub fn discover_again(
    root: &Root,
    settings: &Settings,
    before: &Seen,
    looked: &Looked,
) -> Result<Facts> {
    let reach = Reach::discover(root)?;
    let accounts = Accounts::load(root)?;
    let (homes, unseen) = accounts.homes_and_problems(root)?;
    let whose = content::homes(root, &accounts, &homes);
    let own: Vec<ImagePath> = homes.into_iter().map(|h| h.path).collect();
    let homes = Homes { system: system_homes(root, &accounts, &own), own };
    let (sshd, problems) = sshd::Config::load(root)?;
    let mut scene = Scene {
        root,
        settings,
        expander: Expander::new(root, &reach, &homes),
        accounts: &accounts,
        homes: &homes,
        ours: ours(root),
        sshd: &sshd,
        facts: Facts { skipped: reach.skipped().to_vec(), ..Facts::default() },
    };
    scene.facts.problems.extend(problems.into_iter().map(|p| Problem {
        path: p.source.file.clone(),
        what: p.to_string(),
        // An unread file may name more key files; the others only keep sshd from starting.
        severity: match p.what {
            sshd::What::Unreadable | sshd::What::IncludeTooDeep => Severity::High,
            _ => Severity::Medium,
        },
    }));
    let home = |e: &crate::Error| problem(ImagePath::literal("/etc/passwd"), e);
    scene.facts.problems.extend(unseen.iter().map(home));
    scene.facts.problems.extend(reach.problems(&settings.allow.paths));
    scene.facts.accounts = accounts.iter().cloned().collect();
    accounts::unknown_users(&mut scene);
    accounts::broken_rows(root, &mut scene.facts)?;
    scene.facts.services = services::discover(root, &sshd)?;
    logins::list(&mut scene)?;
    removals::look(&mut scene)?;
    for rule in settings.catalogue.rules() {
        if settings.acts(rule).is_some() {
            scene.look(rule)?;
        }
    }
    let packed = initrds::list(&mut scene, before);
    let (scanned, unpacked) = initrds::unpack_beside(&packed, || {
        content::look(&mut scene, &reach, whose, before, looked)
    });
    scanned?;
    initrds::say(&mut scene, packed, unpacked);
    let problems = scene.expander.take_problems();
    scene.facts.problems.extend(problems);
    Ok(scene.facts)
}

/// Homes of accounts that are directories of the system, see [`Homes::system`].
fn system_homes(root: &Root, accounts: &Accounts, own: &[ImagePath]) -> Vec<ImagePath> {
    let real = |path: &ImagePath| root.canonical(path).ok().flatten();
    let known: Vec<ImagePath> = own.iter().filter_map(real).collect();
    let mut homes: Vec<ImagePath> = accounts
        .iter()
        .filter(|account| !account.home.is_empty())
        .filter_map(|account| real(&ImagePath::new(&account.home)?))
        .filter(|home| !known.contains(home))
        .collect();
    homes.sort();
    homes.dedup();
    homes
}

/// Where this program lies in the running system; a folder of our own counts as a whole.
fn ours(root: &Root) -> Option<ImagePath> {
    if !root.is_live() {
        return None;
    }
    let program =
        ImagePath::new(std::env::current_exe().ok()?.into_os_string().as_encoded_bytes())?;
    Some(place_of(program))
}

/// The folder that the provisioner made for `program`, or the program alone.
fn place_of(program: ImagePath) -> ImagePath {
    let ours = |name: &[u8]| name.starts_with(b"disinherit-");
    program.parent().filter(|f| f.file_name().is_some_and(ours)).unwrap_or(program)
}

/// What the finders share.
struct Scene<'a> {
    root: &'a Root,
    settings: &'a Settings,
    expander: Expander<'a>,
    accounts: &'a Accounts,
    homes: &'a Homes,
    /// The program that runs, or the folder that was made for it.
    ours: Option<ImagePath>,
    sshd: &'a sshd::Config,
    facts: Facts,
}

impl Scene<'_> {
    fn look(&mut self, rule: &Rule) -> Result<()> {
        match rule.find {
            Finder::Path => self.paths(rule),
            Finder::ShadowHash
            | Finder::ShadowEmpty
            | Finder::ShadowLockedHash
            | Finder::PasswdInline
            | Finder::GshadowPassword
            | Finder::GroupPassword
            | Finder::UidZero => accounts::look(self, rule),
            Finder::LoginFiles => logins::files(self, rule),
            Finder::OtherLogins => logins::other_sources(self, rule),
            // All at once, after every other rule.
            Finder::Content | Finder::Initrd => Ok(()),
            Finder::SshdPasswords => risks::look(self, rule, Topic::Password),
            Finder::SshdSettings => risks::look(self, rule, Topic::Loose),
            Finder::UnknownAccounts => strangers::accounts(self, rule),
            Finder::WeakKeys => {
                strangers::weak_keys(self, rule);
                Ok(())
            }
            Finder::PublishedKeys => {
                strangers::published_keys(self, rule);
                Ok(())
            }
            Finder::DiskKeys => disks::look(self, rule),
            Finder::HostKeys => identity::host_keys(self, rule),
            Finder::MachineId => identity::machine_id(self, rule),
            Finder::DbusMachineId => identity::dbus_machine_id(self, rule),
            Finder::Sudoers | Finder::Doas => grants::look(self, rule),
            _ => editors::look(self, rule),
        }
    }

    /// Everything that the rule's places name; a directory with all that is below it.
    fn paths(&mut self, rule: &Rule) -> Result<()> {
        let first = self.facts.hits.len();
        for place in &rule.places {
            let except = Except::new(&rule.except, &self.settings.allow.paths);
            let follows = links::stands_for_its_target(rule, place);
            for found in self.expander.expand(place, &except) {
                if follows && found.meta.kind == FileKind::Symlink {
                    self.link(rule, &found, &except)?;
                    continue;
                }
                let mut tree = self.expander.tree(&found, &except);
                if rule.action == Action::Empty {
                    tree.retain(|f| f.path != found.path);
                }
                for below in tree {
                    let kept = rule.keep_directories && self.leads_to_directory(&below)?;
                    if !kept && !self.is_ours(&below.path) {
                        self.hit_inode(rule, &below, None);
                    }
                }
            }
        }
        self.only_report(rule, first);
        Ok(())
    }

    /// What the rule found since `first` is only noted in an image in which it may not act.
    fn only_report(&mut self, rule: &Rule, first: usize) {
        if self.facts.hits.len() == first || self.applies(rule) {
            return;
        }
        for hit in self.facts.hits.split_off(first) {
            if !hit.is_directory() {
                self.note(rule, hit.path, hit.subject);
            }
        }
    }

    /// A link in the place of a file goes with what it leads to, unless that is somebody else's.
    fn link(&mut self, rule: &Rule, found: &Found, except: &Except<'_>) -> Result<()> {
        match links::in_home(self, found, except)? {
            Leads::Null => return Ok(()),
            Leads::Nowhere => {}
            Leads::To(target) => self.hit_inode(rule, &target, None),
            Leads::Unsure(target) => {
                // The link stays too, so that the next look sees it again.
                self.note(rule, target, Some(format!("a link at {} leads here", found.path)));
                return Ok(());
            }
        }
        self.hit_inode(rule, found, None);
        Ok(())
    }

    /// Whether the image is one in which the rule may act.
    fn applies(&self, rule: &Rule) -> bool {
        let none = Except::new(&[], &[]);
        let exists = |patterns: &[Pattern]| {
            patterns.iter().any(|pattern| !self.expander.expand(pattern, &none).is_empty())
        };
        let unread = || !rule.read_by.is_empty() && !exists(&rule.read_by);
        (rule.when.is_empty() || exists(&rule.when) || unread()) && !exists(&rule.unless)
    }

    /// Whoever brought this program into the guest takes it away; a running program cannot be
    /// overwritten, and a folder that holds it cannot be removed.
    fn is_ours(&self, path: &ImagePath) -> bool {
        self.ours.as_ref().is_some_and(|ours| path.starts_with(ours) || ours.starts_with(path))
    }

    /// A directory, or a link to one.
    fn leads_to_directory(&self, found: &Found) -> Result<bool> {
        Ok(match found.meta.kind {
            FileKind::Directory => true,
            FileKind::Symlink => {
                self.root.stat(&found.path)?.is_some_and(|m| m.kind == FileKind::Directory)
            }
            _ => false,
        })
    }

    fn hit_inode(&mut self, rule: &Rule, found: &Found, subject: Option<String>) {
        let empty = found.meta.kind != FileKind::Regular || found.meta.size == 0;
        if rule.action == Action::Truncate && empty {
            return;
        }
        self.facts.hits.push(Hit {
            rule: rule.id.clone(),
            path: found.path.clone(),
            what: Target::Inode,
            meta: found.meta.clone(),
            links: found.links,
            subject,
        });
    }

    fn note(&mut self, rule: &Rule, path: ImagePath, subject: Option<String>) {
        self.facts.notes.push(Note { rule: rule.id.clone(), path, subject, severity: None });
    }

    fn problem(&mut self, path: &ImagePath, error: &crate::Error) {
        self.facts.problems.push(problem(path.clone(), error));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_our_own_counts_as_a_whole() {
        let place = |path| place_of(ImagePath::literal(path));
        let folder = "/tmp/disinherit-a1";
        assert_eq!(place("/tmp/disinherit-a1/scrub"), ImagePath::literal(folder));
        assert_eq!(place("/tmp/scrub"), ImagePath::literal("/tmp/scrub"));
    }
}
