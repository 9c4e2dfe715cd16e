//! Lines with their places in the file.

use std::ops::Range;

/// One line.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line<'a> {
    /// Offset of the first byte.
    pub(super) start: usize,
    /// Offset behind the line end.
    pub(super) end: usize,
    /// The line without its line end.
    pub(super) text: &'a [u8],
}

/// All lines of a file, from the first to the last.
pub(super) fn lines(text: &[u8]) -> impl Iterator<Item = Line<'_>> {
    let mut start = 0;
    text.split_inclusive(|b| *b == b'\n').map(move |whole| {
        let line = whole.strip_suffix(b"\n").unwrap_or(whole);
        let line = Line {
            start,
            end: start + whole.len(),
            text: line.strip_suffix(b"\r").unwrap_or(line),
        };
        start = line.end;
        line
    })
}

impl<'a> Line<'a> {
    /// Blanks at its beginning, in bytes.
    pub(super) fn indent(&self) -> usize {
        self.text.len() - self.text.trim_ascii_start().len()
    }

    /// The line without the blanks around it.
    pub(super) fn trimmed(&self) -> &'a [u8] {
        self.text.trim_ascii()
    }

    /// Behind the marks of a comment, when the line is one.
    pub(super) fn commented(&self, marks: &[u8]) -> Option<&'a [u8]> {
        let body = self.trimmed();
        let first = body.first().filter(|b| marks.contains(b))?;
        let mut rest = body;
        while rest.first() == Some(first) {
            rest = rest.get(1..).unwrap_or_default();
        }
        Some(rest.trim_ascii_start())
    }

    /// The place of `part`, a piece of this line.
    pub(super) fn place_of(&self, part: &[u8]) -> Range<usize> {
        // Both are slices of one file, so that the difference of their addresses is an offset.
        let offset = (part.as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize);
        let start = (self.start + offset).min(self.end);
        start..(start + part.len()).min(self.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_know_their_places() {
        let text = b"a = b\r\n\n  # c: d";
        let all: Vec<Line<'_>> = lines(text).collect();
        assert_eq!(all.len(), 3);
        assert_eq!((all[0].text, all[0].end), (&b"a = b"[..], 7));
        assert_eq!(all[2].commented(b"#;"), Some(&b"c: d"[..]));
        assert_eq!(all[2].indent(), 2);
        let part = all[2].text.get(4..5).unwrap();
        assert_eq!(&text[all[2].place_of(part)], b"c");
    }
}
