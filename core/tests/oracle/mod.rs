//! What the oracle tests share: whether a program can be asked, and how a missing one is counted.

use libtest_mimic::{Arguments, Failed, Trial};

/// A name and what is tried under it.
pub(crate) type Named = (&'static str, fn() -> Result<(), Failed>);

/// Runs the trials. Where `missing` gives a reason they are counted as ignored, and with
/// `DISINHERIT_REQUIRE=1` in the environment they fail instead.
pub(crate) fn run(missing: Option<String>, trials: Vec<Named>) {
    let required = std::env::var_os("DISINHERIT_REQUIRE").is_some_and(|value| value == "1");
    let trials = trials
        .into_iter()
        .map(|(name, test)| match missing.clone() {
            Some(reason) if required => Trial::test(name, move || Err(reason.into())),
            Some(reason) => {
                Trial::test(format!("{name} ({reason})"), || Ok(())).with_ignored_flag(true)
            }
            None => Trial::test(name, test),
        })
        .collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}
