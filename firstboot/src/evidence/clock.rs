//! Today, for expiry dates. A wrong clock can only make a key look expired, or not yet expired to us
//! while sshd itself decides again at login; nothing is removed because of a date.

use std::time::{SystemTime, UNIX_EPOCH};

/// Days since 1970-01-01, UTC.
pub(super) fn today() -> i64 {
    seconds() / 86_400
}

/// Seconds since 1970-01-01, UTC.
pub(super) fn seconds() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// True when the `expiry-time` of a key, `YYYYMMDD[Z]` or `YYYYMMDDHHMM[SS][Z]` (sshd(8)), has passed
/// everywhere: without a `Z` it is local time, which is at most 14 hours ahead.
pub(super) fn has_passed(expiry: &[u8], now: i64) -> bool {
    let utc = expiry.ends_with(b"Z");
    let digits: &[u8] = expiry.strip_suffix(b"Z").unwrap_or(expiry);
    if !digits.iter().all(u8::is_ascii_digit) {
        return false;
    }
    let number = |from: usize, to: usize| -> i64 {
        let part = digits.get(from..to).and_then(|d| std::str::from_utf8(d).ok());
        part.and_then(|d| d.parse().ok()).unwrap_or(0)
    };
    let day = days_from_civil(number(0, 4), number(4, 6), number(6, 8));
    let time = number(8, 10) * 3600 + number(10, 12) * 60 + number(12, 14);
    let slack = if utc { 0 } else { 14 * 3600 };
    day * 86_400 + time + slack < now
}

/// Days since 1970-01-01 of a date of the proleptic Gregorian calendar; the year begins in March so
/// that the leap day is its last.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_date() {
        assert_eq!(days_from_civil(1970, 1, 1), 0);
        assert_eq!(days_from_civil(2000, 3, 1), 11_017);
        assert_eq!(days_from_civil(2026, 11, 23), 20_780);
    }

    #[test]
    fn expiry_with_and_without_a_zone() {
        let noon = 20_780 * 86_400 + 12 * 3600;
        assert!(has_passed(b"20261123Z", noon));
        assert!(!has_passed(b"20261124Z", noon));
        assert!(!has_passed(b"20261123", noon), "it may still be midnight somewhere");
        assert!(has_passed(b"202611221159Z", noon));
        assert!(has_passed(b"20261122115900Z", noon));
        assert!(!has_passed(b"never", noon));
    }
}
