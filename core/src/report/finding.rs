//! Something that was found and stays.

use serde::{Deserialize, Serialize};

use crate::catalogue::{Action, Finder, Severity};
use crate::facts::{Hit, Note, Problem};
use crate::plan::{REFUSED, REMOVE_USERS, UNREADABLE};
use crate::policy::Settings;
use crate::{Error, ImagePath};

/// The remedy of what a scrub with the same policy changes.
pub(crate) const RUN_SCRUB: &str = "run scrub";

/// Something that was found and stays; never contains the secret itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The rule's id.
    pub rule: String,
    /// The rule's chapter.
    pub category: String,
    /// How bad it is.
    pub severity: Severity,
    /// Where.
    pub path: ImagePath,
    /// Whose, or which setting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// What it is.
    pub what: String,
    /// Why it matters.
    pub why: String,
    /// What to do about it.
    pub remedy: String,
}

impl Finding {
    /// A hit of a rule that does not act.
    pub(crate) fn of_hit(settings: &Settings, hit: &Hit) -> Self {
        let reports = settings.catalogue.get(&hit.rule).is_some_and(|r| r.action == Action::Report);
        let remedy = if reports {
            meant(&hit.rule)
        } else {
            format!("switch the rule on in the policy: rules: {{{}: on}}", hit.rule)
        };
        Self::of_rule(settings, &hit.rule, hit.path.clone(), hit.subject.clone(), remedy)
    }

    /// A note of a rule that only reports.
    pub(crate) fn of_note(settings: &Settings, note: &Note) -> Self {
        let (path, subject) = (note.path.clone(), note.subject.clone());
        let remedy = match settings.catalogue.get(&note.rule).map(|rule| rule.find) {
            Some(Finder::Content) => unmeant(&note.rule),
            Some(Finder::Initrd) => REBUILD.to_owned(),
            _ => meant(&note.rule),
        };
        let finding = Self::of_rule(settings, &note.rule, path, subject, remedy);
        Self { severity: note.severity.unwrap_or(finding.severity), ..finding }
    }

    /// Why a scrub with the same policy would write nothing.
    pub(crate) fn of_refusal(error: &Error) -> Self {
        Self {
            rule: REFUSED.into(),
            category: "first-boot".into(),
            severity: Severity::Medium,
            path: ImagePath::root(),
            subject: None,
            what: error.report(),
            why: "a scrub with this policy would be refused".into(),
            remedy: error.remedy_text().unwrap_or("see the policy").to_owned(),
        }
    }

    /// What could not be read.
    pub(crate) fn of_problem(problem: &Problem) -> Self {
        Self {
            rule: UNREADABLE.into(),
            category: "discovery".into(),
            severity: problem.severity,
            path: problem.path.clone(),
            subject: None,
            what: problem.what.clone(),
            why: "what was not seen is not clean".into(),
            remedy: "repair or remove the file, then run again".into(),
        }
    }

    /// A step that should have left nothing behind.
    pub(crate) fn of_rule(
        settings: &Settings,
        id: &str,
        path: ImagePath,
        subject: Option<String>,
        remedy: String,
    ) -> Self {
        let rule = settings.catalogue.get(id);
        let text = |pick: fn(&crate::catalogue::Rule) -> &String, other: &str| {
            rule.map_or_else(|| other.to_owned(), |r| pick(r).clone())
        };
        let other = if id == REMOVE_USERS { "part of an account that policy removes" } else { id };
        Self {
            rule: id.to_owned(),
            category: text(|r| &r.category, "policy"),
            severity: rule.map_or(Severity::High, |r| r.severity),
            path,
            subject,
            what: text(|r| &r.what, other),
            why: text(|r| &r.why, "policy asks for it"),
            remedy,
        }
    }
}

/// What to do about a secret that is packed in an initial RAM disk.
const REBUILD: &str = "take it out of what is packed, scrub, then rebuild with \
     update-initramfs -u, dracut -f or mkinitcpio -P";

/// What to do about a rule that only reports.
fn meant(rule: &str) -> String {
    format!("change it in the image, or say that it is meant: rules: {{{rule}: off}}")
}

/// What to do about a secret that the content scan found and that stays.
fn unmeant(rule: &str) -> String {
    format!(
        "remove it from the image, or write content: remove into the policy; if it is meant, keep \
         it by allow: {{paths: [...]}} or rules: {{{rule}: off}}"
    )
}
