//! YAML 1.2, and cloud-config with it: members go with their lines, everything else stays.

use std::ops::Range;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use super::line::lines;
use super::select::{KeyPattern, selects, shown};
use super::tree::{self, DEEPEST, Entry, Kind, Node, Secrets};
use super::unfit::Unfit;
use super::value::{unquoted, was_in_use};
use super::{Cut, url};

/// The secret members of every document in `text`, and the logins in all its URLs. With
/// `kubernetes` the data of Secret objects too.
pub(super) fn find(text: &[u8], keys: &[KeyPattern], kubernetes: bool) -> Result<Vec<Cut>, Unfit> {
    let broken = Unfit::Broken("YAML");
    let source = std::str::from_utf8(text).map_err(|_| broken)?;
    let secrets = Secrets { keys, kubernetes };
    let mut cuts = Vec::new();
    for root in documents(source).ok_or(broken)? {
        cuts.extend(tree::find(text, &root, &secrets).map_err(|_| Unfit::Shared)?);
    }
    cuts.extend(comments(text, keys));
    Ok(cuts)
}

/// Members in comments that were in use.
fn comments(text: &[u8], keys: &[KeyPattern]) -> Vec<Cut> {
    let mut cuts = Vec::new();
    for line in lines(text) {
        let Some(body) = line.commented(b"#") else { continue };
        let body = body.strip_prefix(b"- ").unwrap_or(body);
        let parts = body.iter().position(|b| *b == b':').map(|at| body.split_at(at));
        let secret = parts.is_some_and(|(key, value)| {
            selects(keys, &[unquoted(key)]) && was_in_use(value.get(1..).unwrap_or_default())
        });
        if secret {
            let name = shown(unquoted(parts.map_or(body, |(key, _)| key)), |n| selects(keys, &[n]));
            let value = line.place_of(parts.map_or(body, |(_, value)| value));
            cuts.push(Cut::around(line.start..line.end, value, name));
        } else {
            cuts.extend(url::in_line(text, &line));
        }
    }
    cuts
}

/// Byte offsets of characters, which the parser counts.
struct Offsets {
    /// None where every character is one byte.
    bytes: Option<Vec<usize>>,
}

impl Offsets {
    fn of(source: &str) -> Self {
        let all = || source.char_indices().map(|(at, _)| at).chain([source.len()]).collect();
        Self { bytes: (!source.is_ascii()).then(all) }
    }

    fn at(&self, character: usize) -> usize {
        match &self.bytes {
            Some(bytes) => bytes.get(character).or(bytes.last()).copied().unwrap_or_default(),
            None => character,
        }
    }

    fn span(&self, span: Span) -> Range<usize> {
        let start = self.at(span.start.index());
        start..self.at(span.end.index()).max(start)
    }
}

/// A mapping or list that is not at its end yet.
struct Open {
    start: usize,
    flow: bool,
    /// An anchor refers to it.
    shared: bool,
    map: bool,
    key: Option<(Vec<u8>, Range<usize>)>,
    entries: Vec<Entry>,
    items: Vec<Node>,
}

struct Builder<'a> {
    source: &'a str,
    offsets: Offsets,
    open: Vec<Open>,
    roots: Vec<Node>,
}

/// The roots of all documents; none for what is no YAML or nests without end.
fn documents(source: &str) -> Option<Vec<Node>> {
    let mut builder =
        Builder { source, offsets: Offsets::of(source), open: Vec::new(), roots: Vec::new() };
    for event in Parser::new_from_str(source) {
        let (event, span) = event.ok()?;
        builder.event(event, span)?;
    }
    builder.open.is_empty().then_some(builder.roots)
}

impl Builder<'_> {
    fn event(&mut self, event: Event<'_>, span: Span) -> Option<()> {
        match event {
            Event::Scalar(value, style, anchor, _) => {
                let span = self.scalar(self.offsets.span(span), style, &value);
                let kind = if anchor == 0 { Kind::Scalar } else { Kind::Shared };
                self.put(Node { span, kind }, Some(value.as_bytes()))
            }
            Event::Alias(_) => {
                let span = self.offsets.span(span);
                self.put(Node { span, kind: Kind::Shared }, None)
            }
            Event::MappingStart(anchor, _) => self.begin(span, anchor, true),
            Event::SequenceStart(anchor, _) => self.begin(span, anchor, false),
            Event::MappingEnd | Event::SequenceEnd => self.end(span),
            _ => Some(()),
        }
    }

    fn begin(&mut self, span: Span, anchor: usize, map: bool) -> Option<()> {
        if self.open.len() >= DEEPEST {
            return None;
        }
        let place = self.offsets.span(span);
        let text = self.source.as_bytes().get(place.clone())?;
        let flow = text.ends_with(b"{") || text.ends_with(b"[");
        let start = if flow { place.end - 1 } else { place.start };
        let (key, entries, items) = (None, Vec::new(), Vec::new());
        self.open.push(Open { start, flow, shared: anchor != 0, map, key, entries, items });
        Some(())
    }

    fn end(&mut self, span: Span) -> Option<()> {
        let open = self.open.pop()?;
        // In blocks the parser sees the end at the next token only.
        let last = open.entries.last().map(|e| e.value.span.end.max(e.key.end));
        let last = last.or(open.items.last().map(|item| item.span.end));
        let end = match last {
            Some(last) if !open.flow => last,
            _ => self.offsets.span(span).end,
        };
        let kind = match open {
            Open { shared: true, .. } => Kind::Shared,
            Open { map: true, entries, flow, .. } => Kind::Map { entries, flow },
            Open { items, .. } => Kind::List(items),
        };
        self.put(Node { span: open.start..end.max(open.start), kind }, None)
    }

    /// `name` is the text of a scalar, which a key needs.
    fn put(&mut self, node: Node, name: Option<&[u8]>) -> Option<()> {
        let Some(open) = self.open.last_mut() else {
            self.roots.push(node);
            return Some(());
        };
        if !open.map {
            open.items.push(node);
            return Some(());
        }
        match open.key.take() {
            Some((name, key)) => open.entries.push(Entry { name, key, value: node }),
            None => open.key = Some((name.unwrap_or_default().to_vec(), node.span)),
        }
        Some(())
    }

    /// The place of a scalar: the parser counts what follows on the line of quoted text, and the
    /// blank lines behind a block, as part of it.
    fn scalar(&self, span: Range<usize>, style: ScalarStyle, value: &str) -> Range<usize> {
        let text = self.source.as_bytes().get(span.clone()).unwrap_or_default();
        let quote = match style {
            ScalarStyle::SingleQuoted => b'\'',
            ScalarStyle::DoubleQuoted => b'"',
            // `|+` keeps the blank lines behind it.
            ScalarStyle::Literal | ScalarStyle::Folded if value.ends_with("\n\n") => {
                let end = text.iter().rposition(|b| *b == b'\n').map_or(0, |n| n + 1);
                return span.start..span.start + end;
            }
            _ => return span.start..span.start + text.trim_ascii_end().len(),
        };
        let Some(open) = text.iter().position(|b| *b == quote) else { return span };
        let mut i = open + 1;
        while let Some(b) = text.get(i) {
            match b {
                b'\\' if quote == b'"' => i += 1,
                b'\'' if quote == b'\'' && text.get(i + 1) == Some(&b'\'') => i += 1,
                b if *b == quote => return span.start + open..span.start + i + 1,
                _ => {}
            }
            i += 1;
        }
        span
    }
}

#[cfg(test)]
#[path = "yaml_tests.rs"]
mod tests;
