//! The state as JSON. One flat object, in which the members of other stages are missing: a tagged enum
//! would cost every image 50 kB of code.

use std::collections::BTreeSet;

use disinherit_core::identity::Identity;
use disinherit_core::manifest::KeyHash;
use disinherit_core::{Error, Result};
use serde::{Deserialize, Serialize};

use super::{Adopted, Changed, PATH, Record, Removal};

const SCHEMA: u32 = 1;

#[derive(Default, Serialize, Deserialize)]
struct File {
    schema: u32,
    state: String,
    identity: Identity,
    #[serde(skip_serializing_if = "Option::is_none")]
    removal: Option<Removal>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kept: Option<BTreeSet<KeyHash>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    authorized: Option<BTreeSet<KeyHash>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keys: Option<BTreeSet<KeyHash>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seeds: Option<BTreeSet<KeyHash>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked: Option<BTreeSet<KeyHash>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    accepted: Option<BTreeSet<KeyHash>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ignition: Option<BTreeSet<KeyHash>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    changed: Option<Changed>,
}

/// `None` for what is no state of this schema, or lacks what its stage must have.
pub(super) fn parse(bytes: &[u8]) -> Option<Record> {
    let file: File = serde_json::from_slice(bytes).ok()?;
    if file.schema != SCHEMA {
        return None;
    }
    let identity = file.identity;
    Some(match file.state.as_str() {
        "stripping" => Record::Stripping { identity, removal: file.removal? },
        "stripped" => Record::Stripped {
            identity,
            kept: file.kept?,
            authorized: file.authorized.unwrap_or_default(),
        },
        "adopted" => Record::Adopted(Box::new(Adopted {
            identity,
            keys: file.keys?,
            seeds: file.seeds.unwrap_or_default(),
            revoked: file.revoked.unwrap_or_default(),
            accepted: file.accepted.unwrap_or_default(),
            ignition: file.ignition.unwrap_or_default(),
            changed: file.changed,
        })),
        _ => return None,
    })
}

/// Indented, with a final newline.
pub(super) fn text(record: &Record) -> Result<Vec<u8>> {
    let empty = |state: &str, identity: &Identity| File {
        schema: SCHEMA,
        state: state.to_owned(),
        identity: identity.clone(),
        ..File::default()
    };
    let file = match record.clone() {
        Record::Stripping { identity, removal } => {
            File { removal: Some(removal), ..empty("stripping", &identity) }
        }
        Record::Stripped { identity, kept, authorized } => {
            File { kept: Some(kept), authorized: Some(authorized), ..empty("stripped", &identity) }
        }
        Record::Adopted(adopted) => File {
            keys: Some(adopted.keys),
            seeds: Some(adopted.seeds),
            revoked: Some(adopted.revoked),
            accepted: Some(adopted.accepted),
            ignition: Some(adopted.ignition),
            changed: adopted.changed,
            ..empty("adopted", &adopted.identity)
        },
    };
    let mut bytes =
        serde_json::to_vec_pretty(&file).map_err(|e| Error::failed("write", PATH).because(e))?;
    bytes.push(b'\n');
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Adopted;

    #[test]
    fn every_stage_comes_back() {
        let keys = BTreeSet::from([KeyHash([7; 32])]);
        let identity = Identity::default();
        for record in [
            Record::Stripping { identity: identity.clone(), removal: Removal::Sealed },
            Record::Stripping {
                identity: identity.clone(),
                removal: Removal::AllBut(keys.clone()),
            },
            Record::Stripped { identity, kept: keys.clone(), authorized: keys.clone() },
            Record::Adopted(Box::new(Adopted {
                keys: keys.clone(),
                revoked: keys.clone(),
                changed: Some(Changed { present: keys, ..Changed::default() }),
                ..Adopted::default()
            })),
        ] {
            assert_eq!(parse(&text(&record).unwrap()), Some(record));
        }
    }
}
