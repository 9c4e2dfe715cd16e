//! An image launched as an instance: a disk, an identity and a key that its platform injects.

use std::collections::BTreeSet;
use std::path::Path;

use crate::deadline::wait_for;
use crate::qemu::{BOOT, Disk, Hardware, Machine, last_lines};
use crate::seed::{Metadata, Seed};
use crate::ssh::{Answer, Door, KeyPair, Proof};
use crate::{Context, Result, failed};

/// The user that cloud-init gives an injected key to, in Debian's configuration.
pub const DEFAULT_USER: &str = "debian";

/// One instance, on or off; its disk keeps what its boots wrote.
#[derive(Debug)]
pub struct Instance {
    disk: Disk,
    owner: KeyPair,
    uuid: String,
    seed: Seed,
}

impl Instance {
    /// An instance of its own for each `number`: SMBIOS UUID, instance-id and the owner's key.
    ///
    /// # Errors
    /// When the disk, the key or the seed cannot be made.
    pub fn of(image: &Path, number: u32) -> Result<Self> {
        Self::with_disk(Disk::over(image)?, number)
    }

    /// Another instance with a copy of this one's disk. It must be off.
    ///
    /// # Errors
    /// As [`Self::of`].
    pub fn copy_as(&self, number: u32) -> Result<Self> {
        Self::with_disk(self.disk.copy()?, number)
    }

    fn with_disk(disk: Disk, number: u32) -> Result<Self> {
        let owner = KeyPair::generate(&format!("owner-{number}@laptop"))?;
        let seed = Seed::make(&Metadata {
            instance_id: format!("i-{number}"),
            public_keys: vec![owner.public()?],
            ..Metadata::default()
        })?;
        Ok(Self { disk, owner, uuid: uuid(number), seed })
    }

    /// Whose key is injected.
    pub fn owner(&self) -> &KeyPair {
        &self.owner
    }

    /// Boots with the seed of its platform and waits until the owner is let in.
    ///
    /// # Errors
    /// When it does not come to that; the end of the console is in the text.
    pub fn boot(&self) -> Result<Running<'_>> {
        self.boot_with(Some(self.seed.path()))
    }

    /// The same machine while its platform says nothing any more.
    ///
    /// # Errors
    /// As [`Self::boot`].
    pub fn boot_without_seed(&self) -> Result<Running<'_>> {
        self.boot_with(None)
    }

    fn boot_with(&self, seed: Option<std::path::PathBuf>) -> Result<Running<'_>> {
        let hardware = Hardware { uuid: Some(self.uuid.clone()), seed };
        let mut machine = Machine::boot(&self.disk, &hardware)?;
        let door = Door::at_port(machine.ssh_port());
        let opened = door.wait_login(DEFAULT_USER, Proof::Key(&self.owner.private()), BOOT);
        opened.context(|| format!("console:\n{}", last_lines(&machine.console(), 60)))?;
        machine.still_runs()?;
        Ok(Running { machine, door, owner: &self.owner })
    }
}

/// The SMBIOS UUID of machine `number`.
pub fn uuid(number: u32) -> String {
    format!("5e7d1a3c-{number:04}-4a6b-9d2e-{number:012}")
}

/// An instance that runs and lets its owner in.
#[derive(Debug)]
pub struct Running<'a> {
    machine: Machine,
    door: Door,
    owner: &'a KeyPair,
}

impl Running<'_> {
    /// Its sshd.
    pub fn door(&self) -> &Door {
        &self.door
    }

    /// Runs a shell command as the owner and returns its output.
    ///
    /// # Errors
    /// When the login or the command fails.
    pub fn run(&self, command: &str) -> Result<String> {
        // cloud-init may start sshd anew between two logins.
        wait_for(&format!("{command:?} in the machine"), BOOT, || {
            let key = self.owner.private();
            let proof = Proof::Key(&key);
            match self.door.login(DEFAULT_USER, proof, command)? {
                Answer::In(told) => Ok(Some(told)),
                Answer::Silent(_) => Ok(None),
                other => Err(failed(format!("{command:?} in the machine: {other:?}"))),
            }
        })
    }

    /// The public host keys that its sshd shows.
    ///
    /// # Errors
    /// When it shows none.
    pub fn host_keys(&self) -> Result<BTreeSet<String>> {
        self.door.host_keys()
    }

    /// Everything that the serial console has shown so far.
    pub fn console(&self) -> String {
        self.machine.console()
    }

    /// An ordinary shutdown.
    ///
    /// # Errors
    /// When it takes too long.
    pub fn off(self) -> Result {
        self.machine.power_off()
    }
}

#[cfg(test)]
mod tests {
    use super::uuid;

    #[test]
    fn each_number_is_a_uuid_of_its_own() {
        assert_eq!(uuid(1), "5e7d1a3c-0001-4a6b-9d2e-000000000001");
        assert_ne!(uuid(1), uuid(2));
    }
}
