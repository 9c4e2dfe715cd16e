//! What the first-boot units cost beside cloud-init's own stages, in the same boots.
//!
//! Prints Markdown; `tests/bench.sh firstboot` keeps it in `docs/benchmarks/firstboot.txt`. A unit's
//! time is that of its main process, as systemd keeps it (`ExecMainStartTimestampMonotonic` and
//! `ExecMainExitTimestampMonotonic`). Host keys are there before the boot, because making them is
//! work that some unit has to do anyway.

use std::fmt::Write as _;
use std::io::{Write as _, stdout};
use std::process::Command;

use disinherit_tests::base::Base;
use disinherit_tests::command::run;
use disinherit_tests::layer::Layer;
use disinherit_tests::nspawn::{Boot, Container};
use disinherit_tests::seed::{Metadata, nocloud_folder};
use disinherit_tests::ssh::KeyPair;
use disinherit_tests::{Context, Result, dist, expect, failed};

const BOOTS: usize = 5;
const OURS: [&str; 2] = ["disinherit-early.service", "disinherit-gate.service"];
const CLOUD_INIT: [&str; 4] = [
    "cloud-init-local.service",
    "cloud-init.service",
    "cloud-config.service",
    "cloud-final.service",
];
const PROGRAM: &str = "/usr/lib/disinherit/disinherit-firstboot";
/// The goal for memory; as a limit of address space, which is more than what is resident.
const MEMORY: &str = "--as=10485760";

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
    let mut text = String::from("# Cost of the first boot\n\n");
    text.push_str(
        "Containers (systemd-nspawn) of Debian 12, a NoCloud seed, host keys made before. Times are \
         those of the units' main processes in milliseconds; cloud-init is the sum of its four \
         stages in the same boot.\n\n",
    );
    let (mut first, mut adopted, mut notes) = (Vec::new(), Vec::new(), String::new());
    for _ in 0..BOOTS {
        let disk = sealed()?;
        first.push(boot(&disk, None)?);
        let last = &mut notes;
        last.clear();
        adopted.push(boot(&disk, Some(last))?);
    }
    table(&mut text, "First boot", &first, 5.0)?;
    table(&mut text, "Adopted boot", &adopted, 1.0)?;
    text.push_str(&notes);
    Ok(stdout().write_all(text.as_bytes())?)
}

fn sealed() -> Result<Layer> {
    let layer = Layer::over(&Base::bookworm()?.tree()?)?;
    run(Command::new(dist::firstboot()?).args(["seal", "--root"]).arg(layer.root()))?;
    layer.chroot(&["sh", "-c", "rm -f /etc/ssh/ssh_host_*; ssh-keygen -A"])?;
    Ok(layer)
}

/// Boots to the end; with `notes` also tells of memory and of the units' sandbox.
fn boot(layer: &Layer, notes: Option<&mut String>) -> Result<Cost> {
    let key = KeyPair::generate("owner")?;
    let seed = nocloud_folder(&Metadata {
        instance_id: "i-bench".to_owned(),
        public_keys: vec![key.public()?],
        ..Metadata::default()
    })?;
    let bind = format!("--bind-ro={}:/var/lib/cloud/seed/nocloud", seed.path().display());
    let identity = "--set-credential=disinherit.identity:aaaaaaaa-0000-4000-8000-000000000001";
    let options = vec![bind, identity.to_owned()];
    let container = Container::boot(layer, &Boot { options, ..Boot::default() })?;
    container.wait_running()?;
    let passed = container.exec(&["test", "-e", "/run/disinherit/passed"])?.status.success();
    expect(passed, || format!("closed:\n{}", container.console()))?;
    let mut ours = [0.0; 2];
    for (time, unit) in ours.iter_mut().zip(OURS) {
        *time = milliseconds(&container, unit)?;
    }
    let mut cloud_init = 0.0;
    for unit in CLOUD_INIT {
        cloud_init += milliseconds(&container, unit)?;
    }
    if let Some(notes) = notes {
        tell(&container, notes)?;
    }
    container.power_off()?;
    Ok(Cost { ours, cloud_init })
}

fn milliseconds(container: &Container, unit: &str) -> Result<f64> {
    let time = |name: &str| -> Result<f64> {
        let property = format!("--property={name}");
        let text = container.run(&["systemctl", "show", "--value", &property, unit])?;
        text.trim().parse().context(|| format!("{name} of {unit}"))
    };
    let took = time("ExecMainExitTimestampMonotonic")? - time("ExecMainStartTimestampMonotonic")?;
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

fn tell(container: &Container, notes: &mut String) -> Result {
    let fits = container.exec(&["prlimit", MEMORY, PROGRAM, "status"])?;
    let fits = if fits.status.success() { "runs" } else { "does not run" };
    writeln!(
        notes,
        "## Memory\n\n`status`, which looks at what the gate looks at, {fits} with 10 MiB of address space.\n"
    )?;
    writeln!(notes, "## systemd-analyze security\n")?;
    for unit in OURS {
        let said = container.run(&["systemd-analyze", "security", "--no-pager", unit])?;
        let last = said.lines().rfind(|line| line.contains("Overall")).unwrap_or("nothing said");
        writeln!(notes, "- {}", last.trim_matches(|c: char| !c.is_ascii_graphic()))?;
    }
    Ok(())
}
