//! `docs/test-cases.md`: which test proves which case.

/// One row of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// Number of the case, from 1 on.
    pub number: usize,
    /// Where the tests are: a file, and the name of a test in it; without a name, a folder of a
    /// golden case.
    pub tests: Vec<(String, Option<String>)>,
}

/// The rows of the table in `text`; lines that are none are passed over.
///
/// A row is `| T1 | what | tests |`; tests are `` `file` `name` `` or `` `folder` ``, with commas
/// between them.
pub fn parse(text: &str) -> Vec<Case> {
    text.lines().filter_map(row).collect()
}

fn row(line: &str) -> Option<Case> {
    let mut cells = line.strip_prefix("| T")?.split(" | ");
    let number = cells.next()?.parse().ok()?;
    let tests = cells.nth(1)?.trim_end_matches(" |").split(", ").filter_map(test).collect();
    Some(Case { number, tests })
}

fn test(text: &str) -> Option<(String, Option<String>)> {
    let mut quoted = text.split('`').skip(1).step_by(2).map(str::to_owned);
    Some((quoted.next()?, quoted.next()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;

    use super::*;
    use crate::base::repository;

    #[test]
    fn rows_are_read() {
        let rows =
            parse("| T7 | a loop | `a.rs` `one`, `b/two` |\n| x | y |\n| T8 | z | none: why |");
        let test = |file: &str, name: Option<&str>| (file.to_owned(), name.map(str::to_owned));
        let seven = Case { number: 7, tests: vec![test("a.rs", Some("one")), test("b/two", None)] };
        assert_eq!(rows, [seven, Case { number: 8, tests: vec![] }]);
    }

    /// A test of that name: a function, or a trial with a name of its own.
    #[test]
    fn every_named_test_is_there() {
        let text = fs::read_to_string(repository().join("docs/test-cases.md")).unwrap();
        let cases = parse(&text);
        let numbers: BTreeSet<usize> = cases.iter().map(|case| case.number).collect();
        assert!(numbers.into_iter().eq(1..=46), "not T1 to T46, once each");
        for case in &cases {
            for (file, name) in &case.tests {
                let path = repository().join(file);
                assert!(path.exists(), "T{}: no {file}", case.number);
                let Some(name) = name else { continue };
                let source = fs::read_to_string(&path).unwrap();
                let is_there = [format!("fn {name}("), format!("{name}\""), format!("_{name}\"")];
                assert!(
                    is_there.iter().any(|form| source.contains(form.as_str())),
                    "T{}: no {name} in {file}",
                    case.number
                );
            }
        }
        let proven = cases.iter().filter(|case| !case.tests.is_empty()).count();
        assert!(proven >= 42, "only {proven} cases have a test");
    }
}
