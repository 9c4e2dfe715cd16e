//! The escape benchmark: planted credentials on a real Debian tree, searched for by somebody who
//! does not know the rules.
//!
//! No policy is given, and the corpora know nothing of the catalogue. By default every value that
//! stays is named; with `--content remove` none stays. `DISINHERIT_SEED` repeats a run.

mod clone;

use std::collections::BTreeSet;
use std::path::PathBuf;

use disinherit_tests::base::Base;
use disinherit_tests::escape::dice::Dice;
use disinherit_tests::escape::judge::{self, Left, Outcome};
use disinherit_tests::escape::world::World;
use disinherit_tests::escape::{corpus, generate};
use disinherit_tests::layer::Layer;
use disinherit_tests::needs::{Need, trial};
use disinherit_tests::tree::{Difference, Tree};
use disinherit_tests::{Result, expect};
use libtest_mimic::Trial;

const NEEDS: &[Need] = &[Need::Root, Need::Mount, Need::BaseTools, Need::Ssh, Need::Dist];

pub(crate) fn trials() -> Vec<Trial> {
    type Plant = fn(&mut World) -> Result;
    let corpora: [(&str, Plant); 2] = [("written", corpus::plant), ("generated", generate::plant)];
    let test = |(name, plant): (&str, Plant)| {
        [
            trial(&format!("escape::{name}_by_default"), NEEDS, move || by_default(plant)),
            trial(&format!("escape::{name}_with_removal"), NEEDS, move || with_removal(plant)),
        ]
    };
    let mut trials: Vec<Trial> = corpora.into_iter().flat_map(test).collect();
    trials.push(trial("escape::two_clones_of_the_scrubbed_tree_boot", clone::NEEDS, clone::boot));
    trials
}

/// What stays is named, what is in use works on, and the exit code says that something stayed.
fn by_default(plant: fn(&mut World) -> Result) -> Result {
    let trial = Trialled::run(plant, &[])?;
    let mut wrong = trial.wrong();
    let left = trial.left()?;
    wrong.extend(left.unnamed.iter().map(|line| format!("stays unnamed: {line}")));
    wrong.extend(trial.changed(trial.world.in_use(), "in use"));
    let expected = i32::from(!left.readable.is_empty());
    if trial.outcome.exit != expected {
        wrong.push(format!("exit code {} with {} left", trial.outcome.exit, left.readable.len()));
    }
    trial.verdict(&wrong)
}

/// Nothing stays, a second run changes nothing.
fn with_removal(plant: fn(&mut World) -> Result) -> Result {
    let options = ["--content", "remove"];
    let trial = Trialled::run(plant, &options)?;
    let mut wrong = trial.wrong();
    let left = trial.left()?;
    wrong.extend(left.lines(&trial.world).map(|line| format!("readable: {line}")));
    wrong.extend(left.unnamed.iter().map(|line| format!("stays unnamed: {line}")));
    judge::scrub(&trial.layer.root(), &options)?;
    let again = trial.after.differences(&Tree::read(&trial.layer.root())?);
    wrong.extend(again.iter().map(|found| format!("changed by a second run: {found}")));
    trial.verdict(&wrong)
}

/// A world after one scrub.
struct Trialled {
    layer: Layer,
    world: World,
    before: Tree,
    after: Tree,
    outcome: Outcome,
}

impl Trialled {
    fn run(plant: fn(&mut World) -> Result, options: &[&str]) -> Result<Self> {
        let layer = Layer::copy_of(&Base::bookworm()?)?;
        let mut world = World::new(&layer.root(), Dice::new());
        plant(&mut world)?;
        let before = Tree::read(&layer.root())?;
        let outcome = judge::scrub(&layer.root(), options)?;
        let after = Tree::read(&layer.root())?;
        Ok(Self { layer, world, before, after, outcome })
    }

    fn left(&self) -> Result<Left> {
        judge::left(&self.world, &self.outcome)
    }

    /// What is wrong in either mode.
    fn wrong(&self) -> Vec<String> {
        let mut wrong = self.changed(self.world.controls(), "control");
        let files = [judge::ACCOUNT_FILES, judge::ACCOUNT_COPIES].concat();
        match judge::open_accounts(&self.layer.root(), &files) {
            Ok(open) => wrong.extend(open.iter().map(|user| format!("empty password: {user}"))),
            Err(error) => wrong.push(error.to_string()),
        }
        wrong
    }

    fn changed(&self, paths: &[PathBuf], what: &str) -> Vec<String> {
        let paths: BTreeSet<&PathBuf> = paths.iter().collect();
        let differences: Vec<Difference> = self.before.differences(&self.after);
        let changed = differences.iter().filter(|found| paths.contains(&found.path));
        changed.map(|found| format!("{what} changed: {found}")).collect()
    }

    fn verdict(&self, wrong: &[String]) -> Result {
        let planted = self.world.secrets().len();
        expect(wrong.is_empty(), || {
            let lines = wrong.join("\n");
            let seed = self.world.dice.seed();
            format!("{} of {planted} (DISINHERIT_SEED={seed}):\n{lines}", wrong.len())
        })
    }
}
