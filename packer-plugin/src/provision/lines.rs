//! Output cut into lines. A report is one line and may have megabytes, so that the limit for lines
//! which are only shown would cut it.

/// A line longer than this is given up.
const MOST: usize = 64 * 1024 * 1024;

/// Collects pieces of output and hands over whole lines.
#[derive(Default)]
pub(super) struct Lines {
    buffer: Vec<u8>,
    skipping: bool,
}

impl Lines {
    /// Takes a piece; `emit` gets each line that is complete, without trailing white space, and of
    /// a line that was redrawn with `\r` what was drawn last.
    pub(super) fn push(&mut self, piece: &[u8], emit: &mut dyn FnMut(&str)) {
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            if !self.skipping {
                self.buffer.extend_from_slice(part);
            }
            self.skipping |= self.buffer.len() > MOST;
            if part.ends_with(b"\n") {
                self.finish(emit);
            }
        }
    }

    /// Hands over what follows the last newline.
    pub(super) fn finish(&mut self, emit: &mut dyn FnMut(&str)) {
        let line = std::mem::take(&mut self.buffer);
        if std::mem::take(&mut self.skipping) {
            emit("(a line of more than 64 MiB was left out)");
            return;
        }
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end();
        let shown = text.rsplit('\r').next().unwrap_or(text);
        if !shown.is_empty() {
            emit(shown);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cut(pieces: &[&[u8]]) -> Vec<String> {
        let mut found = Vec::new();
        let mut lines = Lines::default();
        for piece in pieces {
            lines.push(piece, &mut |line| found.push(line.to_owned()));
        }
        lines.finish(&mut |line| found.push(line.to_owned()));
        found
    }

    #[test]
    fn progress_bars_and_terminals() {
        assert_eq!(cut(&[b"10%\r20%\r\nnext  \n\nlast"]), ["20%", "next", "last"]);
    }

    proptest! {
        #[test]
        fn where_pieces_end_does_not_matter(text in "[a-z\r\n ]{0,60}", at in 0_usize..60) {
            let at = at.min(text.len());
            let whole = cut(&[text.as_bytes()]);
            prop_assert_eq!(cut(&[&text.as_bytes()[..at], &text.as_bytes()[at..]]), whole);
        }
    }
}
