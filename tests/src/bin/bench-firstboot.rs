//! What the first-boot units cost beside cloud-init's own stages, in the same boots of virtual machines.
//!
//! Prints Markdown; `tests/bench.sh firstboot` keeps it in `docs/benchmarks/firstboot.txt`. A unit's
//! time is that of its main process, as systemd keeps it (`ExecMainStartTimestampMonotonic` and
//! `ExecMainExitTimestampMonotonic`). Host keys are there before the boot, because making them is
//! work that some unit has to do anyway. An argument is the number of machines, five by default.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Write as _, stderr, stdout};
use std::process::Command;

use disinherit_tests::base::{Base, Sudo};
use disinherit_tests::command::run;
use disinherit_tests::launch::{Instance, Running};
use disinherit_tests::mounted::{FinishedDisk, MountedDisk};
use disinherit_tests::qemu::{Disk, accelerator};
use disinherit_tests::{Context, Result, dist, expect, failed};

const MACHINES: u32 = 5;
const OURS: [&str; 2] = ["disinherit-early.service", "disinherit-gate.service"];
const CLOUD_INIT: [&str; 4] = [
    "cloud-init-local.service",
    "cloud-init.service",
    "cloud-config.service",
    "cloud-final.service",
];
/// The goal for memory.
const MEMORY: u64 = 10 << 20;

/// Milliseconds of one boot.
#[derive(Debug, Clone, Copy)]
struct Cost {
    ours: [f64; 2],
    cloud_init: f64,
}

impl Cost {
    fn percent(&self) -> f64 {
        self.ours.iter().sum::<f64>() / self.cloud_init * 100.0
    }
}

fn main() -> Result {
    let machines = match std::env::args().nth(1) {
        Some(given) => given.parse().context(|| format!("number of machines {given:?}"))?,
        None => MACHINES,
    };
    let image = sealed("bookworm")?;
    let accelerator = accelerator(&Disk::over(&image.path())?)?;
    let mut text = format!(
        "# Cost of the first boot\n\n\
         Virtual machines (QEMU, {accelerator}, two processors) of Debian 12, a NoCloud seed, host keys made \
         before. Times are those of the units' main processes in milliseconds; cloud-init is the sum of its \
         four stages in the same boot. Each row of the second table is a later boot of the machine in the \
         same row of the first.\n\n"
    );
    let (mut first, mut adopted) = (Vec::new(), Vec::new());
    for number in 1..=machines {
        let instance = Instance::of(&image.path(), number)?;
        for costs in [&mut first, &mut adopted] {
            let running = instance.boot()?;
            let cost = cost(&running)?;
            writeln!(stderr(), "machine {number}: {cost:?}")?;
            costs.push(cost);
            running.off()?;
        }
    }
    table(&mut text, "First boot", &first, 5.0)?;
    table(&mut text, "Adopted boot", &adopted, 1.0)?;
    memory_and_sandbox(&mut text, machines + 1)?;
    Ok(stdout().write_all(text.as_bytes())?)
}

fn sealed(suite: &str) -> Result<FinishedDisk> {
    let disk = MountedDisk::of(&Base::build(suite, Sudo::NoPassword)?.image())?;
    run(Command::new(dist::firstboot()?).args(["seal", "--root"]).arg(disk.root()))?;
    let keys = "rm -f /etc/ssh/ssh_host_*; ssh-keygen -A";
    run(Command::new("chroot").arg(disk.root()).args(["sh", "-c", keys]))?;
    disk.finish()
}

fn cost(running: &Running<'_>) -> Result<Cost> {
    let units = show(running)?;
    let mut ours = [0.0; 2];
    for (time, unit) in ours.iter_mut().zip(OURS) {
        *time = milliseconds(&units, unit)?;
    }
    let mut cloud_init = 0.0;
    for unit in CLOUD_INIT {
        cloud_init += milliseconds(&units, unit)?;
    }
    Ok(Cost { ours, cloud_init })
}

/// Properties of each unit, when everything that starts at boot has started.
type Properties = BTreeMap<String, BTreeMap<String, String>>;

fn show(running: &Running<'_>) -> Result<Properties> {
    running.run("systemctl is-system-running --wait || true")?;
    let passed = running.run("test -e /run/disinherit/passed && echo yes")?;
    expect(passed.trim() == "yes", || format!("closed:\n{}", running.console()))?;
    let names = "Id,ExecMainStartTimestampMonotonic,ExecMainExitTimestampMonotonic,MemoryPeak";
    let units = [OURS.as_slice(), CLOUD_INIT.as_slice()].concat().join(" ");
    let text = running.run(&format!("systemctl show --property={names} {units}"))?;
    let block = |block: &str| {
        let lines = block.lines().filter_map(|line| line.split_once('='));
        let lines: BTreeMap<String, String> =
            lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Some((lines.get("Id")?.clone(), lines))
    };
    Ok(text.split("\n\n").filter_map(block).collect())
}

fn property(units: &Properties, unit: &str, name: &str) -> Result<f64> {
    let value = units.get(unit).and_then(|unit| unit.get(name));
    let value = value.ok_or_else(|| failed(format!("{name} of {unit} is not told")))?;
    value.parse().context(|| format!("{name} of {unit}"))
}

fn milliseconds(units: &Properties, unit: &str) -> Result<f64> {
    let took = property(units, unit, "ExecMainExitTimestampMonotonic")?
        - property(units, unit, "ExecMainStartTimestampMonotonic")?;
    if took <= 0.0 {
        return Err(failed(format!("{unit} has not run")));
    }
    Ok(took / 1000.0)
}

fn table(text: &mut String, title: &str, costs: &[Cost], limit: f64) -> Result {
    writeln!(text, "## {title}\n\n| early | gate | cloud-init | share |\n|---|---|---|---|")?;
    for cost in costs {
        let [early, gate] = cost.ours;
        let (all, share) = (cost.cloud_init, cost.percent());
        writeln!(text, "| {early:.1} | {gate:.1} | {all:.0} | {share:.2} % |")?;
    }
    let mut shares: Vec<f64> = costs.iter().map(Cost::percent).collect();
    shares.sort_by(f64::total_cmp);
    let median = shares.get(shares.len() / 2).copied().unwrap_or(f64::NAN);
    let met = if median <= limit { "met" } else { "missed" };
    writeln!(text, "\nMedian {median:.2} %, goal at most {limit} %: {met}.\n")?;
    Ok(())
}

/// Debian 12's systemd does not keep a unit's peak; Debian 13's does.
fn memory_and_sandbox(text: &mut String, number: u32) -> Result {
    writeln!(
        text,
        "## Memory\n\n\
         Peak of the unit's control group (`MemoryPeak`, which counts the page cache of the files that it \
         was the first to read, its own program among them), Debian 13, in MiB.\n\n\
         | boot | early | gate |\n|---|---|---|"
    )?;
    let image = sealed("trixie")?;
    let instance = Instance::of(&image.path(), number)?;
    let (mut sandbox, mut largest) = (String::new(), 0.0_f64);
    for title in ["first", "adopted"] {
        let running = instance.boot()?;
        let units = show(&running)?;
        write!(text, "| {title} |")?;
        for unit in OURS {
            let peak = property(&units, unit, "MemoryPeak")?;
            largest = largest.max(peak);
            write!(text, " {:.1} |", peak / f64::from(1 << 20))?;
        }
        writeln!(text)?;
        sandbox = running.run(&format!(
            "for unit in {}; do systemd-analyze security --no-pager $unit | grep Overall; done",
            OURS.join(" ")
        ))?;
        running.off()?;
    }
    #[allow(clippy::cast_precision_loss)] // far below 2^52
    let met = if largest < MEMORY as f64 { "met" } else { "missed" };
    writeln!(text, "\nGoal below 10 MiB: {met}.\n\n## systemd-analyze security, Debian 13\n")?;
    for line in sandbox.lines() {
        writeln!(text, "- {}", line.trim_matches(|c: char| !c.is_ascii_graphic()))?;
    }
    Ok(())
}
