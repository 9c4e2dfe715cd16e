//! XML: secret elements and attributes go, because an empty one would mean an empty password to some
//! programs. `<add key="NAME" value="..."/>` is how .NET writes a setting.

use std::ops::Range;

use roxmltree::{Document, Node};

use super::select::{KeyPattern, selects};
use super::unfit::Unfit;
use super::value::is_secret;
use super::{Cut, url};

/// Attributes that name a setting whose value stands in another one.
const NAMING: &[&str] = &["key", "name"];

/// The secret elements and attributes of `text`, and the logins in all its URLs.
pub(super) fn find(text: &[u8], keys: &[KeyPattern]) -> Result<Vec<Cut>, Unfit> {
    let broken = Unfit::Broken("XML");
    let source = std::str::from_utf8(text).map_err(|_| broken)?;
    if source.trim().is_empty() {
        return Ok(Vec::new());
    }
    let document = Document::parse(source).map_err(|_| broken)?;
    let mut cuts = Vec::new();
    for node in document.root().descendants() {
        if node.is_element() {
            element(text, node, keys, &mut cuts);
        } else if node.is_text() || node.is_comment() {
            texts(text, node, keys, &mut cuts);
        }
    }
    Ok(cuts)
}

fn path<'a>(node: Node<'a, '_>) -> Vec<&'a [u8]> {
    let names = node.ancestors().filter(Node::is_element).map(|n| n.tag_name().name().as_bytes());
    let mut path: Vec<&[u8]> = names.collect();
    path.reverse();
    path
}

fn element(text: &[u8], node: Node<'_, '_>, keys: &[KeyPattern], cuts: &mut Vec<Cut>) {
    let mut path = path(node);
    let named = NAMING.iter().filter_map(|n| node.attribute(*n)).any(|name| {
        path.push(name.as_bytes());
        let found = selects(keys, &path);
        path.pop();
        found
    });
    for attribute in node.attributes() {
        let (name, value) = (attribute.name(), attribute.range_value());
        path.push(name.as_bytes());
        let wanted = selects(keys, &path);
        path.pop();
        let goes = wanted || named && name == "value";
        if !goes || !secret(text, &value) {
            cuts.extend(url::in_span(text, value));
        } else if named {
            cuts.push(Cut::around(lines_of(text, node.range()), value, name.as_bytes()));
        } else {
            let blank = text.get(..attribute.range().start).unwrap_or_default();
            let start = blank.trim_ascii_end().len();
            let span = start..attribute.range().end;
            cuts.push(Cut::around(span, value, name.as_bytes()));
        }
    }
}

fn texts(text: &[u8], node: Node<'_, '_>, keys: &[KeyPattern], cuts: &mut Vec<Cut>) {
    let span = node.range();
    let path = path(node);
    // The outermost element of a document has to stay.
    let parent = node.parent_element().filter(|p| p.parent_element().is_some());
    match parent.filter(|_| node.is_text() && selects(keys, &path) && secret(text, &span)) {
        Some(parent) => {
            let name = path.last().copied().unwrap_or_default();
            cuts.push(Cut::around(lines_of(text, parent.range()), span, name));
        }
        None => cuts.extend(url::in_span(text, span)),
    }
}

/// An element that has its lines for itself goes with them. Only blanks are looked at: a file may be one
/// line with any number of elements.
fn lines_of(text: &[u8], span: Range<usize>) -> Range<usize> {
    let blank = |b: &&u8| b.is_ascii_whitespace() && **b != b'\n';
    let before = text.get(..span.start).unwrap_or_default();
    let start = span.start - before.iter().rev().take_while(blank).count();
    let behind = text.get(span.end..).unwrap_or_default();
    let end = span.end + behind.iter().take_while(blank).count();
    let begins = start == 0 || text.get(start - 1) == Some(&b'\n');
    match text.get(end) {
        Some(b'\n') if begins => start..end + 1,
        None if begins => start..end,
        _ => span,
    }
}

fn secret(text: &[u8], span: &Range<usize>) -> bool {
    is_secret(text.get(span.clone()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edit::{Edit, Format, run};
    use proptest::prelude::*;

    fn edited(text: &str, keys: &[&str]) -> Result<String, Unfit> {
        let keys: Vec<KeyPattern> = keys.iter().map(|k| k.parse().unwrap()).collect();
        let edits: Vec<Edit> = find(text.as_bytes(), &keys)?.into_iter().map(Edit::Cut).collect();
        let new = run(Format::Spans, text.as_bytes(), &edits).unwrap();
        Ok(String::from_utf8(new.to_vec()).unwrap())
    }

    #[test]
    fn secrets_go_and_markup_stays() {
        for (old, new) in [
            ("<s><id>a</id><password>x1</password></s>", "<s><id>a</id></s>"),
            ("<s>\n  <password>x1</password>\n  <b/>\n</s>", "<s>\n  <b/>\n</s>"),
            ("<a><add key='ClearTextPassword' value='x1'/></a>", "<a></a>"),
            ("<a password=\"x1\" b='1'/>", "<a b='1'/>"),
            ("<a>http://u:p@h/</a>", "<a>http://h/</a>"),
            ("<a><password>${env.P}</password></a>", "<a><password>${env.P}</password></a>"),
        ] {
            assert_eq!(edited(old, &["*password"]).unwrap(), new);
            assert_eq!(edited(new, &["*password"]).unwrap(), new);
        }
    }

    #[test]
    fn what_is_no_xml_is_refused() {
        assert!(edited("<a>", &[]).is_err());
        assert!(edited(&"<a>".repeat(50_000), &[]).is_err());
    }

    proptest! {
        #[test]
        fn markup_survives_and_twice_is_once(
            parts in proptest::collection::vec(("(a|password)", "[a-z0-9 ]{0,6}"), 0..6),
        ) {
            let inner: String = parts.iter().map(|(n, v)| format!("<{n} x='{v}'>{v}</{n}>\n")).collect();
            let old = format!("<r>{inner}</r>");
            let new = edited(&old, &["password"]).unwrap();
            prop_assert_eq!(edited(&new, &["password"]).unwrap(), new.clone());
            prop_assert!(Document::parse(&new).is_ok());
            for (_, value) in parts.iter().filter(|(name, _)| name == "a") {
                let element = format!(">{value}</a>");
                prop_assert!(new.contains(&element));
            }
        }
    }
}
