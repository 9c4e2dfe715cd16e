//! All errors of one configuration, told at once.

use std::fmt;

/// What is wrong with a configuration; every entry names its option.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Problems(Vec<String>);

impl Problems {
    /// Adds a problem of one option.
    pub fn add(&mut self, option: &str, what: impl fmt::Display) {
        self.0.push(format!("{option}: {what}"));
    }

    /// Adds a problem that is not about one option.
    pub fn general(&mut self, what: impl Into<String>) {
        self.0.push(what.into());
    }

    /// Adds the problems of another check.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// The problems so far.
    #[must_use]
    pub fn list(&self) -> &[String] {
        &self.0
    }

    /// `Ok` when there is none.
    ///
    /// # Errors
    /// Itself, when there is one.
    pub fn into_result(self) -> Result<(), Self> {
        if self.0.is_empty() { Ok(()) } else { Err(self) }
    }
}

/// The form in which Packer's own components report several errors.
impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.len();
        writeln!(f, "{count} error{} occurred:", if count == 1 { "" } else { "s" })?;
        for problem in &self.0 {
            write!(f, "\n* {problem}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_and_many_read_as_from_packer_itself() {
        let mut problems = Problems::default();
        assert!(problems.clone().into_result().is_ok());
        problems.add("erase", "wrong");
        assert_eq!(problems.to_string(), "1 error occurred:\n\n* erase: wrong");
        problems.add("proof", "wrong too");
        assert_eq!(
            problems.to_string(),
            "2 errors occurred:\n\n* erase: wrong\n* proof: wrong too"
        );
    }
}
