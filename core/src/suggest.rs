//! The word that somebody probably meant.

/// The known name nearest to `typed`, if it is near enough to be what was meant.
pub fn nearest<'a>(typed: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (typed.chars().count() / 3).max(1);
    known
        .map(|name| (distance(typed, name), name))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// How many characters to add, drop, change or swap with their neighbour (optimal string alignment).
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    // Rows of the table for one character less and two less of `from`.
    let mut row: Vec<usize> = (0..=to.len()).collect();
    let mut above: Vec<usize> = Vec::new();
    let mut before = None;
    for (line, a) in from.chars().enumerate() {
        let mut next = vec![line + 1];
        for (column, b) in to.iter().enumerate() {
            let at =
                |row: &[usize], column: usize| row.get(column).copied().unwrap_or(usize::MAX / 2);
            let change = at(&row, column) + usize::from(a != *b);
            let mut least = change.min(at(&next, column) + 1).min(at(&row, column + 1) + 1);
            let previous = column.checked_sub(1).and_then(|i| Some((i, to.get(i)?)));
            if let Some((i, p)) = previous {
                if *p == a && before == Some(*b) {
                    least = least.min(at(&above, i) + 1);
                }
            }
            next.push(least);
        }
        above = std::mem::replace(&mut row, next);
        before = Some(a);
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (a, b, d) in [
            ("", "", 0),
            ("abc", "abc", 0),
            ("", "abc", 3),
            ("kitten", "sitting", 3),
            ("tirm", "trim", 1),
            ("ab", "ba", 1),
            ("abcd", "badc", 2),
        ] {
            assert_eq!(distance(a, b), d, "{a} {b}");
            assert_eq!(distance(b, a), d, "{b} {a}");
        }
    }

    #[test]
    fn near_names_are_offered_and_far_ones_not() {
        let known = ["keep_users", "remove_users", "erase"];
        assert_eq!(nearest("keep_user", known.into_iter()), Some("keep_users"));
        assert_eq!(nearest("eraze", known.into_iter()), Some("erase"));
        assert_eq!(nearest("inline", known.into_iter()), None);
    }
}
