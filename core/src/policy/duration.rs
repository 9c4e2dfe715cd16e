//! Durations as Go writes them: `20s`, `1m30s`, `1.5h`, `250ms`.

use std::time::Duration;

use serde::de::{self, Unexpected};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How long something may take, written as text in a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Limit(pub Duration);

impl Serialize for Limit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{}ms", self.0.as_millis()))
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let expected = &"a duration such as 90s, 10m or 1h30m";
        match parse(&text) {
            Ok(time) if !time.is_zero() => Ok(Self(time)),
            _ => Err(de::Error::invalid_value(Unexpected::Str(&text), expected)),
        }
    }
}

/// Reads a duration; `Err` is the reason, fit for a person.
///
/// # Errors
/// No number, no unit, a negative number, or one that is too large.
pub fn parse(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    if text.starts_with('-') {
        return Err(format!("{text:?} is negative"));
    }
    if !text.is_empty() && text.chars().all(|c| c.is_ascii_digit() || c == '.') {
        return Err(format!("{text:?} has no unit; write for example \"{text}s\""));
    }
    let mut rest = text;
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let (number, after) = split(rest, |c| c.is_ascii_digit() || c == '.');
        let (unit, after) = split(after, char::is_alphabetic);
        let number: f64 = number.parse().map_err(|_| bad(text))?;
        seconds += number * scale(unit).ok_or_else(|| bad(text))?;
        rest = after;
    }
    if text.is_empty() {
        return Err(bad(text));
    }
    Duration::try_from_secs_f64(seconds).map_err(|_| format!("{text:?} is too long"))
}

fn split(text: &str, inside: impl Fn(char) -> bool) -> (&str, &str) {
    let end = text.find(|c| !inside(c)).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

fn scale(unit: &str) -> Option<f64> {
    Some(match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return None,
    })
}

fn bad(text: &str) -> String {
    format!("{text:?} is no duration; write for example \"20s\" or \"5m\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_forms() {
        assert_eq!(parse("20s"), Ok(Duration::from_secs(20)));
        assert_eq!(parse("1m30s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse("1.5h"), Ok(Duration::from_secs(5400)));
        assert_eq!(parse("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse("0"), Ok(Duration::ZERO));
    }

    #[test]
    fn a_limit_survives_the_way_to_the_guest() {
        let limit: Limit = serde_json::from_str("\"1m30s\"").unwrap();
        assert_eq!(limit, Limit(Duration::from_secs(90)));
        let text = serde_json::to_string(&limit).unwrap();
        assert_eq!(serde_json::from_str::<Limit>(&text).unwrap(), limit);
        for bad in ["\"0\"", "\"10\"", "10"] {
            assert!(serde_json::from_str::<Limit>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_rest_is_told_apart() {
        assert!(parse("20").unwrap_err().contains("no unit"));
        assert!(parse("-5s").unwrap_err().contains("negative"));
        assert!(parse("99999999999999999999999h").unwrap_err().contains("too long"));
        for bad in ["", "s", "5 m", "5y", "1m30", "..s", "1mé"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
