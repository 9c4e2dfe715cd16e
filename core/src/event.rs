//! What a scrub tells the Packer plugin that started it: one JSON object per line on stdout.
//!
//! ```text
//! {"disinherit":{"progress":{"step":"apply","done":3,"total":40,"text":"lock root"}}}
//! {"disinherit":{"report":{...}}}
//! {"disinherit":{"end":{"exit":0}}}
//! ```
//!
//! `end` is the last line and counts more than the exit status of the process: an SSH session that
//! breaks can end with status 0 and cut-off output. Lines of any other shape are ordinary output.

use serde::{Deserialize, Serialize};

/// One line of the protocol.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Event {
    /// Where the run stands.
    Progress(Progress),
    /// The whole report, once.
    Report(serde_json::Value),
    /// The run is over and nothing follows.
    End(End),
}

/// Where the run stands. `total` 0 means: not known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Name of the step: discover, apply, erase, proof ...
    pub step: String,
    /// Units of the step that are done.
    #[serde(default)]
    pub done: u64,
    /// Units of the step in all.
    #[serde(default)]
    pub total: u64,
    /// What is being done now, without any secret.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
}

/// How the run ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// The exit code of the contract: 0 clean, 1 findings, 2 wrong use, 3 failed, 4 refused.
    pub exit: u8,
    /// The one-line cause where `exit` is 2, 3 or 4.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Envelope {
    disinherit: Event,
}

/// What a line that starts as an event starts with, as [`Event::to_line`] writes it.
const PREFIX: &str = "{\"disinherit\":";

impl Event {
    /// The line for this event, without its newline.
    ///
    /// # Errors
    /// Where a report holds a map whose keys are not text.
    pub fn to_line(&self) -> serde_json::Result<String> {
        serde_json::to_string(&Envelope { disinherit: self.clone() })
    }

    /// The event in a line; `None` for ordinary output, an error for an event that is damaged.
    ///
    /// # Errors
    /// Where the line starts as an event and does not go on as one, for example cut in the middle.
    pub fn from_line(line: &str) -> Option<serde_json::Result<Self>> {
        let line = line.trim();
        line.starts_with(PREFIX)
            .then(|| serde_json::from_str::<Envelope>(line).map(|envelope| envelope.disinherit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wire_form_is_as_documented() {
        let progress = Event::Progress(Progress {
            step: "apply".into(),
            done: 3,
            total: 40,
            text: "lock root".into(),
        });
        let line = r#"{"disinherit":{"progress":{"step":"apply","done":3,"total":40,"text":"lock root"}}}"#;
        assert_eq!(progress.to_line().unwrap(), line);
        assert_eq!(Event::from_line(line).unwrap().unwrap(), progress);

        let end = Event::End(End { exit: 1, error: None });
        assert_eq!(end.to_line().unwrap(), r#"{"disinherit":{"end":{"exit":1}}}"#);
    }

    #[test]
    fn other_output_is_no_event_and_a_cut_event_is_an_error() {
        assert!(Event::from_line("Reading package lists...").is_none());
        assert!(Event::from_line(r#"{"level":"info"}"#).is_none());
        assert!(Event::from_line(r#"{"disinherit":{"end":{"ex"#).unwrap().is_err());
        assert!(Event::from_line(r#"{"disinherit":{"later":{}}}"#).unwrap().is_err());
    }
}
