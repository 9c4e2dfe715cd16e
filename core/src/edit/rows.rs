//! Rows that are secrets from end to end: chap-secrets of pppd(8), secrets of mount.davfs(8). The
//! comments of such files are their documentation and stay.

use super::Cut;
use super::line::lines;
use super::select::{KeyPattern, selects};

/// The rows whose first word is selected.
pub(super) fn find(text: &[u8], keys: &[KeyPattern]) -> Vec<Cut> {
    lines(text)
        .filter(|line| !line.trimmed().is_empty() && line.commented(b"#;").is_none())
        .filter_map(|line| {
            let body = line.trimmed();
            let end = body.iter().position(u8::is_ascii_whitespace).unwrap_or(body.len());
            let name = body.get(..end)?;
            selects(keys, &[name])
                .then(|| Cut::around(line.start..line.end, line.place_of(body), b"row"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edit::{Edit, Format, run};

    fn edited(text: &str, key: &str) -> String {
        let keys = [key.parse().unwrap()];
        let edits: Vec<Edit> = find(text.as_bytes(), &keys).into_iter().map(Edit::Cut).collect();
        String::from_utf8(run(Format::Spans, text.as_bytes(), &edits).unwrap().to_vec()).unwrap()
    }

    #[test]
    fn rows_go_and_comments_stay() {
        assert_eq!(edited("# c\n\na * s3cret *\n\tb x y", "*"), "# c\n\n");
        assert_eq!(
            edited("127.0.0.1 localhost\n127.0.1.1 me\n", "127.0.1.1"),
            "127.0.0.1 localhost\n"
        );
    }
}
