//! Edits of structured files: the secret field goes, every other byte stays. Pure: bytes in, bytes
//! out; the plan carries the edit, apply carries it out under the password lock.
//!
//! One file per family of formats. A family either knows its rows ([`Edit::LockShadow`] and its
//! neighbours) or finds spans ([`Cut`]): then all that remains to be done is the same for every
//! format, and the plan, apply and the proof need no change for a new one.

mod accounts;
mod code;
mod cut;
mod debconf;
mod grants;
mod grub;
mod json;
mod keys;
mod line;
mod rows;
mod select;
mod settings;
mod shell;
mod tree;
mod unfit;
mod unit;
mod url;
mod value;
mod whole;
mod words;
mod xml;
mod yaml;

use std::collections::BTreeSet;

use serde::Serialize;
use zeroize::Zeroizing;

pub(crate) use accounts::passwords;
pub use cut::Cut;
pub use debconf::password_templates;
pub use grants::{Orphans, doas, sudoers};
pub use select::KeyPattern;
pub use unfit::Unfit;
pub use words::named_files;

use crate::catalogue::Finder;
use crate::path::escape;

/// One change of one record. Rows are named by line index, since a broken file may hold a name
/// twice; the file is only edited while it is the one that was discovered.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Edit {
    /// Field 2 of a row of shadow(5) becomes `*`.
    LockShadow {
        /// Line index, from 0.
        row: usize,
    },
    /// Field 2 of a row of passwd(5) becomes `x`, or `*` without a shadow row.
    PasswdField {
        /// Line index, from 0.
        row: usize,
        /// True when shadow(5) has the account.
        shadowed: bool,
    },
    /// Field 2 of a row of group(5) becomes `x`.
    GroupField {
        /// Line index, from 0.
        row: usize,
    },
    /// Field 2 of a row of gshadow(5) becomes `!`.
    GshadowField {
        /// Line index, from 0.
        row: usize,
    },
    /// The row is removed from passwd(5) or shadow(5).
    RemoveRow {
        /// Line index, from 0.
        row: usize,
    },
    /// The member is removed from every list of group(5) or gshadow(5), and its own group row when
    /// nobody else is in it.
    RemoveMember {
        /// The account, escaped.
        user: String,
    },
    /// The first field of subuid(5) or subgid(5) rows that name the account: the rows go.
    RemoveSubid {
        /// The account, escaped.
        user: String,
    },
    /// Only lines with these fingerprints stay in an authorized_keys file.
    KeepKeys {
        /// Fingerprints, `SHA256:...`.
        keep: Vec<String>,
    },
    /// The file becomes empty.
    Clear,
    /// The file becomes the word that machine-id(5) gives a meaning.
    Uninitialized,
    /// A span of the file goes.
    Cut(Cut),
}

/// Which format an edit needs; all edits of one file share it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// passwd(5).
    Passwd,
    /// shadow(5).
    Shadow,
    /// group(5).
    Group,
    /// gshadow(5).
    Gshadow,
    /// subuid(5) and subgid(5).
    Subid,
    /// sshd(8), AUTHORIZED_KEYS FILE FORMAT.
    AuthorizedKeys,
    /// The whole file at once.
    Whole,
    /// Any format whose parser says which spans go.
    Spans,
}

/// The secrets of `text` that can be taken out of it, and nothing else with them. Without them the
/// file still has its format, and looking again finds nothing.
///
/// # Errors
/// [`Unfit`]: the file stays, and the reason is one for the report.
pub fn find(finder: Finder, text: &[u8], keys: &[KeyPattern]) -> Result<Vec<Cut>, Unfit> {
    let mut cuts = scan(finder, text, keys)?;
    cut::number(text, &mut cuts);
    if cuts.is_empty() {
        return Ok(cuts);
    }
    let edits: Vec<Edit> = cuts.iter().cloned().map(Edit::Cut).collect();
    let new = run(Format::Spans, text, &edits).map_err(|_| Unfit::Tangled)?;
    match scan(finder, &new, keys) {
        Ok(left) if left.is_empty() => Ok(cuts),
        _ => Err(Unfit::Tangled),
    }
}

fn scan(finder: Finder, text: &[u8], keys: &[KeyPattern]) -> Result<Vec<Cut>, Unfit> {
    Ok(match finder {
        Finder::Settings | Finder::MountCredentials => settings::find(text, keys),
        Finder::Shell => shell::find(text, keys),
        Finder::Code => code::find(text, keys),
        Finder::Unit => unit::find(text, keys),
        Finder::UnitArguments => unit::arguments(text, keys),
        Finder::CommandLine => words::find(text, keys),
        Finder::MountOptions => words::options(text, keys),
        Finder::Rows => rows::find(text, keys),
        Finder::Urls => url::find(text),
        Finder::Json => json::find(text, keys)?,
        Finder::Yaml => yaml::find(text, keys, false)?,
        Finder::Kubernetes => yaml::find(text, keys, true)?,
        Finder::Xml => xml::find(text, keys)?,
        Finder::Debconf => debconf::find(text, keys),
        Finder::Grub => grub::find(text),
        // These have eyes of their own.
        _ => Vec::new(),
    })
}

/// Carries out `edits` on the text of one file.
///
/// # Errors
/// An edit that names a row which the file does not have; the plan is of another file then.
pub fn run(format: Format, text: &[u8], edits: &[Edit]) -> crate::Result<Zeroizing<Vec<u8>>> {
    match format {
        Format::Passwd => accounts::passwd(text, edits),
        Format::Shadow => accounts::shadow(text, edits),
        Format::Group => accounts::group(text, edits),
        Format::Gshadow => accounts::gshadow(text, edits),
        Format::Subid => Ok(accounts::subid(text, edits)),
        Format::AuthorizedKeys => Ok(keys::run(text, edits)),
        Format::Whole => Ok(whole::run(text, edits)),
        Format::Spans => cut::run(text, edits),
    }
}

/// The secrets that [`run`] takes out of `text`, which the raw disk is searched for afterwards:
/// spans, the password fields of account files, else whole lines.
///
/// # Errors
/// As [`run`].
pub fn removed<'a>(format: Format, text: &'a [u8], edits: &[Edit]) -> crate::Result<Vec<&'a [u8]>> {
    let new = run(format, text, edits)?;
    let stays: BTreeSet<&[u8]> = new.split(|b| *b == b'\n').collect();
    let gone = text.split(|b| *b == b'\n').filter(|line| !stays.contains(line));
    Ok(match format {
        Format::Passwd | Format::Shadow | Format::Group | Format::Gshadow => {
            passwords(gone).collect()
        }
        Format::AuthorizedKeys => gone.collect(),
        // Names and identifiers, no secrets.
        Format::Subid | Format::Whole => Vec::new(),
        Format::Spans => cut::removed(text, edits),
    })
}

/// Lines with their terminators.
fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split_inclusive(|b| *b == b'\n')
}

impl std::fmt::Display for Edit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::LockShadow { row } => write!(f, "line {}: password becomes *", row + 1),
            Self::PasswdField { row, shadowed } => {
                let to = if *shadowed { "x" } else { "*" };
                write!(f, "line {}: password becomes {to}", row + 1)
            }
            Self::GroupField { row } => write!(f, "line {}: password becomes x", row + 1),
            Self::GshadowField { row } => write!(f, "line {}: password becomes !", row + 1),
            Self::RemoveRow { row } => write!(f, "line {}: removed", row + 1),
            Self::RemoveMember { user } => write!(f, "member {user} removed"),
            Self::RemoveSubid { user } => write!(f, "rows of {user} removed"),
            Self::KeepKeys { keep } => write!(f, "only {} kept", keep.join(", ")),
            Self::Clear => f.write_str("emptied"),
            Self::Uninitialized => f.write_str("becomes uninitialized"),
            Self::Cut(cut) => write!(f, "line {}: {} removed", cut.line, cut.what),
        }
    }
}

/// The escaped form of a name for [`Edit::RemoveMember`] and [`Edit::RemoveSubid`].
pub fn escaped_name(user: &[u8]) -> String {
    escape(user).into_owned()
}

#[cfg(test)]
#[path = "names_tests.rs"]
mod names_tests;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(super) const FINDERS: [Finder; 16] = [
        Finder::Settings,
        Finder::Shell,
        Finder::Code,
        Finder::Unit,
        Finder::UnitArguments,
        Finder::CommandLine,
        Finder::MountOptions,
        Finder::MountCredentials,
        Finder::Rows,
        Finder::Urls,
        Finder::Json,
        Finder::Yaml,
        Finder::Kubernetes,
        Finder::Xml,
        Finder::Debconf,
        Finder::Grub,
    ];

    /// Pieces that the formats are made of, and any byte.
    pub(super) fn text() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            "password|TOKEN|a|kind|data|Secret|Environment|Value|Name|export |define\\(",
            "[=:,;{}\\[\\]\"'#<>/@&*!|$\\\\-]",
            "[ \n\t]|\r\n|  |- |https://u:p@h",
            ".{0,3}",
        ]
        .prop_map(String::into_bytes);
        let any = prop_oneof![8 => piece, 1 => proptest::collection::vec(any::<u8>(), 0..3)];
        proptest::collection::vec(any, 0..24).prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn whatever_a_file_holds_what_is_found_can_be_cut_and_nothing_is_left(text in text()) {
            let keys: Vec<KeyPattern> = vec!["@secrets".parse().unwrap(), "a/*".parse().unwrap()];
            for finder in FINDERS {
                let Ok(cuts) = find(finder, &text, &keys) else { continue };
                let edits: Vec<Edit> = cuts.into_iter().map(Edit::Cut).collect();
                let new = run(Format::Spans, &text, &edits).unwrap();
                prop_assert_eq!(find(finder, &new, &keys), Ok(Vec::new()), "{:?}", finder);
                prop_assert!(removed(Format::Spans, &text, &edits).unwrap().len() == edits.len());
            }
        }
    }

    #[test]
    fn a_file_of_nothing_but_secrets_is_counted_once() {
        let text = b"password=x1\n".repeat(1 << 16);
        let keys = ["password".parse().unwrap()];
        let cuts = find(Finder::Settings, &text, &keys).unwrap();
        assert_eq!(cuts.len(), 1 << 16);
        assert!(cuts.iter().zip(1..).all(|(cut, line)| cut.line == line));
    }

    #[test]
    fn only_the_field_that_went_is_searched_for() {
        let old = b"root:$6$salt$aaaaaaaaaaaaaaaa:1::\nann:*:1::\nbob:!$y$j9T$bbbbbbbbbbbb:1::\n";
        let edits = [Edit::LockShadow { row: 0 }, Edit::LockShadow { row: 2 }];
        let gone = removed(Format::Shadow, old, &edits).unwrap();
        assert_eq!(gone, [&b"$6$salt$aaaaaaaaaaaaaaaa"[..], b"!$y$j9T$bbbbbbbbbbbb"]);
    }

    #[test]
    fn key_lines_go_as_they_stood() {
        let edits = [Edit::KeepKeys { keep: Vec::new() }];
        let gone = removed(Format::AuthorizedKeys, b"a key\nb key\n", &edits).unwrap();
        assert_eq!(gone, [&b"a key"[..], b"b key"]);
    }
}
