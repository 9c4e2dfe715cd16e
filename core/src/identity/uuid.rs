//! UUIDs of machines, as firmware and hypervisors write them.

/// UUIDs that vendors forgot to replace, beside nil and all ones.
const JUNK: [&str; 4] = [
    "03000200-0400-0500-0006-000700080009",
    "12345678-1234-5678-90ab-cddeefaabbcc",
    "feeefeee-feee-feee-feee-feeefeeefeee",
    "01020304-0506-0708-090a-0b0c0d0e0f10",
];

/// Lower case with hyphens; `None` for text that is no UUID, and for values that name no machine.
pub(super) fn normalise(raw: &str) -> Option<String> {
    let digits: String = raw
        .trim_matches(|c: char| c.is_whitespace() || c == '\0' || c == '{' || c == '}')
        .chars()
        .filter(|c| *c != '-')
        .map(|c| c.to_ascii_lowercase())
        .collect();
    if digits.len() != 32 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let first = digits.bytes().next()?;
    if (first == b'0' || first == b'f') && digits.bytes().all(|b| b == first) {
        return None;
    }
    let uuid = hyphenate(&digits)?;
    let junk = JUNK.iter().any(|known| same_uuid(&uuid, known));
    (!junk).then_some(uuid)
}

pub(super) fn hyphenate(digits: &str) -> Option<String> {
    let part = |from, to| digits.get(from..to);
    Some(format!(
        "{}-{}-{}-{}-{}",
        part(0, 8)?,
        part(8, 12)?,
        part(12, 16)?,
        part(16, 20)?,
        part(20, 32)?
    ))
}

/// SMBIOS 2.6 stores the first three fields little-endian; firmware before it, and some after it,
/// did not. An update of the firmware may therefore swap them without making another machine.
pub(super) fn same_uuid(a: &str, b: &str) -> bool {
    a == b || swapped(a).as_deref() == Some(b)
}

pub(super) fn swapped(uuid: &str) -> Option<String> {
    let digits: String = uuid.chars().filter(|c| *c != '-').collect();
    let reversed = |from: usize, to: usize| -> Option<String> {
        let field = digits.get(from..to)?;
        let pairs: Vec<&str> = (0..field.len())
            .step_by(2)
            .rev()
            .map(|i| field.get(i..i + 2))
            .collect::<Option<_>>()?;
        Some(pairs.concat())
    };
    let text = [reversed(0, 8)?, reversed(8, 12)?, reversed(12, 16)?, digits.get(16..)?.to_owned()];
    hyphenate(&text.concat())
}
