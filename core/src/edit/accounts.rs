//! passwd(5), shadow(5), group(5), gshadow(5), subuid(5) and subgid(5): fields, rows, members.

use zeroize::Zeroizing;

use super::{Edit, lines};
use crate::Result;
use crate::text::{GShadow, Group, Passwd, Shadow, classify};

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

pub(super) fn passwd(text: &[u8], edits: &[Edit]) -> Result<Zeroizing<Vec<u8>>> {
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

pub(super) fn shadow(text: &[u8], edits: &[Edit]) -> Result<Zeroizing<Vec<u8>>> {
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

pub(super) fn group(text: &[u8], edits: &[Edit]) -> Result<Zeroizing<Vec<u8>>> {
    let mut file = Group::parse(text);
    for edit in edits {
        if let Edit::GroupField { row } = edit {
            file.set_password(*row, b"x")?;
        }
    }
    Ok(without_members(&file.to_bytes(), edits, &[3]))
}

pub(super) fn gshadow(text: &[u8], edits: &[Edit]) -> Result<Zeroizing<Vec<u8>>> {
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

pub(super) fn subid(text: &[u8], edits: &[Edit]) -> Zeroizing<Vec<u8>> {
    let gone = |line: &[u8]| {
        edits.iter().any(|e| {
            let Edit::RemoveSubid { user } = e else { return false };
            line.strip_prefix(name(user).as_slice()).is_some_and(|rest| rest.starts_with(b":"))
        })
    };
    lines(text).filter(|line| !gone(line)).flatten().copied().collect::<Vec<u8>>().into()
}

/// The password fields of account rows that hold one.
pub(crate) fn passwords<'a>(
    rows: impl Iterator<Item = &'a [u8]>,
) -> impl Iterator<Item = &'a [u8]> {
    rows.filter_map(|row| row.split(|b| *b == b':').nth(1))
        .filter(|field| classify(field).holds_secret())
}

#[cfg(test)]
mod tests {
    use super::super::{Edit, Format, run};

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
