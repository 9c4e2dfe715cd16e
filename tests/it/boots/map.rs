//! The table of cases names tests; a name that no test has would be a promise that nobody keeps.

use std::fs;

use disinherit_tests::base::repository;
use disinherit_tests::{Context, Result, expect};

const TABLE: &str = "docs/firstboot-cases.md";
/// The cases of the table's first part, numbered from 1.
const CASES: usize = 30;
/// Those that may have no test, with the reason in the table.
const WITHOUT: [usize; 1] = [6];

/// `known` are the end-to-end tests of first boots.
pub(crate) fn named_tests_exist(known: &[String]) -> Result {
    let path = repository().join(TABLE);
    let text = fs::read_to_string(&path).context(|| format!("read {TABLE}"))?;
    let mut numbered = Vec::new();
    for row in text.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let named: Vec<&str> = names(cells.last().copied().unwrap_or_default());
        for name in &named {
            expect(exists(name, known)?, || format!("{TABLE} names {name}, which is no test"))?;
        }
        if let Some(number) = cells.first().and_then(|cell| cell.parse::<usize>().ok()) {
            let may_lack = WITHOUT.contains(&number);
            expect(may_lack == named.is_empty(), || format!("{TABLE}: tests of case {number}"))?;
            numbered.push(number);
        }
    }
    let all: Vec<usize> = (1..=CASES).collect();
    expect(numbered == all, || format!("{TABLE} has the cases {numbered:?}"))
}

/// Words in backquotes that look like tests.
fn names(cell: &str) -> Vec<&str> {
    let quoted = cell.split('`').skip(1).step_by(2);
    quoted.filter(|word| word.contains("::")).collect()
}

fn exists(name: &str, known: &[String]) -> Result<bool> {
    if known.iter().any(|test| test == name) {
        return Ok(true);
    }
    let Some((file, function)) = name.split_once("::") else { return Ok(false) };
    let text = fs::read_to_string(repository().join(file)).context(|| format!("read {file}"))?;
    Ok(text.contains(&format!("#[test]\nfn {function}()")))
}
