//! A NoCloud seed: what a platform tells an instance about itself
//! (cloud-init, "NoCloud datasource").

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
        let seed = Self { folder: tempfile::tempdir()? };
        let place = seed.folder.path();
        let user_data = match metadata.user_data.as_str() {
            "" => "#cloud-config\n{}\n",
            given => given,
        };
        fs::write(place.join("user-data"), user_data).context(|| "write user-data".to_owned())?;
        fs::write(place.join("meta-data"), meta_data(metadata)?)
            .context(|| "write meta-data".to_owned())?;
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
