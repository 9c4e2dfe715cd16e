//! A list of revoked keys as sshd reads it (OpenSSH: PROTOCOL.krl).

use std::collections::BTreeSet;

use crate::manifest::KeyHash;

/// Where the list lies; named by sshd's drop-in. Without the file sshd refuses every key, so it is
/// there from sealing on.
pub const REVOKED: &str = "/etc/ssh/disinherit_revoked_keys";

const MAGIC: &[u8] = b"SSHKRL\n\0";
const VERSION: u32 = 1;
/// `KRL_SECTION_FINGERPRINT_SHA256`.
const SHA256: u8 = 5;
const COMMENT: &[u8] = b"disinherit: keys of the image or of a former owner";

/// The list for keys of these hashes. The same keys give the same bytes: neither time nor serial.
pub fn revocation_list(keys: &BTreeSet<KeyHash>) -> Vec<u8> {
    let mut list = MAGIC.to_vec();
    list.extend(VERSION.to_be_bytes());
    // Serial, time and flags, none of which sshd looks at.
    list.extend([0; 24]);
    string(&mut list, b"");
    string(&mut list, COMMENT);
    if !keys.is_empty() {
        let mut section = Vec::new();
        for key in keys {
            string(&mut section, &key.0);
        }
        list.push(SHA256);
        string(&mut list, &section);
    }
    list
}

/// RFC 4251, section 5.
fn string(out: &mut Vec<u8>, text: &[u8]) {
    out.extend(u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(text);
}
