//! Text options that take one of a few words. The words themselves are those of policy files and of
//! the command line: core defines them once.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Whether the guest switches itself off after the scrub.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum PowerOff {
    /// As the builder needs it.
    #[default]
    #[serde(rename = "auto")]
    Auto,
    /// Yes.
    #[serde(rename = "true")]
    Yes,
    /// No.
    #[serde(rename = "false")]
    No,
}

/// The value that a word means; `Err` names the words that there are.
pub(crate) fn parse<T: DeserializeOwned>(word: &str) -> Result<T, String> {
    serde_json::from_value(Value::String(word.to_owned())).map_err(|error| {
        let text = error.to_string();
        let words = text.split_once("expected ").map_or("another word", |(_, words)| words);
        format!("must be {words}, not {word:?}")
    })
}

/// The word for a value.
pub(crate) fn word<T: Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(Value::String(word)) => word,
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use disinherit_core::policy::{EraseMode, ProofMode};

    #[test]
    fn words_go_both_ways() {
        assert_eq!(parse::<EraseMode>("trim"), Ok(EraseMode::Trim));
        assert_eq!(word(&EraseMode::Trim), "trim");
        assert_eq!(word(&PowerOff::Yes), "true");
        assert_eq!(
            parse::<ProofMode>("x").unwrap_err(),
            "must be one of `full`, `touched`, `off`, not \"x\""
        );
        let error = parse::<EraseMode>("shred").unwrap_err();
        assert!(error.starts_with("must be one of `auto`, `trim`"), "{error}");
    }
}
