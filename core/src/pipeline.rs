//! The one way through: discover, plan, apply, discover again, report.

use crate::apply::{self, Progress};
use crate::discover::{discover, discover_again};
use crate::disk::{Disk, Secrets, Touched};
use crate::facts::Facts;
use crate::live;
use crate::manifest::{self, BootPolicy, Manifest};
use crate::plan::{self, Plan, Step};
use crate::policy::{EraseMode, Settings};
use crate::reach::Reach;
use crate::report::{Done, Finding, Mode, Report, Residual, SCHEMA, Summary, left};
use crate::root::Root;
use crate::seal::{self, Installed};
use crate::{Error, Result};

/// The rule name under which it stands in a report when the disk could not be treated or looked at
/// again.
pub const AFTERWARDS: &str = "afterwards";

/// What a run was asked for.
#[derive(Debug)]
pub struct Job<'a> {
    /// The validated policy.
    pub settings: &'a Settings,
    /// The guest's disinherit-firstboot, when it is to be installed.
    pub firstboot: Option<&'a [u8]>,
    /// Audit, dry run or scrub.
    pub mode: Mode,
}

/// Looks, and for a scrub changes and looks again.
///
/// # Errors
/// A refusal before anything was written, or what kept the run from starting. Steps that fail are
/// in the report instead.
pub fn run(root: &Root, job: &Job<'_>, progress: &mut dyn Progress) -> Result<(Plan, Report)> {
    let mut facts = discover(root, job.settings)?;
    let mut plan = make_plan(root, job, &facts)?;
    let mut report = blank(root, job.mode, &facts);
    if job.mode == Mode::DryRun {
        plan.disk = disk(root, job)?.treatments(job.settings);
    }
    if job.mode == Mode::Scrub {
        let mut disk = disk(root, job)?;
        // Nothing was refused: now the writers stop, and what they wrote until then is seen too.
        report.actions = live::stop_writers(root)?;
        if !report.actions.is_empty() {
            facts = discover_again(root, job.settings, &facts.seen)?;
            plan = make_plan(root, job, &facts)?;
        }
        plan.disk = disk.treatments(job.settings);
        disk.stop_swaps(job.settings.erase);
        let secrets = Secrets::remember(root, &plan, job.settings)?;
        let mut touched = Touched::default();
        touched.look(root, &plan, job.settings.proof)?;
        let burns = job.settings.erase != EraseMode::Off;
        report.actions.extend(apply::apply(root, &plan, burns, progress)?);
        live::sync(root);
        report.residual = files_left(&report);
        let disk = disk
            .erase(root, job.settings.erase, &mut report, progress)
            .and_then(|()| touched.look(root, &plan, job.settings.proof))
            .and_then(|()| disk.prove(&secrets, &touched, job.settings, &mut report, progress));
        let after = discover_again(root, job.settings, &facts.seen)
            .and_then(|after| verify(root, job, &after));
        // Something was written: an error is neither a refusal nor a reason to say nothing.
        let failed =
            [("treat the disk", disk.as_ref().err()), ("look again", after.as_ref().err())];
        report.actions.extend(failed.iter().filter_map(|(what, e)| unfinished(what, (*e)?)));
        report.findings.extend(after.unwrap_or_default());
    } else {
        report.actions = apply::planned(&plan);
        report.findings.clone_from(&plan.findings);
        if job.mode == Mode::Audit {
            report.findings.extend(left(job.settings, &facts, &plan));
        }
    }
    worst_first(&mut report.findings);
    report.summary.planned = report.actions.len();
    report.conclude(job.settings.fail_on, job.settings.strict);
    Ok((plan, report))
}

/// What lies below the files.
fn disk(root: &Root, job: &Job<'_>) -> Result<Disk> {
    Disk::discover(root, &Reach::discover(root)?, job.settings.erase)
}

/// The plan for `facts`, what sealing needs included.
fn make_plan(root: &Root, job: &Job<'_>, facts: &Facts) -> Result<Plan> {
    let sealing = match job.firstboot {
        Some(binary) if job.mode != Mode::Audit => sealing(root, job.settings, facts, binary)?,
        _ => Vec::new(),
    };
    plan::plan(facts, job.settings, sealing)
}

/// What makes the image sealed and is not there yet: the manifest, then the program, then the
/// units and drop-ins.
fn sealing(root: &Root, settings: &Settings, facts: &Facts, binary: &[u8]) -> Result<Vec<Step>> {
    let old = Manifest::read(root)?;
    let new = manifest_of(root, settings, facts)?;
    let manifest = match old {
        Some(old) => old.extend(&new),
        None => new,
    };
    let mut wanted = vec![
        Installed::file(
            manifest::path(),
            manifest.to_json().into_bytes(),
            0o600,
            "what was sealed",
        ),
        Installed::file(seal::binary_path(), binary.to_vec(), 0o755, "the first-boot program"),
    ];
    let mut inventory = seal::Inventory::discover(root)?;
    inventory.passwords = settings.injected_password;
    wanted.extend(seal::files(&inventory));
    let mut steps = plan::missing(root, wanted)?;
    // An earlier life of this disk may have been adopted; the next boot is a first boot again.
    for path in seal::state_paths() {
        plan::gone(root, path, &mut steps)?;
    }
    Ok(steps)
}

/// What the image carries now, with the policy that its first boot will follow.
fn manifest_of(root: &Root, settings: &Settings, facts: &Facts) -> Result<Manifest> {
    let kept = |login: &&crate::facts::Login| {
        settings.keep_users.contains(login.user.as_bytes())
            || settings.allow.keys.contains(&login.fingerprint)
    };
    let mut manifest = seal::record(root)?;
    manifest.policy = BootPolicy {
        sealed_keys: settings.sealed_keys,
        evidence: settings.evidence.clone(),
        injected_password: settings.injected_password,
    };
    manifest.rules = settings.acting_rules();
    manifest.kept_keys = facts.logins.iter().filter(kept).map(|l| l.hash).collect();
    Ok(manifest)
}

/// What a fresh discovery says: whatever a plan would still change was not changed.
fn verify(root: &Root, job: &Job<'_>, after: &Facts) -> Result<Vec<Finding>> {
    let plan = make_plan(root, job, after)?;
    let mut findings = left(job.settings, after, &plan);
    findings.extend(plan.findings);
    Ok(findings)
}

/// What comes after the last change, as a step that failed.
fn unfinished(what: &str, error: &Error) -> Option<Done> {
    Some(Done {
        rules: vec![AFTERWARDS.into()],
        path: crate::ImagePath::root(),
        action: what.to_owned(),
        subjects: Vec::new(),
        erase: None,
        error: Some(error.report()),
    })
}

fn worst_first(findings: &mut [Finding]) {
    findings.sort_by(|a, b| b.severity.cmp(&a.severity).then_with(|| a.path.cmp(&b.path)));
}

fn blank(root: &Root, mode: Mode, facts: &Facts) -> Report {
    Report {
        schema: SCHEMA,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        mode,
        root: root.host_path().display().to_string(),
        live: root.is_live(),
        exit_code: 0,
        fail_on: None,
        summary: Summary::default(),
        actions: Vec::new(),
        findings: Vec::new(),
        residual: Vec::new(),
        erased: Vec::new(),
        swaps: Vec::new(),
        stopped_swaps: Vec::new(),
        proof: None,
        logins: facts.logins.clone(),
        skipped: facts.skipped.clone(),
    }
}

/// What the files that went left on the device, said once per kind.
fn files_left(report: &Report) -> Vec<Residual> {
    let mut out: Vec<Residual> = Vec::new();
    for residual in report.actions.iter().filter_map(|a| a.erase.as_ref()).filter_map(Residual::of)
    {
        if !out.contains(&residual) {
            out.push(residual);
        }
    }
    out
}
