//! SSH keys whose private half is published: anybody can log in with them.
//!
//! The list is made from public repositories (test keys of SSH libraries, appliance keys, Vagrant's
//! insecure keys); each row names where the private half lies. Only fingerprints are kept.

use crate::manifest::KeyHash;

/// Rows of `SHA256:… TAB type TAB bits TAB repository:path`; lines with `#` are comments.
const TABLE: &str = include_str!("../data/known-keys.tsv");

/// Where the private half of the key with this blob hash is published, as `repository:path`.
pub fn published(key: &KeyHash) -> Option<&'static str> {
    let wanted = key.fingerprint();
    TABLE.lines().find_map(|line| {
        let mut fields = line.split('\t');
        (fields.next() == Some(wanted.as_str())).then(|| fields.nth(2).unwrap_or("published"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;

    #[test]
    fn every_row_is_found_and_nothing_else() {
        let mut rows = 0;
        for line in TABLE.lines().filter(|l| !l.starts_with('#')) {
            let text = line.split('\t').next().unwrap().strip_prefix("SHA256:").unwrap();
            let bytes = base64::engine::general_purpose::STANDARD_NO_PAD.decode(text).unwrap();
            let place = published(&KeyHash(bytes.try_into().unwrap())).unwrap();
            assert!(place.contains(':'), "{line}");
            rows += 1;
        }
        assert!(rows > 150);
        assert_eq!(published(&KeyHash([7; 32])), None);
    }
}
