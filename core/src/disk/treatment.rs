//! What a plan says about the disk below the files, before anything of it is done.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One treatment below the files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "treatment", rename_all = "kebab-case")]
pub enum Treatment {
    /// A swap area becomes zero; its UUID and label stay.
    Swap {
        /// The device, or the path in the image.
        area: String,
        /// It is in use, and taken out of use for it.
        used: bool,
        /// It holds an image of memory from hibernation, which goes.
        hibernated: bool,
    },
    /// A file system is unmounted, treated by its own tools, and mounted as it was.
    Offline {
        /// Where it is mounted on this machine.
        point: String,
        /// The tools, with their options; none where it is only in the way.
        commands: Vec<String>,
    },
    /// Free space and journal of a file system.
    FreeSpace {
        /// Where it is mounted in the image.
        point: String,
        /// Its type.
        fstype: String,
        /// Its device.
        device: String,
        /// What is done with what is free.
        how: String,
    },
    /// The raw device is read and searched for what was removed.
    Search {
        /// The device.
        device: String,
        /// Bytes to read.
        bytes: u64,
        /// What that takes at the speed of a first look, in seconds; absent where none was possible.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seconds: Option<u64>,
    },
}

impl fmt::Display for Treatment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Swap { area, used, hibernated } => {
                write!(f, "overwrite the swap area {area}")?;
                if *used {
                    f.write_str(", after taking it out of use")?;
                }
                if *hibernated {
                    f.write_str(", with the image of memory that hibernation left")?;
                }
                Ok(())
            }
            Self::Offline { point, commands } if commands.is_empty() => {
                write!(f, "unmount {point} and mount it again")
            }
            Self::Offline { point, commands } => {
                write!(f, "unmount {point}, run {}, mount it again", commands.join(", then "))
            }
            Self::FreeSpace { point, fstype, device, how } => {
                write!(f, "{how} on {point} ({fstype} on {device})")
            }
            Self::Search { device, bytes, seconds } => {
                write!(f, "search {} MiB of {device} for what was removed", bytes >> 20)?;
                match seconds {
                    Some(seconds) => write!(f, ", about {seconds} s"),
                    None => Ok(()),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reads_as_one_line() {
        let swap = Treatment::Swap { area: "/dev/vda2".into(), used: true, hibernated: false };
        assert_eq!(
            swap.to_string(),
            "overwrite the swap area /dev/vda2, after taking it out of use"
        );
        let search =
            Treatment::Search { device: "/dev/vda1".into(), bytes: 3 << 30, seconds: Some(7) };
        assert_eq!(
            search.to_string(),
            "search 3072 MiB of /dev/vda1 for what was removed, about 7 s"
        );
    }
}
