//! `make demo`: the main job, told step by step. Ends with a table; a failed expectation makes
//! the exit status 1.

use std::io::stdout;
use std::process::ExitCode;

use disinherit_core::report::{self, Report};
use disinherit_tests::base::{Base, repository};
use disinherit_tests::needs::Need;
use disinherit_tests::packer::{Build, Built};
use disinherit_tests::qemu::{Disk, accelerator};
use disinherit_tests::timing::Steps;
use disinherit_tests::{Context, Result, dist, failed, promise};

const NEEDS: [Need; 5] = [Need::BaseTools, Need::Qemu, Need::Packer, Need::Ssh, Need::Dist];

fn main() -> Result<ExitCode> {
    let missing: Vec<String> = NEEDS.iter().filter_map(|need| need.missing()).collect();
    if !missing.is_empty() {
        return Err(failed(format!("the demo needs {}", missing.join("; "))));
    }
    let mut steps = Steps::on_stdout();
    // A failed step is in the table; what depends on it is left out.
    let told = tell(&mut steps);
    let all_held = steps.finish()?;
    Ok(if told.is_ok() && all_held { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn tell(steps: &mut Steps<std::io::Stdout>) -> Result {
    let base = steps.step("Build a Debian base as its author leaves it", Base::bookworm)?;
    let planted = base.planted()?;
    let names: Vec<&str> = planted.iter().map(|secret| secret.id.as_str()).collect();
    steps.say(&format!("{} secrets inside: {}", planted.len(), names.join(", ")))?;
    let accelerator = steps.step("Find out whether KVM really works here", || {
        accelerator(&Disk::over(&base.image())?)
    })?;
    steps.say(&format!("virtual machines run under {accelerator}"))?;

    let built = steps.step("Let Packer build an image, scrub as last provisioner", || {
        Build::example(&base, &dist::plugin()?, accelerator).run(stdout())
    })?;
    show_report(steps, &built)?;
    let searched = steps.step("Search the whole captured disk for every planted secret", || {
        promise::nothing_planted_on_the_disk(&base, &built)
    });

    let adopted = steps.step("Launch it with an injected key: only that key opens", || {
        promise::opens_to_the_injected_key(&base, &built.image())
    });
    let closed = steps.step("Launch it without a key: port 22 is silent", || {
        promise::stays_closed_without_a_key(&built.image())
    });
    if let Ok(told) = &closed {
        steps.say(&format!("the console says:\n{told}"))?;
    }
    let adopted = adopted?;
    let cloned = steps.step("Launch a copy of the first instance as a new one", || {
        promise::a_clone_starts_anew(&base, &adopted)
    });
    searched?;
    closed?;
    cloned
}

/// What a person reads first of the report, and where the whole of it is.
fn show_report(steps: &mut Steps<std::io::Stdout>, built: &Built) -> Result {
    let path = built.report();
    let text = std::fs::read(&path).context(|| format!("read {}", path.display()))?;
    let kept = repository().join("build/demo-report.json");
    std::fs::write(&kept, &text).context(|| format!("write {}", kept.display()))?;
    let report: Report = serde_json::from_slice(&text).context(|| "parse the report".to_owned())?;
    steps.say(&report::text(&report))?;
    steps.say(&format!("the whole report: {}", kept.display()))
}
