//! Keys that the platform itself declares for this instance.
//!
//! A declaration has to come from outside of the disk: cloud-init's record of this boot, or a systemd
//! credential. What an image carries about itself (a baked seed, `users:` in `cloud.cfg.d`) is none.

use std::collections::BTreeSet;

use disinherit_core::manifest::KeyHash;
use disinherit_core::path::escape;
use disinherit_core::root::Root;
use disinherit_core::{ImagePath, Result, seal};
use serde_json::Value;

use crate::edit;

/// cloud-init's standard record of this boot; in `/run`, so never of an earlier one.
const INSTANCE_DATA: &str = "/run/cloud-init/instance-data.json";
/// Link to the folder of the instance whose data cloud-init uses.
const INSTANCE: &str = "/var/lib/cloud/instance";
/// User-data and vendor-data merged, without the image's own configuration.
const CLOUD_CONFIG: &str = "/var/lib/cloud/instance/cloud-config.txt";
/// Local seeds, below which a disk can bring its own "metadata".
const SEEDS: &str = "/var/lib/cloud/seed/";
/// systemd-tmpfiles puts it into root's authorized_keys where no such file is
/// (systemd: tmpfiles.d/provision.conf).
pub const CREDENTIAL: &str = "/run/credentials/@system/ssh.authorized_keys.root";

/// What the platform declares.
#[derive(Debug, Default)]
pub struct Declared {
    /// Keys, whatever account they are for.
    pub keys: BTreeSet<KeyHash>,
    /// Content of the credential for root, where there is one.
    pub credential: Option<Vec<u8>>,
    /// cloud-init's datasource and instance-id, for people.
    pub datasource: Option<String>,
    /// Digest of the local seed that was used.
    pub seed: Option<KeyHash>,
    /// Why something that looks like a declaration was not taken.
    pub notes: Vec<String>,
}

/// Collects the declarations. `known_seeds` are digests of seeds that were on the disk before this
/// instance: what they say is inherited.
///
/// # Errors
/// When a file is there and cannot be read.
pub fn collect(root: &Root, known_seeds: &BTreeSet<KeyHash>) -> Result<Declared> {
    let mut declared = Declared::default();
    if let Some(text) = root.read(&ImagePath::literal(CREDENTIAL), edit::LIMIT)? {
        declared.keys.extend(seal::mentioned(&text));
        declared.credential = Some(text.to_vec());
    }
    let Some(text) = root.read(&ImagePath::literal(INSTANCE_DATA), edit::LIMIT)? else {
        declared.notes.push("cloud-init has found no datasource in this boot".to_owned());
        return Ok(declared);
    };
    let Ok(data) = serde_json::from_slice::<Value>(&text) else {
        declared.notes.push(format!("{INSTANCE_DATA} is no JSON"));
        return Ok(declared);
    };
    let v1 = |key: &str| data.get("v1").and_then(|v| v.get(key)).and_then(Value::as_str);
    let id = v1("instance_id").unwrap_or_default();
    let source = v1("subplatform").or_else(|| v1("cloud_name")).unwrap_or("unknown");
    declared.datasource = Some(format!(
        "{} ({}), instance-id {}",
        plain(v1("platform")),
        plain(Some(source)),
        plain(Some(id))
    ));
    declared.seed = local_seed(root, source)?;
    if source.contains("ds_config") || declared.seed.is_some_and(|seed| known_seeds.contains(&seed))
    {
        declared.notes.push(format!("datasource {} came with the disk", plain(Some(source))));
        return Ok(declared);
    }
    let listed = data.get("v1").and_then(|v| v.get("public_ssh_keys")).and_then(Value::as_array);
    for key in listed.into_iter().flatten().filter_map(Value::as_str) {
        declared.keys.extend(seal::mentioned(key.as_bytes()));
    }
    // Without a datasource the link still leads to an earlier instance.
    let link = root.read_link(&ImagePath::literal(INSTANCE))?.unwrap_or_default();
    if link.rsplit(|b| *b == b'/').next() == Some(id.as_bytes()) {
        if let Some(text) = root.read(&ImagePath::literal(CLOUD_CONFIG), edit::LIMIT)? {
            declared.keys.extend(seal::mentioned(&text));
        }
    }
    Ok(declared)
}

/// The digest of the seed directory that `source` names, such as
/// `seed-dir (/var/lib/cloud/seed/nocloud)`.
fn local_seed(root: &Root, source: &str) -> Result<Option<KeyHash>> {
    let Some(start) = source.find(SEEDS) else { return Ok(None) };
    let path = source.get(start..).unwrap_or_default();
    let path = path.split([')', ' ', ',']).next().unwrap_or_default();
    match ImagePath::new(path) {
        Some(folder) => seal::seed_digest(root, &folder),
        None => Ok(None),
    }
}

/// Text of a file, fit for a console.
fn plain(text: Option<&str>) -> String {
    escape(text.unwrap_or("unknown").as_bytes()).into_owned()
}
