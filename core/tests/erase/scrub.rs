//! Whole scrubs, as the program runs them, with an ear on every step.

use std::error::Error;
use std::path::Path;

use disinherit_core::apply::Progress;
use disinherit_core::pipeline::{self, Job};
use disinherit_core::plan::Plan;
use disinherit_core::policy::{Fragment, Settings};
use disinherit_core::report::{Mode, Report};
use disinherit_core::root::Root;

/// Hears the name of each phase when it begins, and of each step of the plan when it is done.
pub(crate) type Ear<'a> = &'a mut dyn FnMut(&str);

pub(crate) struct Told<'a>(pub(crate) Ear<'a>);

impl Progress for Told<'_> {
    fn step(&mut self, done: usize, total: usize, _: &str) {
        // The first, one in the middle and the last stand for all.
        match done {
            1 => (self.0)("Apply first"),
            n if n == total => (self.0)("Apply last"),
            n if n == total / 2 => (self.0)("Apply half"),
            _ => {}
        }
    }

    fn phase(&mut self, name: &str, done: u64, _: u64) {
        if done == 0 {
            (self.0)(name);
        }
    }
}

/// Scrubs the image that is mounted at `top`.
pub(crate) fn scrub(top: &Path, policy: &str, ear: Ear<'_>) -> Result<Report, Box<dyn Error>> {
    run(top, policy, Mode::Scrub, ear)
}

/// Nothing is left to do.
pub(crate) fn check_done(top: &Path, policy: &str) -> Result<(), Box<dyn Error>> {
    let again = run(top, policy, Mode::DryRun, &mut |_| ())?;
    assert!(again.actions.is_empty(), "{:#?}", again.actions);
    Ok(())
}

/// What a scrub would do.
pub(crate) fn plan(top: &Path, policy: &str) -> Result<Plan, Box<dyn Error>> {
    Ok(both(top, policy, Mode::DryRun, &mut |_| ())?.0)
}

fn run(top: &Path, policy: &str, mode: Mode, ear: Ear<'_>) -> Result<Report, Box<dyn Error>> {
    Ok(both(top, policy, mode, ear)?.1)
}

fn both(
    top: &Path,
    policy: &str,
    mode: Mode,
    ear: Ear<'_>,
) -> Result<(Plan, Report), Box<dyn Error>> {
    let policy = format!("firstboot: false\n{policy}");
    let settings = Settings::new(Fragment::parse("policy", &policy)?)?;
    let job = Job { settings: &settings, firstboot: None, mode };
    Ok(pipeline::run(&Root::offline(top)?, &job, &mut Told(ear))?)
}
