//! What every editor of colon separated rows must keep, however odd the text.

/// Line `index` of a text with its line end.
pub fn line(text: &[u8], index: usize) -> &[u8] {
    text.split_inclusive(|byte| *byte == b'\n').nth(index).unwrap_or_default()
}

/// Asserts that `after` is `before` with another second field in the lines `edited`, and that every
/// other byte is the same.
pub fn assert_only_passwords_differ(before: &[u8], after: &[u8], edited: &[usize]) {
    let lines = |text: &[u8]| text.split_inclusive(|byte| *byte == b'\n').count();
    assert_eq!(lines(before), lines(after), "a line was lost or merged");
    for index in 0..lines(before) {
        let (before, after) = (line(before, index), line(after, index));
        if !edited.contains(&index) {
            assert_eq!(before, after, "a line that was not edited");
            continue;
        }
        let (before, after) = (around_password(before), around_password(after));
        assert_eq!(before, after, "more than the password");
    }
}

/// What stands before the second field, and after it with the line end.
fn around_password(line: &[u8]) -> (&[u8], &[u8]) {
    let start = line.iter().position(|byte| *byte == b':').map_or(line.len(), |colon| colon + 1);
    let (head, tail) = line.split_at(start);
    let content = tail.strip_suffix(b"\n").unwrap_or(tail);
    let content = content.strip_suffix(b"\r").unwrap_or(content);
    let end = content.iter().position(|byte| *byte == b':').unwrap_or(content.len());
    (head, &tail[end..])
}
