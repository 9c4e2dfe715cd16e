//! What is about to go: its telling pieces are kept in memory that is overwritten when dropped, so
//! that the raw disk can be searched for them afterwards.

use zeroize::Zeroizing;

use crate::catalogue::Severity;
use crate::edit;
use crate::plan::{Change, Plan, Step};
use crate::policy::Settings;
use crate::proof::Needles;
use crate::root::{FileKind, Root};
use crate::{Error, ImagePath, Result};

/// Of larger files only the beginning gives needles; histories and keys are smaller.
const LIMIT: u64 = 1 << 20;

/// The rule of copies of account files: all but their passwords stands in the live files too.
const ACCOUNT_COPIES: &str = "acc-backups";

/// Logs in a chapter of secrets.
const CLOUD_INIT_LOGS: &str = "ci-logs";

/// Chapters whose files hold no secrets of their own: their text stands in many places.
const NOT_SECRET: &[&str] = &["logs", "leftovers", "host-identity"];

/// What is about to go, in memory that is overwritten when dropped.
#[derive(Debug, Default)]
pub struct Secrets {
    pub(super) needles: Needles,
    names: Vec<ImagePath>,
}

impl Secrets {
    /// Remembers the most telling pieces of what `plan` removes.
    ///
    /// # Errors
    /// A file that cannot be read; it could not be proven gone.
    pub fn remember(root: &Root, plan: &Plan, settings: &Settings) -> Result<Self> {
        let mut secrets = Self::default();
        for step in plan.steps.iter().filter(|step| is_secret(step, settings)) {
            match &step.change {
                Change::Remove | Change::Truncate => {
                    if root.lstat(&step.path)?.is_none_or(|m| m.kind != FileKind::Regular) {
                        continue;
                    }
                    let text = head(root, &step.path)?;
                    if step.rules.iter().any(|id| id == ACCOUNT_COPIES) {
                        edit::passwords(text.split(|b| *b == b'\n'))
                            .for_each(|field| secrets.add(&step.path, field));
                    } else {
                        secrets.add(&step.path, &text);
                    }
                }
                Change::Edit { format, edits } => {
                    let Some(old) = root.read(&step.path, 64 << 20)? else { continue };
                    for field in edit::removed(*format, &old, edits)? {
                        secrets.add(&step.path, field);
                    }
                }
                _ => {}
            }
        }
        Ok(secrets)
    }

    fn add(&mut self, path: &ImagePath, secret: &[u8]) {
        let number = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        self.needles.add(number, secret);
        self.names.push(path.clone());
    }

    pub(super) fn name(&self, number: u32) -> ImagePath {
        let index = usize::try_from(number).unwrap_or(usize::MAX);
        self.names.get(index).cloned().unwrap_or_else(ImagePath::root)
    }
}

fn is_secret(step: &Step, settings: &Settings) -> bool {
    step.rules.iter().filter(|id| *id != CLOUD_INIT_LOGS).any(|id| {
        settings.catalogue.get(id).is_some_and(|rule| {
            rule.severity >= Severity::High && !NOT_SECRET.contains(&rule.category.as_str())
        })
    })
}

/// The first mebibyte of a file.
fn head(root: &Root, path: &ImagePath) -> Result<Zeroizing<Vec<u8>>> {
    use std::io::Read as _;
    let Some((file, meta)) = root.open(path)? else { return Ok(Zeroizing::default()) };
    let room = usize::try_from(meta.size.min(LIMIT)).unwrap_or_default();
    // Room for all of it at once: growing would leave copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    file.take(room as u64)
        .read_to_end(&mut bytes)
        .map_err(|e| Error::failed("read", path).because(e))?;
    Ok(bytes)
}
