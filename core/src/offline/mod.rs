//! What only an unmounted file system allows: `scrub --root DIR --offline` unmounts the image for
//! a moment, lets the file systems' own tools rebuild directories and make logs anew, and mounts
//! everything where and as it was. See `docs/adr/0009-offline-treatment-unmounts.md`.

mod mounts;
mod tools;

use std::path::{Path, PathBuf};

use crate::apply::Progress;
use crate::disk::Treatment;
use crate::erase::mounts::Entry;
use crate::sys::erase::Signals;
use crate::{Error, Result};
use tools::Tool;

/// An image that can be unmounted, and the tools for it.
#[derive(Debug)]
pub struct Offline {
    /// The top first.
    mounts: Vec<(Entry, Vec<Tool>)>,
}

/// One tool's run.
#[derive(Debug)]
pub struct Treated {
    /// Its command line.
    pub line: String,
    /// The device.
    pub device: PathBuf,
    /// The type of its file system.
    pub fstype: String,
    /// Why it failed, if it did.
    pub error: Option<Error>,
}

impl Offline {
    /// Looks at the mounts at and below `top`. Nobody may hold a handle on them, this process
    /// included.
    ///
    /// # Errors
    /// `Refused`, nothing is changed: `top` is no mount, something is in use or cannot be mounted
    /// again, or a tool is missing.
    pub fn discover(top: &Path) -> Result<Self> {
        let mounts: Vec<(Entry, Vec<Tool>)> = mounts::below(top)?
            .into_iter()
            .map(|entry| {
                let tools = if entry.read_only {
                    Vec::new()
                } else {
                    tools::of(&entry.fstype, &entry.source)?
                };
                Ok((entry, tools))
            })
            .collect::<Result<_>>()?;
        if mounts.iter().all(|(_, tools)| tools.is_empty()) {
            return Err(Error::refused("treat the unmounted image", top.display())
                .because("none of its file systems is a writable ext4 or xfs")
                .remedy("leave --offline out"));
        }
        Ok(Self { mounts })
    }

    /// What will be done, as the plan shows it.
    pub fn treatments(&self) -> Vec<Treatment> {
        let of = |(entry, tools): &(Entry, Vec<Tool>)| Treatment::Offline {
            point: crate::path::escape(std::os::unix::ffi::OsStrExt::as_bytes(
                entry.point.as_os_str(),
            ))
            .into_owned(),
            commands: tools.iter().map(|tool| tool.line(&entry.source)).collect(),
        };
        self.mounts.iter().map(of).collect()
    }

    /// Unmounts everything, runs the tools, mounts everything again. A signal waits until then.
    ///
    /// # Errors
    /// Something is in use now, or cannot be mounted again. What a tool says is in the list.
    pub fn treat(&self, told: &mut dyn Progress) -> Result<Vec<Treated>> {
        let signals = Signals::catch();
        let held = self.mounts.iter().map(|(entry, _)| mounts::hold(entry));
        let held = held.collect::<Result<Vec<_>>>()?;
        let mut unmounted = Vec::new();
        let mut outcome = Ok(());
        for (entry, _) in self.mounts.iter().rev() {
            outcome = mounts::unmount_now(entry);
            if outcome.is_err() {
                break;
            }
            unmounted.push(entry);
        }
        let treated = if outcome.is_ok() { self.run_tools(told) } else { Vec::new() };
        // The top comes back first; each is tried, whatever became of the others.
        let again: Vec<Result<()>> =
            unmounted.iter().rev().map(|entry| mounts::mount_again(entry)).collect();
        drop(held);
        outcome?;
        again.into_iter().collect::<Result<()>>()?;
        match signals.arrived() {
            Some(signal) => Err(Error::failed("finish the treatment of", "the unmounted image")
                .because(format!("stopped by signal {signal}"))
                .remedy("run again: the image is mounted as it was")),
            None => Ok(treated),
        }
    }

    fn run_tools(&self, told: &mut dyn Progress) -> Vec<Treated> {
        let mut treated = Vec::new();
        for (entry, tools) in &self.mounts {
            for tool in tools {
                told.phase("Offline", 0, 0);
                let device = entry.source.clone();
                let outcome = mounts::is_free(&device).and_then(|()| tool.run(&device));
                treated.push(Treated {
                    line: tool.line(&device),
                    device,
                    fstype: entry.fstype.clone(),
                    error: outcome.err(),
                });
            }
        }
        treated
    }
}
