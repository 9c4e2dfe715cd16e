//! What a platform tells an instance about itself (cloud-init, "NoCloud datasource" and "Config
//! drive").

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::command::run;
use crate::{Context, Result};

/// What the platform says.
#[derive(Debug, Clone, Default)]
pub struct Metadata {
    /// Names the instance; a new one is a new machine for cloud-init.
    pub instance_id: String,
    /// Lines of authorized_keys for the image's default user.
    pub public_keys: Vec<String>,
    /// The user-data document; empty: none given.
    pub user_data: String,
}

/// An ISO image with the label `cidata`.
#[derive(Debug)]
pub struct Seed {
    folder: tempfile::TempDir,
}

impl Seed {
    /// Writes `metadata` into an image.
    ///
    /// # Errors
    /// When genisoimage fails.
    pub fn make(metadata: &Metadata) -> Result<Self> {
        let seed = Self { folder: nocloud_folder(metadata)? };
        let place = seed.folder.path();
        run(Command::new("genisoimage")
            .args(["-quiet", "-volid", "cidata", "-joliet", "-rock", "-output"])
            .arg(seed.path())
            .args([place.join("user-data"), place.join("meta-data")]))?;
        Ok(seed)
    }

    /// The image file.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("seed.iso")
    }
}

/// The files of a NoCloud seed.
///
/// # Errors
/// When they cannot be written.
pub fn nocloud_folder(metadata: &Metadata) -> Result<tempfile::TempDir> {
    let folder = tempfile::tempdir()?;
    let place = folder.path();
    fs::write(place.join("user-data"), user_data(metadata))
        .context(|| "write user-data".to_owned())?;
    fs::write(place.join("meta-data"), meta_data(metadata)?)
        .context(|| "write meta-data".to_owned())?;
    Ok(folder)
}

/// The files of an OpenStack config drive.
///
/// # Errors
/// When they cannot be written.
pub fn config_drive_folder(metadata: &Metadata) -> Result<tempfile::TempDir> {
    let folder = tempfile::tempdir()?;
    let place = folder.path().join("openstack/latest");
    fs::create_dir_all(&place).context(|| "create a config drive".to_owned())?;
    let named = metadata.public_keys.iter().enumerate();
    let keys: serde_json::Map<String, serde_json::Value> =
        named.map(|(number, key)| (format!("key{number}"), key.as_str().into())).collect();
    let document = serde_json::json!({ "uuid": metadata.instance_id, "public_keys": keys });
    fs::write(place.join("meta_data.json"), serde_json::to_string_pretty(&document)?)
        .context(|| "write meta_data.json".to_owned())?;
    fs::write(place.join("user_data"), user_data(metadata))
        .context(|| "write user_data".to_owned())?;
    Ok(folder)
}

fn user_data(metadata: &Metadata) -> &str {
    match metadata.user_data.as_str() {
        "" => "#cloud-config\n{}\n",
        given => given,
    }
}

/// JSON is YAML, and its quoting is settled.
fn meta_data(metadata: &Metadata) -> Result<String> {
    let document = serde_json::json!({
        "instance-id": metadata.instance_id,
        "public-keys": metadata.public_keys,
    });
    Ok(serde_json::to_string_pretty(&document)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_yaml_that_cloud_init_reads() {
        let metadata = Metadata {
            instance_id: "i-1".into(),
            public_keys: vec!["ssh-ed25519 AAAA someone \"quoted\"".into()],
            user_data: String::new(),
        };
        let text = meta_data(&metadata).unwrap();
        let read: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(read["public-keys"][0], "ssh-ed25519 AAAA someone \"quoted\"");
    }
}
