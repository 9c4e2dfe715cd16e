//! Debian 12, 13 and sid as virtual machines, from disks that were worked on while no machine ran:
//! a kernel, a boot loader, systemd, cloud-init and sshd of each suite.
//!
//! `make test` boots one of them, with everything at once; whole suites are for `make test-full`.

use std::process::Command;

use disinherit_tests::base::{Base, Sudo};
use disinherit_tests::command::run;
use disinherit_tests::escape::dice::Dice;
use disinherit_tests::escape::world::World;
use disinherit_tests::escape::{corpus, judge};
use disinherit_tests::launch::Running;
use disinherit_tests::mounted::{FinishedDisk, MountedDisk};
use disinherit_tests::needs::{Need, full, trial};
use disinherit_tests::{Context, Result, dist, expect, promise};
use libtest_mimic::Trial;

const NEEDS: &[Need] =
    &[Need::Root, Need::Mount, Need::BaseTools, Need::Qemu, Need::Ssh, Need::Dist];

/// The test's name, whether it is for `make test-full` alone, and the test.
type Story = (&'static str, bool, fn() -> Result);

const STORIES: [Story; 6] = [
    ("suites::debian_13_boots_without_the_corpus", false, || scrubbed("trixie")),
    ("suites::debian_12_boots_without_the_corpus", true, || scrubbed("bookworm")),
    ("suites::debian_sid_boots_without_the_corpus", true, || scrubbed("sid")),
    ("suites::debian_12_sealed", true, || sealed("bookworm")),
    ("suites::debian_13_sealed", true, || sealed("trixie")),
    ("suites::debian_sid_sealed", true, || sealed("sid")),
];

/// All of them, also those that this run leaves out.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    STORIES.iter().map(|(name, _, _)| *name)
}

pub(crate) fn trials() -> Vec<Trial> {
    let wanted = STORIES.into_iter().filter(|(_, slow, _)| full() || !slow);
    wanted.map(|(name, _, test)| trial(name, NEEDS, test)).collect()
}

/// Sealed and not scrubbed, as pipelines without Packer do it: the first boot has to remove what the
/// builder left.
fn sealed(suite: &str) -> Result {
    let base = Base::build(suite, Sudo::NoPassword)?;
    let image = seal(&base)?;
    promise::stays_closed_without_a_key(&image.path())?;
    let adopted = promise::opens_and(&base, &image.path(), everything_runs)?;
    promise::stays_open_to_its_owner(&base, &adopted)
}

fn seal(base: &Base) -> Result<FinishedDisk> {
    let disk = MountedDisk::of(&base.image())?;
    run(Command::new(dist::firstboot()?).args(["seal", "--root"]).arg(disk.root()))?;
    disk.finish()
}

/// The written corpus is planted and removed again by content and by path, free blocks and the
/// journal are treated: the disk boots, and only the injected key opens it.
fn scrubbed(suite: &str) -> Result {
    let base = Base::build(suite, Sudo::NoPassword)?;
    let disk = MountedDisk::of(&base.image())?;
    let mut world = World::new(&disk.root(), Dice::new());
    corpus::plant(&mut world)?;
    let outcome = judge::scrub(&disk.root(), &["--content", "remove"])?;
    let left: Vec<String> = judge::left(&world, &outcome)?.lines(&world).collect();
    expect(left.is_empty(), || {
        format!("readable (DISINHERIT_SEED={}): {left:#?}", world.dice.seed())
    })?;
    let image = disk.finish()?;
    promise::opens_and(&base, &image.path(), everything_runs)?;
    Ok(())
}

/// cloud-init has come to its end, and neither it nor sshd nor a unit of ours has failed.
fn everything_runs(running: &Running<'_>) -> Result {
    // Its exit code also tells of warnings; what they are is in the text.
    let status = running.run("cloud-init status --wait --long || true")?;
    expect(status.contains("status: done"), || format!("cloud-init: {status}"))?;
    for unit in ["ssh.service", "cloud-final.service", "disinherit-gate.service"] {
        let state = running.run(&format!("systemctl is-active {unit} || true"))?;
        expect(state.trim() == "active", || {
            format!("{unit} is {}\n{}", state.trim(), running.console())
        })?;
    }
    let failed =
        running.run("systemctl list-units --state=failed --plain --no-legend 'disinherit*'")?;
    expect(failed.trim().is_empty(), || format!("failed: {failed}")).context(|| running.console())
}
