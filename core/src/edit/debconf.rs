//! debconf's database of answers, debconf-devel(7): stanzas between blank lines. The answer to a
//! secret question goes, the question stays and counts as asked.

use super::Cut;
use super::line::lines;
use super::select::{KeyPattern, selects, shown};
use super::value::is_secret;

/// Names of the templates in a `templates.dat` whose answers are passwords, as patterns.
pub fn password_templates(templates: &[u8]) -> Vec<KeyPattern> {
    let mut out = Vec::new();
    let mut name: &[u8] = b"";
    for line in lines(templates) {
        if line.trimmed().is_empty() {
            name = b"";
        } else if let Some(value) = line.text.strip_prefix(b"Name: ") {
            name = value.trim_ascii();
        } else if line.text.strip_prefix(b"Type: ").is_some_and(|t| t.trim_ascii() == b"password") {
            out.extend(std::str::from_utf8(name).ok().and_then(|n| n.parse().ok()));
        }
    }
    out
}

/// The secret answers in `text`, by the name of their template or of the question.
pub(super) fn find(text: &[u8], keys: &[KeyPattern]) -> Vec<Cut> {
    let mut cuts = Vec::new();
    let (mut name, mut secret): (&[u8], bool) = (b"", false);
    for line in lines(text) {
        if line.trimmed().is_empty() {
            (name, secret) = (b"", false);
        }
        let field = |word: &[u8]| line.text.strip_prefix(word).map(<[u8]>::trim_ascii);
        if let Some(value) = field(b"Name:").or(field(b"Template:")) {
            name = value;
            secret |= selects(keys, &value.split(|b| *b == b'/').collect::<Vec<_>>());
        }
        if let Some(value) = field(b"Value:").filter(|v| secret && is_secret(v)) {
            let name = shown(name, |n| selects(keys, &[n]));
            cuts.push(Cut::around(line.start..line.end, line.place_of(value), name));
        }
    }
    cuts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edit::{Edit, Format, run};

    #[test]
    fn answers_of_type_password_go_and_questions_stay() {
        let templates =
            b"Name: app/key\nType: password\nDescription: x\n\nName: app/b\nType: string\n";
        let mut keys = password_templates(templates);
        keys.push("*password*".parse().unwrap());
        let old = "Name: app/one\nTemplate: app/key\nValue: x1\nFlags: seen\n\nName: app/b\nTemplate: app/b\n\
                   Value: y\n\nName: db/root_password\nTemplate: db/root_password\nValue: x2\n\n\
                   Name: db/password-confirm\nValue: true\n";
        let edits: Vec<Edit> = find(old.as_bytes(), &keys).into_iter().map(Edit::Cut).collect();
        let new = run(Format::Spans, old.as_bytes(), &edits).unwrap();
        let expected = old.replace("Value: x1\n", "").replace("Value: x2\n", "");
        assert_eq!(std::str::from_utf8(&new).unwrap(), expected);
        assert!(find(&new, &keys).is_empty());
    }
}
