//! Carrying out a plan. No choices are made here: each step is done as planned, or fails because
//! the inode is no longer the one that it was planned against.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::OFlags;
use rustix::io::Errno;
use zeroize::Zeroizing;

use crate::change::{self, Erase, Replace};
use crate::content::Looked;
use crate::edit;
use crate::lock::PasswdLock;
use crate::plan::{Change, Expect, Plan, Step};
use crate::report::Done;
use crate::root::{FileKind, Links, Meta, Root, Target, read_up_to};
use crate::{Error, Result};

/// How long another holder of the password lock is waited for.
const LOCK_WAIT: Duration = Duration::from_secs(15);

/// Account files larger than this are not account files.
const LIMIT: u64 = 64 << 20;

/// Hears of each step as it is done.
pub trait Progress {
    /// A stage begins of which nobody knows how long it takes; `what` is being done.
    fn begin(&mut self, what: &str) {
        _ = what;
    }

    /// As [`Self::begin`], for a look through files that are counted meanwhile.
    fn looking(&mut self, what: &str, looked: &Arc<Looked>) {
        _ = looked;
        self.begin(what);
    }

    /// `done` of `total` steps are through; `what` is the one that just was.
    fn step(&mut self, done: usize, total: usize, what: &str);

    /// Work below the files: `done` of `total` bytes of the phase `name` are behind us.
    fn phase(&mut self, name: &str, done: u64, total: u64);
}

/// Nobody watches.
impl Progress for () {
    fn step(&mut self, _: usize, _: usize, _: &str) {}
    fn phase(&mut self, _: &str, _: u64, _: u64) {}
}

/// Carries out `plan` below `root`, step by step. A step that fails is recorded and the others go
/// on: a scrub that stops at the first surprise leaves more behind than one that does not.
///
/// # Errors
/// Only when nothing could be tried: the password lock is held by somebody else.
pub fn apply(
    root: &Root,
    plan: &Plan,
    erase: bool,
    progress: &mut dyn Progress,
) -> Result<Vec<Done>> {
    let edits = plan.steps.iter().any(|s| matches!(s.change, Change::Edit { .. }));
    let lock = if edits { PasswdLock::acquire(root, LOCK_WAIT)? } else { None };
    let total = plan.steps.len();
    let mut done = Vec::with_capacity(total);
    let mut gone = Vec::new();
    for (i, step) in plan.steps.iter().enumerate() {
        let outcome = carry_out(root, step, erase, &gone);
        gone.extend(step.expect.as_ref().filter(|_| outcome.is_ok()));
        progress.step(i + 1, total, &step.to_string());
        let (erased, error) = match outcome {
            Ok(erased) => (Some(erased), None),
            Err(error) => (None, Some(error.report())),
        };
        done.push(Done {
            rules: step.rules.clone(),
            path: step.path.clone(),
            action: step.to_string(),
            subjects: step.subjects.clone(),
            erase: erased,
            error,
        });
    }
    drop(lock);
    Ok(done)
}

/// The plan as a report lists it when nothing is carried out.
pub fn planned(plan: &Plan) -> Vec<Done> {
    plan.steps
        .iter()
        .map(|step| Done {
            rules: step.rules.clone(),
            path: step.path.clone(),
            action: step.to_string(),
            subjects: step.subjects.clone(),
            erase: None,
            error: None,
        })
        .collect()
}

/// `gone` are the inodes that earlier steps of this run changed: a file can have two names, and
/// two links can lead to one folder.
fn carry_out(root: &Root, step: &Step, erase: bool, gone: &[&Expect]) -> Result<Erase> {
    let again = step.expect.as_ref().filter(|expect| gone.contains(expect));
    if let Some(expect) = again {
        return once_more(root, step, expect, erase);
    }
    match &step.change {
        Change::Install { mode, .. } => {
            let parent = step.path.parent().unwrap_or_else(crate::ImagePath::root);
            change::make_dirs(root, &parent, 0o755)?;
            let content = step.content.as_deref().unwrap_or_default();
            change::create(&place(root, step)?, content, *mode, 0, 0)?;
            Ok(Erase::NothingToErase)
        }
        Change::Rewrite { .. } => {
            let (target, meta) = expected(root, step, erase)?;
            change::replace(&target, &meta, step.content.as_deref().unwrap_or_default())
        }
        Change::Link { target } => {
            let parent = step.path.parent().unwrap_or_else(crate::ImagePath::root);
            change::make_dirs(root, &parent, 0o755)?;
            change::symlink(&place(root, step)?, target.as_bytes())?;
            Ok(Erase::NothingToErase)
        }
        Change::Edit { format, edits } => {
            let (target, meta) = expected(root, step, erase)?;
            edit(step, (&target, &meta), (*format, edits))
        }
        Change::ReplaceByLink { target: to } => {
            let (target, meta) = expected(root, step, erase)?;
            let erased = change::delete(&target, &meta)?;
            change::symlink(&place(root, step)?, to.as_bytes())?;
            Ok(erased)
        }
        Change::Truncate => {
            let (target, meta) = expected(root, step, erase)?;
            change::truncate(&target, &meta)
        }
        Change::Remove => {
            let (target, meta) = expected(root, step, erase)?;
            change::delete(&target, &meta)
        }
        Change::RemoveDirectory => {
            // Its own entries went a moment ago, so its times are not those of discovery.
            let target = place(root, step)?;
            change::remove_directory(&target)?;
            Ok(Erase::NothingToErase)
        }
    }
}

/// A step whose inode this run has changed already, by another name.
fn once_more(root: &Root, step: &Step, expect: &Expect, erase: bool) -> Result<Erase> {
    let entry = match root.target(&step.path, step.links)? {
        Some(target) => target.meta()?.map(|meta| (target, meta)),
        None => None,
    };
    // The name itself is gone, or it is a new inode that the earlier step put there.
    let Some((target, meta)) = entry.filter(|(_, meta)| meta.ino == expect.inode) else {
        return Ok(Erase::NothingToErase);
    };
    let target = if erase { target } else { target.leaving_bytes() };
    match &step.change {
        Change::Truncate => change::truncate(&target, &meta),
        Change::Remove => change::delete(&target, &meta),
        // The first name got a new inode; this one still has the old one with the old content.
        Change::Edit { format, edits } if Expect::of(&meta).same_content(expect) => {
            edit(step, (&target, &meta), (*format, edits))
        }
        _ => Err(changed(step)),
    }
}

fn edit(
    step: &Step,
    (target, meta): (&Target, &Meta),
    (format, edits): (edit::Format, &[edit::Edit]),
) -> Result<Erase> {
    let text = content(step, target, meta)?;
    let new = edit::run(format, &text, edits)?;
    replace(target, meta, format, &new)
}

/// The content of the inode that is edited. Never by its path once more: a link that a user puts
/// into it meanwhile would bring the text of a file that he may not read.
fn content(step: &Step, target: &Target, meta: &Meta) -> Result<Zeroizing<Vec<u8>>> {
    let failed = |error: io::Error| Error::failed("read", target.path()).because(error);
    if meta.kind != FileKind::Regular {
        return Err(changed(step));
    }
    let file = match target.open(OFlags::RDONLY, meta) {
        Ok(handle) => File::from(handle),
        Err(Errno::STALE) => return Err(changed(step)),
        Err(errno) => return Err(failed(errno.into())),
    };
    match read_up_to(&file, meta.size, LIMIT).map_err(failed)? {
        Some(text) => Ok(text),
        None => Err(Error::failed("read", target.path())
            .because(format!("it is larger than {LIMIT} bytes"))),
    }
}

/// An account file never becomes empty; a machine ID does, and so does a file of nothing but secrets.
fn replace(target: &Target, meta: &Meta, format: edit::Format, new: &[u8]) -> Result<Erase> {
    let replace = Replace::of(target, meta);
    let may = matches!(format, edit::Format::Whole | edit::Format::Spans);
    let replace = if may { replace.may_be_empty() } else { replace };
    replace.with(new)
}

/// The place of the step, its folder held open.
fn place(root: &Root, step: &Step) -> Result<Target> {
    root.target(&step.path, step.links)?.ok_or_else(|| {
        Error::failed("find the folder of", &step.path).remedy("it vanished; run again")
    })
}

/// The place of the step and the inode in it, which must be the one of discovery.
fn expected(root: &Root, step: &Step, erase: bool) -> Result<(Target, Meta)> {
    let target = follow(root, step)?;
    let target = if erase { target } else { target.leaving_bytes() };
    let meta = target.meta()?.ok_or_else(|| changed(step))?;
    if step.expect.as_ref() != Some(&Expect::of(&meta)) {
        return Err(changed(step));
    }
    Ok((target, meta))
}

/// Account files may be links within the image; an edit goes to the file itself.
fn follow(root: &Root, step: &Step) -> Result<Target> {
    if matches!(step.change, Change::Edit { .. }) && step.links == Links::InRoot {
        if let Some(target) = root.target_followed(&step.path, step.links)? {
            return Ok(target);
        }
    }
    place(root, step)
}

fn changed(step: &Step) -> Error {
    Error::failed("change", &step.path)
        .remedy("it is no longer what discovery saw; stop whatever writes it and run again")
}

#[cfg(test)]
#[path = "apply_tests.rs"]
mod tests;
