//! What is about to go: its telling pieces are kept in memory that is overwritten when dropped, so
//! that the raw disk can be searched for them afterwards.

use std::fs::File;

use zeroize::Zeroizing;

use super::attributes;
use crate::catalogue::Severity;
use crate::edit;
use crate::plan::{Change, Plan, Step};
use crate::policy::Settings;
use crate::proof::{Needles, Parts};
use crate::root::{FileKind, Root};
use crate::{Error, ImagePath, Result};

/// Bytes that are looked at together.
const PART: u64 = 1 << 20;
/// Parts of one file; of larger files parts in equal distances.
const PARTS: u64 = 64;
/// A name, link target or attribute shorter than this is no token.
const TOKEN: usize = 20;

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
                    secrets.of_inode(root, step)?;
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

    /// What goes with an inode: content, link target, attributes, and a name that is a token.
    fn of_inode(&mut self, root: &Root, step: &Step) -> Result<()> {
        let Some(meta) = root.lstat(&step.path)? else { return Ok(()) };
        if step.change == Change::Remove {
            self.token(&step.path, step.path.file_name().unwrap_or_default());
            for value in attributes::telling(root, &step.path)? {
                self.token(&step.path, &value);
            }
        }
        match meta.kind {
            FileKind::Symlink => {
                let target = Zeroizing::new(root.read_link(&step.path)?.unwrap_or_default());
                target.split(|b| *b == b'/').for_each(|name| self.token(&step.path, name));
                Ok(())
            }
            FileKind::Regular if step.rules.iter().any(|id| id == ACCOUNT_COPIES) => {
                let text = root.read(&step.path, 64 << 20)?.unwrap_or_default();
                edit::passwords(text.split(|b| *b == b'\n')).for_each(|f| self.add(&step.path, f));
                Ok(())
            }
            FileKind::Regular => self.content(root, &step.path),
            _ => Ok(()),
        }
    }

    /// The content of a file, however long: parts of it in equal distances.
    fn content(&mut self, root: &Root, path: &ImagePath) -> Result<()> {
        let Some((file, meta)) = root.open(path)? else { return Ok(()) };
        let failed = |e| Error::failed("read", path).because(e);
        let parts = meta.size.div_ceil(PART).clamp(1, PARTS);
        let room = usize::try_from(meta.size.min(PART)).unwrap_or_default();
        // One buffer of the right size: growing would leave copies behind.
        let mut buffer = Zeroizing::new(vec![0; room]);
        let (number, mut tally) = (self.number(path), Parts::default());
        for part in 0..parts {
            let at = meta.size.saturating_sub(room as u64) / parts.saturating_sub(1).max(1) * part;
            let got = read_at(&file, &mut buffer, at).map_err(failed)?;
            // A hole of a sparse file: nothing to search for, and slow to find that out.
            if buffer.iter().take(got).all(|byte| *byte == 0) {
                continue;
            }
            self.needles.add_part(number, buffer.get(..got).unwrap_or_default(), &mut tally);
        }
        self.needles.count(tally);
        Ok(())
    }

    /// A word that is searched for if it looks like a token, and not counted if it does not.
    fn token(&mut self, path: &ImagePath, word: &[u8]) {
        let has = |kind: fn(&u8) -> bool| word.iter().any(kind);
        let mixed = has(u8::is_ascii_digit) && has(u8::is_ascii_lowercase);
        if word.len() >= TOKEN && mixed && has(u8::is_ascii_uppercase) {
            self.add(path, word);
        }
    }

    fn add(&mut self, path: &ImagePath, secret: &[u8]) {
        let number = self.number(path);
        self.needles.add(number, secret);
    }

    fn number(&mut self, path: &ImagePath) -> u32 {
        self.names.push(path.clone());
        u32::try_from(self.names.len() - 1).unwrap_or(u32::MAX)
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

/// Fills `buffer` from byte `at` on, as far as the file goes; the bytes read.
fn read_at(file: &File, buffer: &mut [u8], at: u64) -> std::io::Result<usize> {
    use std::os::unix::fs::FileExt as _;
    let mut got = 0;
    while let Some(rest) = buffer.get_mut(got..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, at + got as u64) {
            Ok(0) => break,
            Ok(read) => got += read,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(got)
}
