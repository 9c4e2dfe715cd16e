//! The report: what was done, what is left, what cannot be known. It is made from a fresh
//! discovery, not from what apply believes. The JSON form has the schema `docs/report.schema.json`.

mod expected;
mod finding;
mod html;
mod left;
mod sarif;
mod text;

use serde::{Deserialize, Serialize};

pub use expected::expect;
pub use finding::Finding;
pub use html::html;
pub(crate) use left::left;
pub use sarif::sarif;
pub use text::text;

use crate::ImagePath;
use crate::catalogue::Severity;
use crate::change::Erase;
use crate::erase::swap::{Active, SwapReport};
use crate::erase::{FsReport, Residual as Below};
use crate::facts::Login;
use crate::proof::SearchReport;
use crate::reach::Mount;

/// The version of the report's form; a reader refuses a higher one.
pub const SCHEMA: u32 = 1;

/// What one run did and left.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Version of the program.
    pub version: String,
    /// What was asked for.
    pub mode: Mode,
    /// The root as the caller named it.
    pub root: String,
    /// True when the root is the running system.
    pub live: bool,
    /// The exit code that follows from this report.
    pub exit_code: u8,
    /// Findings of this severity and above fail the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fail_on: Option<Severity>,
    /// The counts that a person reads first.
    pub summary: Summary,
    /// What was done or, for a dry run, would be done.
    pub actions: Vec<Done>,
    /// What is there and stays.
    pub findings: Vec<Finding>,
    /// What this run could not reach, and what does.
    pub residual: Vec<Residual>,
    /// What was done to the free space and the journal of each file system.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub erased: Vec<FsReport>,
    /// Swap areas that were overwritten.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub swaps: Vec<SwapReport>,
    /// Swap areas that were in use and are not any more; not a part of the report's form.
    #[serde(skip)]
    pub stopped_swaps: Vec<Active>,
    /// The search of the raw devices for what was removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<SearchReport>,
    /// Every public key that sshd accepted when the run began.
    pub logins: Vec<Login>,
    /// File systems that were left alone.
    pub skipped: Vec<Mount>,
}

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Look only.
    Audit,
    /// Plan, change nothing.
    DryRun,
    /// Plan, apply, verify.
    Scrub,
}

/// The counts that a person reads first.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Summary {
    /// Steps of the plan.
    pub planned: usize,
    /// Steps that were carried out.
    pub done: usize,
    /// Steps that failed.
    pub failed: usize,
    /// Findings that stay.
    pub findings: usize,
    /// Those of them that fail the run.
    pub failing: usize,
    /// Bytes that were overwritten.
    pub bytes_erased: u64,
}

/// One step and what became of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Done {
    /// The rules that asked for it.
    pub rules: Vec<String>,
    /// The path in the image.
    pub path: ImagePath,
    /// What was done, in words.
    pub action: String,
    /// Whose it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subjects: Vec<String>,
    /// What became of the bytes that lay there; absent for a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub erase: Option<Erase>,
    /// Why it failed, when it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Something that this run could not reach.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Residual {
    /// What may still be there.
    pub what: String,
    /// Why this run could not reach it.
    pub why: String,
    /// What does.
    pub remedy: String,
}

fn overwritten(erase: &Erase) -> u64 {
    if let Erase::Overwritten { bytes } = erase { *bytes } else { 0 }
}

impl Residual {
    /// What is left of the free space or the metadata of the file system mounted at `point`.
    pub fn below(point: &str, left: &Below) -> Self {
        let what = format!("{point}: {}", left.place_text());
        Self { what, why: left.why.clone(), remedy: left.remedy.clone() }
    }

    /// No search of the raw disk was made.
    pub fn unsearched(by_policy: bool) -> Self {
        let why = if by_policy {
            "policy says proof: off"
        } else {
            "the root is a part of a larger file system, or lies on no block device"
        };
        Self {
            what: "the raw disk was not searched for what was removed".into(),
            why: why.into(),
            remedy: "scrub the mounted image itself with proof: full".into(),
        }
    }

    /// Devices that were not searched to their end, or only where this run changed something.
    pub fn partly_searched(found: &SearchReport) -> Option<Self> {
        let sum = |pick: fn(&crate::proof::Searched) -> u64| found.devices.iter().map(pick).sum();
        let (size, wanted, searched): (u64, u64, u64) =
            (sum(|d| d.size), sum(|d| d.wanted), sum(|d| d.searched));
        let why = match (searched < wanted, wanted < size) {
            (true, _) => "the time limit of the proof was over",
            (false, true) => "policy says proof: touched",
            (false, false) => return None,
        };
        Some(Self {
            what: format!("{searched} of {size} bytes of raw disk were searched"),
            why: why.into(),
            remedy: "run again with proof: full and without proof_limit".into(),
        })
    }

    /// What an outcome leaves on the device; `None` when nothing.
    pub fn of(erase: &Erase) -> Option<Self> {
        let (what, why, remedy) = match erase {
            Erase::Overwritten { .. } | Erase::NothingToErase => return None,
            Erase::NeedsDiscard { why } => (
                "bytes of removed files in free blocks",
                why,
                "discard the free space of the image, for instance with fstrim",
            ),
            Erase::NeedsCheckpoint { why } => (
                "copies of removed files in the journal",
                why,
                "remove the journal of the unmounted image and make it anew: tune2fs -O ^has_journal, then -j",
            ),
            Erase::NotErased { why } => {
                ("bytes of a removed file", why, "look at the file's other names")
            }
        };
        Some(Self { what: what.into(), why: why.to_string(), remedy: remedy.into() })
    }
}

impl Report {
    /// A report of an audit that found nothing.
    #[cfg(test)]
    pub(crate) fn of_nothing() -> Self {
        Self { version: "1.0.0".into(), ..Self::blank(Mode::Audit, "/".into(), false) }
    }

    /// The report of a run that begins, on the root that the caller named so.
    pub(crate) fn blank(mode: Mode, root: String, live: bool) -> Self {
        Self {
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            mode,
            root,
            live,
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
            logins: Vec::new(),
            skipped: Vec::new(),
        }
    }

    /// The findings that fail the run at `fail_on`.
    pub fn failing(&self, fail_on: Severity) -> usize {
        self.findings.iter().filter(|f| f.severity >= fail_on).count()
    }

    /// Counts again and derives the exit code: 3 when a step failed, 1 when something remains,
    /// else 0. `strict` makes residual risks fail too.
    pub fn conclude(&mut self, fail_on: Severity, strict: bool) {
        self.fail_on = Some(fail_on);
        self.summary.findings = self.findings.len();
        self.summary.failing = self.failing(fail_on);
        self.summary.failed = self.actions.iter().filter(|a| a.error.is_some()).count();
        self.summary.done = match self.mode {
            Mode::Scrub => self.actions.len() - self.summary.failed,
            Mode::Audit | Mode::DryRun => 0,
        };
        self.summary.bytes_erased =
            self.actions.iter().filter_map(|a| a.erase.as_ref()).map(overwritten).sum();
        let remains = self.summary.failing > 0 || strict && !self.residual.is_empty();
        self.exit_code = match (self.summary.failed, remains) {
            (1.., _) => 3,
            (0, true) => 1,
            (0, false) => 0,
        };
    }

    /// The report as JSON with a final newline.
    pub fn json(&self) -> String {
        // Maps have string keys and nothing here fails to serialise.
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }
}
