//! The released program on whole disks: what becomes of a system whose scrub ended in the middle,
//! and of its swap.

mod killed;
mod swap;
mod writers;

use disinherit_tests::needs::{Need, full, trial};
use libtest_mimic::{Completion, Trial};

const BOOTED: &[Need] = &[Need::Root, Need::Mount, Need::Nspawn, Need::BaseTools, Need::Dist];
const MOUNTED: &[Need] = &[Need::Root, Need::Mount, Need::Dist];

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials: Vec<Trial> = killed::WHEN
        .iter()
        .map(|when| {
            let name = format!("erasing::boots_after_{}", when.name);
            if when.always || full() {
                return trial(&name, BOOTED, || killed::boots(when));
            }
            let ignored =
                || Ok(Completion::ignored_with("a part of the whole matrix: make test-full"));
            Trial::ignorable_test(name, ignored)
        })
        .collect();
    trials.push(trial(
        "erasing::swap_is_used_again_when_a_run_fails",
        MOUNTED,
        swap::is_used_again,
    ));
    trials.push(trial(
        "erasing::services_have_no_last_words_after_a_scrub",
        BOOTED,
        writers::have_no_last_words,
    ));
    trials
}
