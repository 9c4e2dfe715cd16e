//! What JSON and YAML have in common: a tree of mappings and lists with places in the file, and the
//! removal of members so that everything else stays as it was written.

use std::ops::Range;

use super::select::{KeyPattern, selects, shown};
use super::value::is_secret;
use super::{Cut, url};

/// Deeper than any configuration; hostile files are refused instead of filling the stack.
pub(super) const DEEPEST: usize = 100;

/// What netplan reads for a key that was removed.
const NO_KEY: &str = "/run/netplan/removed.key";

/// A value with its place.
#[derive(Debug)]
pub(super) struct Node {
    /// Where it stands.
    pub(super) span: Range<usize>,
    /// What it is.
    pub(super) kind: Kind,
}

/// What a value is.
#[derive(Debug)]
pub(super) enum Kind {
    /// Text, a number, a word.
    Scalar,
    /// An alias, or a value that one may refer to: it cannot be removed alone.
    Shared,
    /// Members by name.
    Map {
        /// In the order of the file.
        entries: Vec<Entry>,
        /// In braces; else one a line.
        flow: bool,
    },
    /// Values in a row.
    List(Vec<Node>),
}

/// A member of a mapping.
#[derive(Debug)]
pub(super) struct Entry {
    /// Its name without quotes.
    pub(super) name: Vec<u8>,
    /// Where the name stands.
    pub(super) key: Range<usize>,
    /// What it holds.
    pub(super) value: Node,
}

impl Entry {
    fn span(&self) -> Range<usize> {
        self.key.start..self.value.span.end.max(self.key.end)
    }
}

/// Which members are secret.
pub(super) struct Secrets<'a> {
    /// By name and path.
    pub(super) keys: &'a [KeyPattern],
    /// The data of Secret objects of Kubernetes too.
    pub(super) kubernetes: bool,
}

/// A secret that cannot be taken out without changing something else.
#[derive(Debug)]
pub(super) struct Shared;

/// The secret members of `root`, and the logins in URLs of all others. Lists add nothing to a path.
pub(super) fn find(text: &[u8], root: &Node, secrets: &Secrets<'_>) -> Result<Vec<Cut>, Shared> {
    let mut out = Vec::new();
    visit(text, root, secrets, &mut Vec::new(), &mut out)?;
    Ok(out)
}

fn visit<'n>(
    text: &[u8],
    node: &'n Node,
    secrets: &Secrets<'_>,
    path: &mut Vec<&'n [u8]>,
    out: &mut Vec<Cut>,
) -> Result<(), Shared> {
    match &node.kind {
        Kind::Scalar | Kind::Shared => out.extend(url::in_span(text, node.span.clone())),
        Kind::List(items) => {
            for item in items {
                visit(text, item, secrets, path, out)?;
            }
        }
        Kind::Map { entries, flow } => {
            let object = secrets.kubernetes && is_secret_object(text, entries);
            let mut gone = vec![false; entries.len()];
            for (entry, gone) in entries.iter().zip(&mut gone) {
                path.push(&entry.name);
                let data = object && matches!(entry.name.as_slice(), b"data" | b"stringData");
                *gone = (data || selects(secrets.keys, path)) && holds_secret(text, &entry.value)?;
                if *gone && tunnel_key(path) && matches!(entry.value.kind, Kind::Scalar) {
                    *gone = false;
                    let span = entry.value.span.clone();
                    out.push(Cut::around(span.clone(), span, &entry.name).put(NO_KEY));
                } else if !*gone {
                    visit(text, &entry.value, secrets, path, out)?;
                }
                path.pop();
            }
            if gone.contains(&true) {
                let remove = if *flow { remove_flow } else { remove_block };
                out.extend(remove(text, &node.span, entries, &gone));
            }
        }
    }
    Ok(())
}

/// The private key of a WireGuard tunnel in netplan, which sets up no network at all where one is
/// missing. It may also name a file, and a file that is not there costs its tunnel only.
fn tunnel_key(path: &[&[u8]]) -> bool {
    matches!(
        path,
        [b"network", b"tunnels", _, b"key"] | [b"network", b"tunnels", _, b"keys", b"private"]
    )
}

/// `kind: Secret`.
fn is_secret_object(text: &[u8], entries: &[Entry]) -> bool {
    entries.iter().filter(|e| e.name == b"kind").any(|e| {
        let value = text.get(e.value.span.clone()).unwrap_or_default();
        super::value::unquoted(value) == b"Secret"
    })
}

fn holds_secret(text: &[u8], node: &Node) -> Result<bool, Shared> {
    match &node.kind {
        Kind::Scalar => Ok(is_secret(text.get(node.span.clone()).unwrap_or_default())),
        Kind::Shared => Err(Shared),
        Kind::List(items) => any(items.iter().map(|item| holds_secret(text, item))),
        Kind::Map { entries, .. } => any(entries.iter().map(|e| holds_secret(text, &e.value))),
    }
}

fn any(found: impl Iterator<Item = Result<bool, Shared>>) -> Result<bool, Shared> {
    let mut all = found.collect::<Result<Vec<bool>, Shared>>()?;
    all.retain(|is| *is);
    Ok(!all.is_empty())
}

/// Runs of neighbours that go: first and last index.
fn runs(gone: &[bool]) -> Vec<(usize, usize)> {
    let mut out: Vec<(usize, usize)> = Vec::new();
    for (i, _) in gone.iter().enumerate().filter(|(_, gone)| **gone) {
        match out.last_mut() {
            Some((_, last)) if *last + 1 == i => *last = i,
            _ => out.push((i, i)),
        }
    }
    out
}

fn named(span: Range<usize>, first: &Entry, last: &Entry) -> Cut {
    let secret = first.value.span.start..last.value.span.end.max(first.value.span.start);
    Cut::around(span, secret, shown(&first.name, |_| false))
}

/// In braces a member goes with the comma behind it, the last one with the comma before it.
fn remove_flow(_: &[u8], map: &Range<usize>, entries: &[Entry], gone: &[bool]) -> Vec<Cut> {
    let all = !gone.contains(&false);
    let cut = |(i, j): (usize, usize)| {
        let (first, last) = (entries.get(i)?, entries.get(j)?);
        let before = i.checked_sub(1).and_then(|i| entries.get(i));
        let span = match (before, entries.get(j + 1)) {
            _ if all => map.start + 1..map.end.saturating_sub(1).max(map.start + 1),
            (_, Some(next)) => first.key.start..next.key.start,
            (Some(before), None) => before.span().end..last.span().end,
            (None, None) => return None,
        };
        Some(named(span, first, last))
    };
    runs(gone).into_iter().filter_map(cut).collect()
}

/// One a line a member goes with its lines; the last one leaves `{}`, so that a mapping stays one.
fn remove_block(text: &[u8], _: &Range<usize>, entries: &[Entry], gone: &[bool]) -> Vec<Cut> {
    let all = !gone.contains(&false);
    let cut = |(i, j): (usize, usize)| {
        let (first, last) = (entries.get(i)?, entries.get(j)?);
        let end = last.span().end;
        if all {
            let whole = text.get(first.key.start..end)?.trim_ascii_end().len();
            let span = first.key.start..first.key.start + whole;
            return Some(named(span, first, last).put("{}"));
        }
        let line = text.get(..first.key.start)?;
        let margin = line.iter().rposition(|b| *b == b'\n').map_or(0, |n| n + 1);
        let alone = line.get(margin..)?.iter().all(|b| matches!(b, b' ' | b'\t'));
        // Behind the dash of a list the next member moves up.
        let span = match (alone, entries.get(j + 1)) {
            (true, _) => margin..line_end(text, end),
            (false, Some(next)) => first.key.start..next.key.start,
            (false, None) => first.key.start..end,
        };
        Some(named(span, first, last))
    };
    runs(gone).into_iter().filter_map(cut).collect()
}

/// Behind the end of the line of `at`, which may lie there already.
fn line_end(text: &[u8], at: usize) -> usize {
    if text.get(..at).is_some_and(|before| before.ends_with(b"\n")) {
        return at;
    }
    let rest = text.get(at..).unwrap_or_default();
    rest.iter().position(|b| *b == b'\n').map_or(text.len(), |n| at + n + 1)
}
