//! The catalogue: which credentials lie where, and what happens to them, as data.
//!
//! The rules live in `core/catalogue/*.yaml`, by category, and are compiled in. Policies add
//! rules in the same grammar (`extra_rules`). A rule names places ([`Pattern`]) or a [`Finder`]
//! that knows a structured format, an [`Action`], whether it is on by default, and why.

mod builtin;
mod pattern;
mod signature;
pub mod table;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

pub(crate) use pattern::glob;
pub use pattern::{Alternative, Part, Pattern, PatternError};
pub use signature::{Certainty, Check, Reader, Signature};

use crate::edit::KeyPattern;
use crate::{Error, Result};

/// One kind of credential or identity, and what happens to it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Stable name, for instance `his-bash`.
    pub id: String,
    /// The chapter of the catalogue, from the file's `category`.
    #[serde(skip_deserializing)]
    pub category: String,
    /// What lies there, in a few words.
    pub what: String,
    /// Paths and globs; `{home}` stands for every home, `{a,b}` for alternatives.
    #[serde(default, rename = "where", skip_serializing_if = "Vec::is_empty")]
    pub places: Vec<Pattern>,
    /// Never touched by this rule, even where `where` matches.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub except: Vec<Pattern>,
    /// The rule only reports where none of these exists: what makes the file anew, for instance.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub when: Vec<Pattern>,
    /// What reads the file. Where none of these exists it serves nothing any more, and the rule acts
    /// whatever `when` asks for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub read_by: Vec<Pattern>,
    /// The rule only reports where one of these exists: a server that needs the file, for instance.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unless: Vec<Pattern>,
    /// Directories, and links to them, stay with owner and mode; only what lies in them is found.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keep_directories: bool,
    /// How the places are read; most rules only look at paths.
    #[serde(default, skip_serializing_if = "Finder::is_path")]
    pub find: Finder,
    /// What the content scan looks for, with `find: content` alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Signature>,
    /// The names of the settings that are secret, for finders of formats; see [`KeyPattern`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<KeyPattern>,
    /// What happens to what is found.
    pub action: Action,
    /// What is found opens something, beyond telling two machines apart. Such an optional rule also
    /// acts where policy removes secrets by content.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub credential: bool,
    /// Whether the rule acts without being asked.
    #[serde(default)]
    pub default: Default,
    /// How bad it is when it stays.
    pub severity: Severity,
    /// Why it must not stay, or why it may.
    pub why: String,
    /// Where the fact comes from: a man page, upstream source, or `measured`.
    pub source: String,
    /// Paths that the rule must find, for its test; `{home}` is a home. A path that ends with `/` is
    /// a directory. Rules with a finder have fixtures of their own instead.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub examples: Vec<String>,
}

/// How a rule's places are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, std::default::Default)]
#[serde(rename_all = "kebab-case")]
pub enum Finder {
    /// Every file that matches.
    #[default]
    Path,
    /// Password fields of shadow(5) that hold a hash.
    ShadowHash,
    /// Password fields of shadow(5) that are empty.
    ShadowEmpty,
    /// Password fields of shadow(5) with a hash behind `!` or `*`.
    ShadowLockedHash,
    /// Password fields of passwd(5) other than `x`.
    PasswdInline,
    /// Password fields of gshadow(5).
    GshadowPassword,
    /// Password fields of group(5).
    GroupPassword,
    /// Accounts with uid 0 other than root.
    UidZero,
    /// Files that sshd's effective configuration reads public keys from.
    LoginFiles,
    /// Login sources of sshd beyond key files.
    OtherLogins,
    /// Key files of encrypted disks, and those that crypttab(5) names.
    DiskKeys,
    /// Host keys and host certificates that sshd's configuration names.
    HostKeys,
    /// A machine ID that is set.
    MachineId,
    /// A D-Bus machine ID that is a file of its own.
    DbusMachineId,
    /// Settings of sshd that let a password in, as they are in effect.
    SshdPasswords,
    /// Secrets by what they look like, in every file of the image.
    Content,
    /// What is packed in initial RAM disks and unified kernel images.
    Initrd,
    /// Other settings of sshd that are risky, as they are in effect.
    SshdSettings,
    /// Accounts of people that policy does not know.
    UnknownAccounts,
    /// Public keys that sshd accepts and that anybody can use or break.
    WeakKeys,
    /// Public keys that sshd accepts and whose private half is published.
    PublishedKeys,
    /// Settings one a line, in sections or without: `key = value`, `key: value`, `key value`.
    Settings,
    /// Variables in shell scripts and profiles.
    Shell,
    /// Quoted values behind a name, in configuration that is a program.
    Code,
    /// Variables and credentials in units of systemd.
    Unit,
    /// Arguments of commands in units of systemd.
    UnitArguments,
    /// Words of the kernel command line.
    CommandLine,
    /// Options of mounts between commas.
    MountOptions,
    /// Settings of the files that mounts name with `credentials=`.
    MountCredentials,
    /// Rows that are no comments, by their first word.
    Rows,
    /// Logins in URLs, in a file of any format.
    Urls,
    /// Members of JSON.
    Json,
    /// Members of YAML.
    Yaml,
    /// Members of YAML, and the data of Secret objects of Kubernetes.
    Kubernetes,
    /// Elements and attributes of XML.
    Xml,
    /// Answers in debconf's database.
    Debconf,
    /// Passwords of GRUB.
    Grub,
    /// Rows of sudoers(5) that name an account which is not there.
    Sudoers,
    /// Rows of doas.conf(5) that name an account which is not there.
    Doas,
}

impl Finder {
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
    fn is_path(&self) -> bool {
        *self == Self::Path
    }

    /// Reads settings by their names, so that a rule says which.
    pub fn takes_keys(self) -> bool {
        matches!(
            self,
            Self::Settings
                | Self::Shell
                | Self::Code
                | Self::MountCredentials
                | Self::Unit
                | Self::UnitArguments
                | Self::CommandLine
                | Self::MountOptions
                | Self::Rows
                | Self::Json
                | Self::Yaml
                | Self::Kubernetes
                | Self::Xml
                | Self::Debconf
        )
    }

    /// Finds secrets in files of a format; what it finds is cut and the rest stays.
    pub fn is_editor(self) -> bool {
        self.takes_keys() || matches!(self, Self::Urls | Self::Grub | Self::Sudoers | Self::Doas)
    }
}

/// What happens to what a rule finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// The password field becomes `*`.
    Lock,
    /// Burned, then length 0; inode, owner and mode stay.
    Truncate,
    /// Burned, then removed; a directory with everything below it.
    Delete,
    /// Everything below the directory is burned and removed, the directory stays.
    Empty,
    /// The secret field goes, every other byte stays.
    Edit,
    /// Burned and removed, because something in the image makes it anew.
    Regenerate,
    /// Never changed, only reported.
    Report,
}

/// Whether a rule acts without being asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, std::default::Default)]
#[serde(rename_all = "kebab-case")]
pub enum Default {
    /// Acts by default.
    #[default]
    On,
    /// Only reports by default; acts when policy says `on`.
    Optional,
    /// Only ever reports.
    Audit,
}

/// How bad a finding is; ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// A trace.
    Low,
    /// Helps an attacker.
    Medium,
    /// A credential or a shared identity.
    High,
    /// A way in without anything else.
    Critical,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        })
    }
}

impl std::str::FromStr for Severity {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text {
            "low" => Ok(Self::Low),
            "medium" => Ok(Self::Medium),
            "high" => Ok(Self::High),
            "critical" => Ok(Self::Critical),
            _ => Err("expected low, medium, high or critical".into()),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lock => "lock",
            Self::Truncate => "truncate",
            Self::Delete => "delete",
            Self::Empty => "empty",
            Self::Edit => "edit",
            Self::Regenerate => "regenerate",
            Self::Report => "report",
        })
    }
}

/// A file of the catalogue.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Chapter {
    category: String,
    rules: Vec<Rule>,
}

/// All rules, by id.
#[derive(Debug, Clone)]
pub struct Catalogue {
    rules: Vec<Rule>,
    by_id: BTreeMap<String, usize>,
}

impl Catalogue {
    /// The compiled-in rules.
    ///
    /// # Errors
    /// A broken rule file, which the tests exclude for a release.
    pub fn builtin() -> Result<Self> {
        let mut catalogue = Self { rules: Vec::new(), by_id: BTreeMap::new() };
        for (name, text) in builtin::CHAPTERS {
            let chapter: Chapter = serde_yaml::from_str(text)
                .map_err(|e| Error::failed("read the catalogue chapter", name).because(e))?;
            for mut rule in chapter.rules {
                rule.category.clone_from(&chapter.category);
                catalogue.add(rule)?;
            }
        }
        Ok(catalogue)
    }

    /// Adds a rule, of a policy for instance.
    ///
    /// # Errors
    /// [`crate::Kind::Usage`] when the id is taken or the rule contradicts itself.
    pub fn add(&mut self, rule: Rule) -> Result<()> {
        rule.check()?;
        if self.by_id.contains_key(&rule.id) {
            return Err(Error::usage("add the rule", &rule.id)
                .remedy("give it another id; this one is taken"));
        }
        self.by_id.insert(rule.id.clone(), self.rules.len());
        self.rules.push(rule);
        Ok(())
    }

    /// All rules in catalogue order.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// One rule by its id.
    pub fn get(&self, id: &str) -> Option<&Rule> {
        self.by_id.get(id).and_then(|i| self.rules.get(*i))
    }
}

impl Rule {
    /// A rule must say where it looks, and a finder must fit its action.
    fn check(&self) -> Result<()> {
        let wrong =
            |remedy: &'static str| Err(Error::usage("use the rule", &self.id).remedy(remedy));
        let fits_id = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if self.id.is_empty() || !self.id.bytes().all(fits_id) {
            return wrong("an id is made of lower-case letters, digits and dashes");
        }
        if self.find == Finder::Path && self.places.is_empty() {
            return wrong("name at least one path under `where`");
        }
        if self.find == Finder::Path && matches!(self.action, Action::Lock | Action::Edit) {
            return wrong("lock and edit need a `find:` that knows the format");
        }
        if (self.find == Finder::Content) != self.content.is_some() {
            return wrong("`find: content` and `content:` go together");
        }
        if self.content.as_ref().is_some_and(|s| s.anchors.iter().any(|a| a.len() < 3)) {
            return wrong("an anchor of the content scan has at least 3 bytes");
        }
        if self.find.takes_keys() == self.keys.is_empty() {
            return wrong("`keys` and a `find:` that reads settings belong together");
        }
        if self.find.is_editor() {
            if self.places.is_empty() {
                return wrong("name at least one path under `where`");
            }
            if !matches!(self.action, Action::Edit | Action::Report) {
                return wrong("a `find:` that reads settings can only edit or report them");
            }
            return Ok(());
        }
        if self.when.is_empty() && !self.read_by.is_empty() {
            return wrong("`read_by` is an exception from `when`");
        }
        let conditional = !self.when.is_empty() || !self.unless.is_empty();
        if self.find != Finder::Path && (conditional || self.keep_directories) {
            return wrong("`when`, `unless` and `keep_directories` are for rules without `find:`");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_builtin_catalogue_loads_and_every_rule_says_why() {
        let catalogue = Catalogue::builtin().unwrap();
        assert!(catalogue.rules().len() > 20);
        for rule in catalogue.rules() {
            assert!(!rule.why.is_empty() && !rule.source.is_empty(), "{}", rule.id);
            assert!(!rule.category.is_empty(), "{}", rule.id);
        }
    }

    #[test]
    fn a_rule_without_a_place_is_refused() {
        let rule: Rule = serde_yaml::from_str(
            "{id: x, what: w, action: delete, severity: low, why: y, source: s}",
        )
        .unwrap();
        let error = Catalogue::builtin().unwrap().add(rule).unwrap_err();
        assert_eq!(error.kind(), crate::Kind::Usage);
    }

    #[test]
    fn an_id_is_taken_once() {
        let mut catalogue = Catalogue::builtin().unwrap();
        let again = catalogue.rules()[0].clone();
        assert!(catalogue.add(again).is_err());
    }
}
