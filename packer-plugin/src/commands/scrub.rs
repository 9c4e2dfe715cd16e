//! `audit` and `scrub`: from a request to a report and an exit code.

use std::fs;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use disinherit_core::catalogue::Pattern;
use disinherit_core::erase::swap;
use disinherit_core::pipeline::{self, Job};
use disinherit_core::plan::Plan;
use disinherit_core::policy::{Fragment, Settings};
use disinherit_core::report::{self, Mode, Report};
use disinherit_core::{Error, ImagePath, Result, Root, live};

use super::confirm;
use super::events::Events;
use super::request::{Firstboot, Place, Request};
use crate::cli::Format;
use crate::provision::Programs;

/// Runs one audit or scrub and returns the exit code of the report.
pub(super) fn run(request: &Request) -> Result<u8> {
    let mut events = Events::new(request.events);
    let result = work(request, &mut events);
    let told = events.end(&result);
    let exit = result?;
    told?;
    // The last thing of all: nothing is said or written after it.
    let live = matches!(request.place, Place::Live { .. });
    if live && request.power_off.is_some_and(|delay| delay.is_zero()) {
        live::power_off()?;
    }
    Ok(exit)
}

fn work(request: &Request, events: &mut Events) -> Result<u8> {
    let root = open(request)?;
    let settings = settings(request)?;
    let firstboot = firstboot(request, &settings, &root)?;
    let job = Job { settings: &settings, firstboot: firstboot.as_deref(), mode: request.mode };
    let ran = match &request.place {
        Place::Offline(dir) if request.unmount && request.mode != Mode::Audit => {
            let top = fs::canonicalize(dir)
                .map_err(|e| Error::refused("use as an image root", dir.display()).because(e))?;
            // Our own handle would keep the image from being unmounted.
            drop(root);
            pipeline::run_offline(&top, &job, events)
        }
        _ => pipeline::run(&root, &job, events),
    };
    events.quiet();
    let (plan, mut report) = ran?;
    let captured = request.events || request.power_off.is_some();
    if !captured {
        swap_on(&report);
    }
    let ready = make_ready(request, &settings, &mut report);
    let armed = ready.is_ok() && request.power_off.is_some_and(|delay| !delay.is_zero());
    let ended = ready.and_then(|()| publish(request, &plan, &report, events));
    if captured && !armed && (ended.is_err() || report.exit_code > 1) {
        // Nobody captures what ends like this, `keep_going` or not: the system goes on.
        swap_on(&report);
    }
    ended.map(|()| report.exit_code)
}

/// What comes between the run and its report.
fn make_ready(request: &Request, settings: &Settings, report: &mut Report) -> Result<()> {
    if !request.expect_keys.is_empty() {
        report::expect(report, &request.expect_keys)?;
        report.conclude(settings.fail_on, settings.strict);
    }
    if let Some(folder) = &request.cleanup {
        remove(folder)?;
        live::sync();
    }
    let live = matches!(request.place, Place::Live { .. });
    if let Some(delay) = request.power_off.filter(|d| live && !d.is_zero()) {
        live::arm_power_off(delay)?;
    }
    Ok(())
}

fn open(request: &Request) -> Result<Root> {
    match &request.place {
        Place::Offline(dir) => {
            // Relative to the caller's folder, which is the caller's business, not the image's.
            let dir = fs::canonicalize(dir)
                .map_err(|e| Error::refused("use as an image root", dir.display()).because(e))?;
            let root = Root::offline(&dir)?;
            refuse_other_tree(&root)?;
            Ok(root)
        }
        Place::Live { confirmed } => {
            if request.mode == Mode::Scrub && !confirmed {
                confirm::host_name()?;
            }
            Root::live()
        }
    }
}

/// A mistyped path: `/usr/local`, or a folder of a project, may have an `etc` too.
fn refuse_other_tree(root: &Root) -> Result<()> {
    for path in ["/etc/passwd", "/usr/lib/passwd", "/etc/os-release", "/usr/lib/os-release"] {
        if root.lstat(&ImagePath::literal(path))?.is_some() {
            return Ok(());
        }
    }
    Err(Error::refused("use as an image root", root.host_path().display())
        .because("it has neither accounts (/etc/passwd) nor an os-release")
        .remedy("give the folder where the root file system of the image is mounted"))
}

fn settings(request: &Request) -> Result<Settings> {
    let mut fragment = Fragment::default();
    for file in &request.policies {
        let text = fs::read_to_string(file).map_err(|e| {
            Error::usage("read the policy", file.display()).because(e).remedy("check the path")
        })?;
        fragment = fragment.merge(Fragment::parse(&file.display().to_string(), &text)?);
    }
    fragment = fragment.merge(request.options.clone());
    // The provisioner's own folder would be burned under the running program.
    let own = request.cleanup.as_deref().and_then(|p| ImagePath::new(p.as_os_str().as_bytes()));
    fragment.allow.paths.extend(own.as_ref().map(Pattern::subtree));
    Settings::new(fragment)
}

fn firstboot(request: &Request, settings: &Settings, root: &Root) -> Result<Option<Vec<u8>>> {
    if !settings.firstboot || request.mode == Mode::Audit {
        return Ok(None);
    }
    match &request.firstboot {
        Firstboot::None => Ok(None),
        Firstboot::File(path) => fs::read(path)
            .map(Some)
            .map_err(|e| Error::usage("read the first-boot program", path.display()).because(e)),
        Firstboot::Carried => Programs::of_this_process()?.firstboot_for(root).map(Some),
    }
}

/// A running system that goes on gets its swap back. One that is about to be captured does not:
/// what is paged out after the scrub would lie in the image.
fn swap_on(report: &Report) {
    for area in &report.stopped_swaps {
        if let Err(error) = swap::on(area) {
            log::warn!("{}", error.report());
        }
    }
}

/// The plan, line by line: what changes in files, then what is done below them.
fn planned(plan: &Plan) -> String {
    let steps = plan.steps.iter().map(|step| format!("{step}\n"));
    steps.chain(plan.disk.iter().map(|below| format!("{below}\n"))).collect()
}

fn publish(request: &Request, plan: &Plan, report: &Report, events: &Events) -> Result<()> {
    let text = match request.format {
        Format::Json => report.json(),
        Format::Sarif => report::sarif(report),
        Format::Html => report::html(report),
        Format::Text => {
            let steps: String = match request.mode {
                Mode::DryRun => planned(plan),
                Mode::Audit | Mode::Scrub => String::new(),
            };
            steps + &report::text(report)
        }
    };
    if let Some(path) = &request.report {
        write(path, report.json().as_bytes())?;
    }
    if let Some(path) = &request.output {
        write(path, text.as_bytes())?;
    }
    events.report(report, request.output.is_none().then_some(text.as_str()))
}

/// A report names accounts and paths: it is for its owner's eyes.
fn write(path: &Path, text: &[u8]) -> Result<()> {
    let failed = |e: std::io::Error| {
        Error::failed("write the report", path.display()).because(e).remedy("name another file")
    };
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(path).map_err(failed)?;
    file.write_all(text).and_then(|()| file.sync_all()).map_err(failed)
}

fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::failed("remove", folder.display()).because(e).remedy("remove it by hand"))
        }
        _ => Ok(()),
    }
}
