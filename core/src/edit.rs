//! Edits of structured files: the secret field goes, every other byte stays. Pure: bytes in, bytes
//! out; the plan carries the edit, apply carries it out under the password lock.

use serde::Serialize;
use zeroize::Zeroizing;

use crate::Result;
use crate::path::escape;
use crate::text::authorized_keys::{self, Line};
use crate::text::{GShadow, Group, Passwd, Shadow, public_key};

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
}

/// Carries out `edits` on the text of one file.
///
/// # Errors
/// An edit that names a row which the file does not have; the plan is of another file then.
pub fn run(format: Format, text: &[u8], edits: &[Edit]) -> Result<Zeroizing<Vec<u8>>> {
    match format {
        Format::Passwd => passwd(text, edits),
        Format::Shadow => shadow(text, edits),
        Format::Group => group(text, edits),
        Format::Gshadow => gshadow(text, edits),
        Format::Subid => Ok(subid(text, edits)),
        Format::AuthorizedKeys => Ok(keys(text, edits)),
        Format::Whole => Ok(whole(text, edits)),
    }
}

/// Rows are removed from the last to the first, so that the indices of the others hold.
fn rows_backwards(edits: &[Edit]) -> Vec<usize> {
    let mut rows: Vec<usize> = edits
        .iter()
        .filter_map(|e| if let Edit::RemoveRow { row } = e { Some(*row) } else { None })
        .collect();
    rows.sort_unstable_by(|a, b| b.cmp(a));
    rows.dedup();
    rows
}

fn passwd(text: &[u8], edits: &[Edit]) -> Result<Zeroizing<Vec<u8>>> {
    let mut file = Passwd::parse(text);
    for edit in edits {
        if let Edit::PasswdField { row, shadowed } = edit {
            file.set_password(*row, if *shadowed { b"x" } else { b"*" })?;
        }
    }
    for row in rows_backwards(edits) {
        file.remove(row)?;
    }
    Ok(file.to_bytes())
}

fn shadow(text: &[u8], edits: &[Edit]) -> Result<Zeroizing<Vec<u8>>> {
    let mut file = Shadow::parse(text);
    for edit in edits {
        if let Edit::LockShadow { row } = edit {
            file.lock(*row)?;
        }
    }
    for row in rows_backwards(edits) {
        file.remove(row)?;
    }
    Ok(file.to_bytes())
}

fn group(text: &[u8], edits: &[Edit]) -> Result<Zeroizing<Vec<u8>>> {
    let mut file = Group::parse(text);
    for edit in edits {
        if let Edit::GroupField { row } = edit {
            file.set_password(*row, b"x")?;
        }
    }
    Ok(without_members(&file.to_bytes(), edits, &[3]))
}

fn gshadow(text: &[u8], edits: &[Edit]) -> Result<Zeroizing<Vec<u8>>> {
    let mut file = GShadow::parse(text);
    for edit in edits {
        if let Edit::GshadowField { row } = edit {
            file.set_password(*row, b"!")?;
        }
    }
    Ok(without_members(&file.to_bytes(), edits, &[2, 3]))
}

/// Takes the users of [`Edit::RemoveMember`] out of the member lists, which stand in `fields`, and
/// drops a user's own group when nobody is left in it, as userdel(8) does.
fn without_members(text: &[u8], edits: &[Edit], fields: &[usize]) -> Zeroizing<Vec<u8>> {
    let users: Vec<Vec<u8>> = edits
        .iter()
        .filter_map(|e| if let Edit::RemoveMember { user } = e { Some(name(user)) } else { None })
        .collect();
    let mut out = Vec::with_capacity(text.len());
    for line in lines(text) {
        let row = line.strip_suffix(b"\n").unwrap_or(line);
        let parts: Vec<&[u8]> = row.split(|b| *b == b':').collect();
        if users.is_empty() || parts.len() != 4 {
            out.extend_from_slice(line);
            continue;
        }
        let kept: Vec<Vec<u8>> = parts
            .iter()
            .enumerate()
            .map(|(i, p)| if fields.contains(&i) { without(p, &users) } else { p.to_vec() })
            .collect();
        let own = parts.first().is_some_and(|group| users.iter().any(|u| u == group));
        if own && kept.get(3).is_some_and(Vec::is_empty) {
            continue;
        }
        out.extend_from_slice(&kept.join(&b':'));
        out.extend_from_slice(line.get(row.len()..).unwrap_or_default());
    }
    out.into()
}

fn without(list: &[u8], users: &[Vec<u8>]) -> Vec<u8> {
    let stays = |m: &&[u8]| !users.iter().any(|u| u == m);
    list.split(|b| *b == b',').filter(stays).collect::<Vec<_>>().join(&b',')
}

fn name(escaped: &str) -> Vec<u8> {
    crate::path::unescape(escaped).unwrap_or_else(|| escaped.as_bytes().to_vec())
}

fn subid(text: &[u8], edits: &[Edit]) -> Zeroizing<Vec<u8>> {
    let gone = |line: &[u8]| {
        edits.iter().any(|e| {
            let Edit::RemoveSubid { user } = e else { return false };
            line.strip_prefix(name(user).as_slice()).is_some_and(|rest| rest.starts_with(b":"))
        })
    };
    lines(text).filter(|line| !gone(line)).flatten().copied().collect::<Vec<u8>>().into()
}

fn keys(text: &[u8], edits: &[Edit]) -> Zeroizing<Vec<u8>> {
    let keep: Vec<&String> = edits
        .iter()
        .filter_map(|e| if let Edit::KeepKeys { keep } = e { Some(keep) } else { None })
        .flatten()
        .collect();
    let stays: Vec<usize> = authorized_keys::lines(text)
        .filter_map(|line| match line {
            Line::Key(key) => {
                keep.contains(&&public_key::fingerprint(&key.blob)).then_some(key.number)
            }
            Line::Skipped { .. } => None,
        })
        .collect();
    lines(text)
        .enumerate()
        .filter(|(i, _)| stays.contains(&(i + 1)))
        .flat_map(|(_, line)| line.iter().copied())
        .collect::<Vec<u8>>()
        .into()
}

fn whole(text: &[u8], edits: &[Edit]) -> Zeroizing<Vec<u8>> {
    match edits.last() {
        Some(Edit::Clear) => Zeroizing::new(Vec::new()),
        Some(Edit::Uninitialized) => Zeroizing::new(b"uninitialized\n".to_vec()),
        _ => Zeroizing::new(text.to_vec()),
    }
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
        }
    }
}

/// The escaped form of a name for [`Edit::RemoveMember`] and [`Edit::RemoveSubid`].
pub fn escaped_name(user: &[u8]) -> String {
    escape(user).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_removed_user_leaves_every_group_and_takes_its_own() {
        let text = b"root:x:0:\nann:x:1000:\nvideo:x:44:bob,ann,annette\nteam:x:9:ann\nodd line\n";
        let edits = [Edit::RemoveMember { user: "ann".into() }];
        let new = run(Format::Group, text, &edits).unwrap();
        assert_eq!(&**new, b"root:x:0:\nvideo:x:44:bob,annette\nteam:x:9:\nodd line\n");
    }

    #[test]
    fn the_own_group_stays_while_others_are_in_it() {
        let edits = [Edit::RemoveMember { user: "ann".into() }];
        let new = run(Format::Gshadow, b"ann:!::bob,ann", &edits).unwrap();
        assert_eq!(&**new, b"ann:!::bob");
    }

    #[test]
    fn rows_are_removed_from_the_end() {
        let edits = [Edit::RemoveRow { row: 0 }, Edit::RemoveRow { row: 2 }];
        let new = run(Format::Shadow, b"a:*:\nb:*:\nc:*:\n", &edits).unwrap();
        assert_eq!(&**new, b"b:*:\n");
    }

    #[test]
    fn subordinate_ids_go_by_whole_names() {
        let edits = [Edit::RemoveSubid { user: "ann".into() }];
        let new = run(Format::Subid, b"ann:1:2\nannette:3:4\n", &edits).unwrap();
        assert_eq!(&**new, b"annette:3:4\n");
    }

    #[test]
    fn a_row_that_is_not_there_is_an_error() {
        assert!(run(Format::Shadow, b"a:*:\n", &[Edit::LockShadow { row: 7 }]).is_err());
    }
}
