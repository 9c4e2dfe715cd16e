//! Named steps with their times, printed as they happen and once more as a table.

use std::io;
use std::time::{Duration, Instant};

use crate::{Failure, Result};

/// One finished step.
#[derive(Debug)]
struct Step {
    name: String,
    took: Duration,
    failure: Option<String>,
}

/// A story told step by step. After a failed step the rest may go on; [`Self::finish`] fails
/// if any step did.
#[derive(Debug)]
pub struct Steps<W> {
    out: W,
    done: Vec<Step>,
}

impl Steps<io::Stdout> {
    /// Tells it on standard output.
    pub fn on_stdout() -> Self {
        Self::to(io::stdout())
    }
}

impl<W: io::Write> Steps<W> {
    /// Tells it to `out`.
    pub fn to(out: W) -> Self {
        Self { out, done: Vec::new() }
    }

    /// Runs one step and prints its name, outcome and time.
    ///
    /// # Errors
    /// What the step failed with; it is noted already.
    pub fn step<T>(&mut self, name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        writeln!(self.out, "==> {name}")?;
        self.out.flush()?;
        let started = Instant::now();
        let outcome = work();
        let took = started.elapsed();
        let failure = outcome.as_ref().err().map(Failure::to_string);
        match &failure {
            None => writeln!(self.out, "    done in {:.1} s", took.as_secs_f64())?,
            Some(why) => writeln!(self.out, "    FAILED after {:.1} s: {why}", took.as_secs_f64())?,
        }
        self.done.push(Step { name: name.to_owned(), took, failure });
        outcome
    }

    /// Prints text between the steps.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn say(&mut self, text: &str) -> Result {
        for line in text.lines() {
            writeln!(self.out, "    {line}")?;
        }
        Ok(())
    }

    /// Prints the closing table; `true` when no step failed.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(mut self) -> Result<bool> {
        write!(self.out, "\n{}", self.table())?;
        self.out.flush()?;
        Ok(self.done.iter().all(|step| step.failure.is_none()))
    }

    fn table(&self) -> String {
        let width = self.done.iter().map(|step| step.name.chars().count()).max().unwrap_or(0);
        let mut text = String::new();
        let mut total = Duration::ZERO;
        for Step { name, took, failure } in &self.done {
            total += *took;
            let outcome = if failure.is_none() { "ok" } else { "FAILED" };
            text += &format!("{name:width$}  {:>7.1} s  {outcome}\n", took.as_secs_f64());
        }
        text += &format!("{:width$}  {:>7.1} s\n", "total", total.as_secs_f64());
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failed;

    #[test]
    fn the_table_names_every_step_and_the_first_failure_counts() {
        let mut out = Vec::new();
        let mut steps = Steps::to(&mut out);
        assert_eq!(steps.step("one", || Ok(1)).ok(), Some(1));
        assert!(steps.step::<()>("second", || Err(failed("broken"))).is_err());
        assert!(!steps.finish().unwrap());
        let told = String::from_utf8(out).unwrap();
        assert!(told.contains("FAILED after 0.0 s: broken"), "{told}");
        assert!(
            told.ends_with("one         0.0 s  ok\nsecond      0.0 s  FAILED\ntotal       0.0 s\n"),
            "{told}"
        );
    }
}
