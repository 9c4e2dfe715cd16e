//! The one way through: discover, plan, apply, discover again, report.

use std::path::Path;
use std::sync::Arc;

use crate::apply::{self, Progress};
use crate::discover::{discover, discover_again};
use crate::disk::{Disk, Secrets, Touched};
use crate::facts::Facts;
use crate::live;
use crate::manifest::{self, BootPolicy, Manifest};
use crate::offline::{Offline, Treated};
use crate::plan::{self, Plan, Step};
use crate::policy::{EraseMode, Settings};
use crate::reach::Reach;
use crate::report::{Done, Finding, Mode, Report, Residual, left};
use crate::root::Root;
use crate::seal::{self, Installed};
use crate::{Error, Result};

/// The rule name under which it stands in a report when the disk could not be treated or looked at
/// again.
pub const AFTERWARDS: &str = "afterwards";

/// What is said while discovery runs.
const LOOK: &str = "look through the files";

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
    let mut begun = Begun::new(root, job, progress)?;
    if job.mode == Mode::Scrub {
        begun.change(root, job, progress)?;
        begun.below(root, job, progress);
    }
    Ok(begun.conclude(job))
}

/// [`run`] on the image mounted at `top`, which is unmounted for a moment so that the tools of its
/// file systems can treat what a mounted one keeps to itself.
///
/// # Errors
/// As [`run`]; refused when the image is in use or a tool is missing. What fails once files were
/// changed is in the report.
pub fn run_offline(
    top: &Path,
    job: &Job<'_>,
    progress: &mut dyn Progress,
) -> Result<(Plan, Report)> {
    let offline = Offline::discover(top)?;
    let root = Root::offline(top)?;
    let mut begun = Begun::new(&root, job, progress)?;
    begun.plan.disk.splice(..0, offline.treatments());
    if job.mode == Mode::Scrub {
        begun.change(&root, job, progress)?;
        match begun.unmounted(&offline, root, top, job, progress) {
            Ok(root) => begun.below(&root, job, progress),
            Err(error) => {
                begun.report.actions.extend(unfinished("treat the unmounted image", &error));
            }
        }
    }
    Ok(begun.conclude(job))
}

/// A run under way.
struct Begun {
    facts: Facts,
    plan: Plan,
    report: Report,
    disk: Option<Disk>,
    secrets: Secrets,
    touched: Touched,
}

impl Begun {
    /// Looks and plans. Refuses before anything was written.
    fn new(root: &Root, job: &Job<'_>, progress: &mut dyn Progress) -> Result<Self> {
        let looked = Arc::default();
        progress.looking(LOOK, &looked);
        let facts = discover(root, job.settings, &looked)?;
        let mut plan = make_plan(root, job, &facts)?;
        let report = blank(root, job.mode, &facts);
        let disk = if job.mode == Mode::Audit { None } else { Some(disk(root, job)?) };
        plan.disk = disk.iter().flat_map(|disk| disk.treatments(job.settings)).collect();
        let (secrets, touched) = (Secrets::default(), Touched::default());
        Ok(Self { facts, plan, report, disk, secrets, touched })
    }

    /// Changes the files. Where that fails, swap areas that were taken out of use are used again.
    fn change(&mut self, root: &Root, job: &Job<'_>, progress: &mut dyn Progress) -> Result<()> {
        let changed = self.change_files(root, job, progress);
        if changed.is_err() {
            self.disk.iter().for_each(Disk::resume_swaps);
        }
        changed
    }

    fn change_files(
        &mut self,
        root: &Root,
        job: &Job<'_>,
        progress: &mut dyn Progress,
    ) -> Result<()> {
        // Nothing was refused: now the writers stop, and what they wrote until then is seen too.
        self.report.actions = live::stop_writers(root)?;
        if !self.report.actions.is_empty() {
            let looked = Arc::default();
            progress.looking(LOOK, &looked);
            self.facts = discover_again(root, job.settings, &self.facts.seen, &looked)?;
            let below = std::mem::take(&mut self.plan.disk);
            self.plan = Plan { disk: below, ..make_plan(root, job, &self.facts)? };
        }
        if let Some(disk) = &mut self.disk {
            disk.stop_swaps(job.settings.erase);
        }
        self.secrets = Secrets::remember(root, &self.plan, job.settings)?;
        self.touched.look(root, &self.plan, job.settings.proof)?;
        let burns = job.settings.erase != EraseMode::Off;
        self.report.actions.extend(apply::apply(root, &self.plan, burns, progress)?);
        if root.is_live() {
            live::sync();
        }
        self.report.residual = files_left(&self.report);
        Ok(())
    }

    /// Runs the tools on the unmounted image and opens it again. Nobody may hold a handle on what
    /// is unmounted, so `root` goes.
    fn unmounted(
        &mut self,
        offline: &Offline,
        root: Root,
        top: &Path,
        job: &Job<'_>,
        progress: &mut dyn Progress,
    ) -> Result<Root> {
        if let Some(disk) = self.disk.take() {
            disk.before_repair(job.settings.erase, progress)?;
        }
        drop(root);
        let treated = offline.treat(progress)?;
        let new_logs = treated.iter().filter(|t| t.fstype == "xfs" && t.error.is_none());
        let new_logs: Vec<_> = new_logs.map(|t| t.device.clone()).collect();
        self.report.actions.extend(treated.into_iter().map(offline_step));
        let root = Root::offline(top)?;
        let mut disk = disk(&root, job)?;
        new_logs.iter().for_each(|device| disk.has_new_log(device));
        self.disk = Some(disk);
        Ok(root)
    }

    /// Treats the disk below the files and looks again. Something was written: an error is neither
    /// a refusal nor a reason to say nothing.
    fn below(&mut self, root: &Root, job: &Job<'_>, progress: &mut dyn Progress) {
        let Self { facts, plan, report, disk, secrets, touched } = self;
        let treated = disk.as_ref().map_or(Ok(()), |disk| {
            disk.erase(root, job.settings.erase, report, progress)
                .and_then(|()| touched.look(root, plan, job.settings.proof))
                .and_then(|()| disk.prove(secrets, touched, job.settings, report, progress))
        });
        let looked = Arc::default();
        progress.looking("look through the files again", &looked);
        let after = discover_again(root, job.settings, &facts.seen, &looked)
            .and_then(|after| verify(root, job, &after));
        let failed =
            [("treat the disk", treated.as_ref().err()), ("look again", after.as_ref().err())];
        report.actions.extend(failed.iter().filter_map(|(what, e)| unfinished(what, (*e)?)));
        report.findings.extend(after.unwrap_or_default());
    }

    fn conclude(self, job: &Job<'_>) -> (Plan, Report) {
        let Self { facts, plan, mut report, .. } = self;
        if job.mode != Mode::Scrub {
            report.actions = apply::planned(&plan);
            report.findings.clone_from(&plan.findings);
        }
        if job.mode == Mode::Audit {
            report.findings.extend(left(job.settings, &facts, &plan));
        }
        worst_first(&mut report.findings);
        report.summary.planned = report.actions.len();
        report.conclude(job.settings.fail_on, job.settings.strict);
        (plan, report)
    }
}

/// A tool's run as a step of the report.
fn offline_step(treated: Treated) -> Done {
    Done {
        rules: vec![AFTERWARDS.into()],
        path: crate::ImagePath::root(),
        action: treated.line,
        subjects: Vec::new(),
        erase: None,
        error: treated.error.map(|error| error.report()),
    }
}

/// What lies below the files.
fn disk(root: &Root, job: &Job<'_>) -> Result<Disk> {
    Disk::discover(root, &Reach::discover(root)?, job.settings.erase)
}

/// The plan for `facts`, what sealing needs included.
fn make_plan(root: &Root, job: &Job<'_>, facts: &Facts) -> Result<Plan> {
    if job.mode == Mode::Audit {
        return Ok(plan::look(facts, job.settings));
    }
    let sealing = match job.firstboot {
        Some(binary) => sealing(root, job.settings, facts, binary)?,
        None => Vec::new(),
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
    inventory.check()?;
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
        logins: facts.logins.clone(),
        skipped: facts.skipped.clone(),
        ..Report::blank(mode, root.host_path().display().to_string(), root.is_live())
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
