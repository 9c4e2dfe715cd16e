use std::fmt;

use super::command::Sink;

/// Longest line that is kept together; a longer one is passed on in pieces.
const MAX_LINE: usize = 64 * 1024;

/// Cuts output into lines as Packer's own provisioners show them: cut at `\n`, without trailing
/// white space, and of a line that was redrawn with `\r` what was drawn last. Bytes that are not
/// UTF-8 become U+FFFD. What follows the last `\n` is a line too, once the splitter is dropped.
pub struct LineSplitter<F: FnMut(&str)> {
    buffer: Vec<u8>,
    emit: F,
}

/// A sink for [`super::Command`] that hands over lines.
pub fn lines(emit: impl FnMut(&str) + Send + 'static) -> Sink {
    let mut splitter = LineSplitter::new(emit);
    Box::new(move |bytes| splitter.push(bytes))
}

impl<F: FnMut(&str)> LineSplitter<F> {
    /// A splitter that calls `emit` for each line.
    pub fn new(emit: F) -> Self {
        Self { buffer: Vec::new(), emit }
    }

    /// Takes the next bytes of output.
    pub fn push(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.buffer.extend_from_slice(piece);
            if piece.ends_with(b"\n") || self.buffer.len() >= MAX_LINE {
                self.flush();
            }
        }
    }

    fn flush(&mut self) {
        let line = std::mem::take(&mut self.buffer);
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end();
        let shown = text.rsplit('\r').next().unwrap_or(text);
        (self.emit)(shown);
    }
}

impl<F: FnMut(&str)> Drop for LineSplitter<F> {
    fn drop(&mut self) {
        if !self.buffer.is_empty() {
            self.flush();
        }
    }
}

impl<F: FnMut(&str)> fmt::Debug for LineSplitter<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LineSplitter").field("buffered", &self.buffer.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(pieces: &[&[u8]]) -> Vec<String> {
        let mut out = Vec::new();
        let mut splitter = LineSplitter::new(|line: &str| out.push(line.to_owned()));
        for piece in pieces {
            splitter.push(piece);
        }
        drop(splitter);
        out
    }

    #[test]
    fn lines_across_pieces() {
        assert_eq!(split(&[b"a", b"b\r\n\nc  \nlast"]), ["ab", "", "c", "last"]);
    }

    #[test]
    fn redrawn_lines_and_foreign_bytes() {
        assert_eq!(split(&[b"10%\r50%\r100%\r\n", b"\xff\n"]), ["100%", "\u{fffd}"]);
    }

    #[test]
    fn an_endless_line_is_cut() {
        let lines = split(&[&vec![b'x'; MAX_LINE], b"tail"]);
        assert_eq!(lines.iter().map(String::len).collect::<Vec<_>>(), [MAX_LINE, 4]);
    }
}
