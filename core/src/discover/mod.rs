//! Discovery: from a root to [`Facts`]. Reads only; what cannot be read becomes a problem in the
//! facts and never an empty result, because what was not seen is not clean.

mod accounts;
mod expand;
mod identity;
mod logins;
mod removals;
mod services;

use crate::accounts::Accounts;
use crate::catalogue::{Action, Finder, Rule, Severity};
use crate::facts::{Facts, Hit, Note, Problem, Target};
use crate::policy::Settings;
use crate::reach::Reach;
use crate::root::{FileKind, Root};
use crate::sshd;
use crate::{ImagePath, Result};

use expand::{Except, Expander, Found};

/// Looks at everything that the policy's rules name below `root`.
///
/// # Errors
/// Only what makes the whole discovery worthless, for instance an unreadable `/etc/passwd`.
pub fn discover(root: &Root, settings: &Settings) -> Result<Facts> {
    let reach = Reach::discover(root)?;
    let accounts = Accounts::load(root)?;
    let homes: Vec<ImagePath> = accounts.homes(root)?.into_iter().map(|h| h.path).collect();
    let (sshd, problems) = sshd::Config::load(root)?;
    let mut scene = Scene {
        root,
        settings,
        expander: Expander::new(root, &reach, &homes),
        accounts: &accounts,
        homes: &homes,
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
    scene.facts.accounts = accounts.iter().cloned().collect();
    accounts::broken_rows(root, &mut scene.facts)?;
    scene.facts.services = services::discover(root, &sshd)?;
    logins::list(&mut scene)?;
    removals::look(&mut scene)?;
    for rule in settings.catalogue.rules() {
        if settings.acts(rule).is_some() {
            scene.look(rule)?;
        }
    }
    Ok(scene.facts)
}

/// What the finders share.
struct Scene<'a> {
    root: &'a Root,
    settings: &'a Settings,
    expander: Expander<'a>,
    accounts: &'a Accounts,
    homes: &'a [ImagePath],
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
            Finder::SshdPasswords => logins::password_settings(self, rule),
            Finder::HostKeys => identity::host_keys(self, rule),
            Finder::MachineId => identity::machine_id(self, rule),
            Finder::DbusMachineId => identity::dbus_machine_id(self, rule),
        }
    }

    /// Everything that the rule's places name; a directory with all that is below it.
    fn paths(&mut self, rule: &Rule) -> Result<()> {
        for place in &rule.places {
            let except = Except::new(&rule.except, &self.settings.allow.paths);
            for found in self.expander.expand(place, &except)? {
                if found.meta.kind != FileKind::Directory {
                    self.hit_inode(rule, &found, None);
                    continue;
                }
                let mut tree = self.expander.tree(&found, &except)?;
                if rule.action == Action::Empty {
                    tree.retain(|f| f.path != found.path);
                }
                for below in &tree {
                    self.hit_inode(rule, below, None);
                }
            }
        }
        Ok(())
    }

    fn hit_inode(&mut self, rule: &Rule, found: &Found, subject: Option<String>) {
        if rule.action == Action::Truncate && found.meta.size == 0 {
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
        self.facts.problems.push(Problem {
            path: path.clone(),
            what: error.report(),
            severity: Severity::High,
        });
    }
}
