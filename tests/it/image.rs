//! The main job on real machines: Packer builds, the captured image is searched and launched.
//!
//! Five boots: two builds, three launches of the first one's result. The sixth of `make test` is in
//! `suites`.

use std::io::sink;
use std::process::Command;
use std::sync::OnceLock;

use disinherit_tests::base::{Base, Sudo};
use disinherit_tests::command::{find, run, said};
use disinherit_tests::needs::{Need, full, trial};
use disinherit_tests::packer::{Build, Built, Shutdown};
use disinherit_tests::qemu::{Disk, accelerator};
use disinherit_tests::{Context, Result, dist, expect, failed, promise};
use libtest_mimic::Trial;

use crate::dirty;

const NEEDS: &[Need] = &[Need::BaseTools, Need::Qemu, Need::Packer, Need::Ssh, Need::Dist];
const DIRTY_NEEDS: &[Need] = &[Need::BaseTools, Need::Qemu, Need::Packer, Need::Fat, Need::Dist];

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = vec![
        trial("image::builds_with_sudo_shutdown", NEEDS, builds_with_sudo_shutdown),
        trial("image::holds_nothing_of_its_builder", NEEDS, holds_nothing_of_its_builder),
        trial("image::nothing_is_written_back_at_power_off", NEEDS, nothing_written_back),
        trial("image::opens_to_the_injected_key_also_as_a_clone", NEEDS, opens_and_clones),
        trial("image::stays_closed_without_a_key", NEEDS, stays_closed_without_a_key),
        trial("image::builds_without_shutdown_command", DIRTY_NEEDS, dirty::builds_clean),
    ];
    if full() {
        let test = dirty::a_survivor_fails;
        trials.push(trial("image::a_survivor_fails_the_build", DIRTY_NEEDS, test));
    }
    trials
}

/// One build serves every test that looks at its result.
fn captured() -> Result<&'static (Base, Built)> {
    static CAPTURED: OnceLock<std::result::Result<(Base, Built), String>> = OnceLock::new();
    let captured = CAPTURED.get_or_init(|| {
        build(Sudo::Password, Shutdown::SudoWithPassword).map_err(|error| error.to_string())
    });
    captured.as_ref().map_err(|error| failed(error.clone()))
}

fn build(sudo: Sudo, shutdown: Shutdown) -> Result<(Base, Built)> {
    let base = Base::build("bookworm", sudo)?;
    let accelerator = accelerator(&Disk::over(&base.image())?)?;
    let plugin = dist::plugin()?;
    let built = Build { shutdown, ..Build::example(&base, &plugin, accelerator) }.run(sink())?;
    Ok((base, built))
}

/// The password that the shutdown command pipes into sudo is dead by then: the machine switches
/// itself off, and Packer is not left waiting.
fn builds_with_sudo_shutdown() -> Result {
    let (_, built) = captured()?;
    std::fs::metadata(built.report()).context(|| "the report on the host".to_owned())?;
    Ok(())
}

fn holds_nothing_of_its_builder() -> Result {
    let (base, built) = captured()?;
    promise::nothing_planted_on_the_disk(base, built)
}

/// T38: an ordinary shutdown writes a random seed, the journal, login records and histories.
fn nothing_written_back() -> Result {
    let (base, built) = captured()?;
    let folder = tempfile::tempdir_in(built.folder())?;
    let raw = folder.path().join("disk.raw");
    run(Command::new("qemu-img").args(["convert", "-O", "raw"]).arg(built.image()).arg(&raw))?;
    // The one partition of the base begins at 1 MiB.
    let disk = format!("{}?offset=1048576", raw.display());
    let ask = |request: String| {
        let mut debugfs = Command::new(find("debugfs").unwrap_or_else(|| "debugfs".into()));
        let output = debugfs.args(["-R", &request]).arg(&disk).output();
        output.map(|output| said(&output)).context(|| format!("debugfs {request}"))
    };
    let system = ask("ls -p /etc".to_owned())?;
    expect(system.contains("/passwd/"), || format!("debugfs cannot read the image: {system}"))?;
    let user = base.builder()?.user;
    for gone in [
        "/var/lib/systemd/random-seed".to_owned(),
        "/etc/systemd/system/systemd-random-seed.service.d".to_owned(),
        format!("/home/{user}/.bash_history"),
        format!("/home/{user}/.ssh/authorized_keys"),
    ] {
        let answer = ask(format!("stat {gone}"))?;
        expect(answer.contains("File not found"), || format!("{gone}: {answer}"))?;
    }
    let journal = ask("ls -p /var/log/journal".to_owned())?;
    let entries = journal.lines().filter(|line| line.starts_with('/')).count();
    expect(entries <= 2, || format!("journals are back: {journal}"))?;
    let logins = ask("stat /var/log/wtmp".to_owned())?;
    let empty = logins.contains("File not found") || logins.contains("Size: 0");
    expect(empty, || format!("logins were recorded: {logins}"))?;
    let machine = ask("cat /etc/machine-id".to_owned())?;
    expect(!machine.lines().any(|line| line.len() == 32), || format!("machine ID: {machine}"))
}

fn opens_and_clones() -> Result {
    let (base, built) = captured()?;
    let adopted = promise::opens_to_the_injected_key(base, &built.image())?;
    promise::a_clone_starts_anew(base, &adopted)
}

fn stays_closed_without_a_key() -> Result {
    let (_, built) = captured()?;
    promise::stays_closed_without_a_key(&built.image())?;
    Ok(())
}
