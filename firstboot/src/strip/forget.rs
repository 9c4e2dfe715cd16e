//! Makes cloud-init inject again.
//!
//! cloud-init injects keys once per instance-id and remembers that in semaphores. What was injected
//! before stripping is gone, so without this nobody could log in any more. Only the cached datasource
//! and the semaphores of the three modules that write logins go: scripts, runcmd, bootcmd, disk setup
//! and packages must not run twice because of us.

use disinherit_core::root::{Links, Root};
use disinherit_core::{ImagePath, Result, change};

const INSTANCES: &str = "/var/lib/cloud/instances";
/// Below each instance: the pickled datasource, and the semaphores of the modules `users_groups`,
/// `ssh` and `ssh_import_id` (cloud-init: cloudinit/helpers.py, `FileSemaphores`).
const FORGOTTEN: [&str; 4] =
    ["obj.pkl", "sem/config_users_groups", "sem/config_ssh", "sem/config_ssh_import_id"];

/// Forgets in every instance that cloud-init knows. Returns what was removed.
///
/// # Errors
/// When a file cannot be removed.
pub fn forget(root: &Root) -> Result<Vec<ImagePath>> {
    let mut removed = Vec::new();
    let instances = ImagePath::literal(INSTANCES);
    for entry in root.read_dir(&instances)? {
        let Some(instance) = instances.join(&entry.name) else { continue };
        for name in FORGOTTEN {
            let Some(path) = instance.join(name) else { continue };
            if remove(root, &path)? {
                removed.push(path);
            }
        }
    }
    Ok(removed)
}

fn remove(root: &Root, path: &ImagePath) -> Result<bool> {
    let Some(target) = root.target(path, Links::InRoot)? else { return Ok(false) };
    let Some(meta) = target.meta()? else { return Ok(false) };
    change::delete(&target, &meta)?;
    Ok(true)
}
