//! The file systems' own tools, which treat what a mounted one keeps to itself.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{major, minor};

use crate::{Error, Result, silent};

/// Where tools are looked for: never in the image.
const FOLDERS: &[&str] =
    &["/usr/sbin", "/sbin", "/usr/bin", "/bin", "/usr/local/sbin", "/usr/local/bin"];

/// One run of a tool on an unmounted device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tool {
    program: PathBuf,
    options: Vec<&'static str>,
    /// Exit codes up to this one are success.
    good: i32,
}

impl Tool {
    /// The command line, as a person would write it.
    pub(super) fn line(&self, device: &Path) -> String {
        let name = self.program.file_name().unwrap_or_default().to_string_lossy();
        let device = device.display();
        if self.options.is_empty() {
            return format!("{name} {device}");
        }
        format!("{name} {} {device}", self.options.join(" "))
    }

    /// Runs it. What it prints may name files of the image, and is not kept.
    ///
    /// # Errors
    /// It cannot be started, or says that it failed.
    pub(super) fn run(&self, device: &Path) -> Result<()> {
        let failed =
            || Error::failed("run", self.line(device)).remedy("run it by hand to see what it says");
        let arguments = self.options.iter().map(OsStr::new).chain([device.as_os_str()]);
        let status = silent::run(&self.program, arguments).map_err(|e| failed().because(e))?;
        match status.code() {
            Some(code) if code <= self.good => Ok(()),
            _ => Err(failed().because(status.to_string())),
        }
    }
}

/// The tools for one file system; empty where there are none for its type.
///
/// # Errors
/// `Refused`: the tool for it is not installed here.
pub(super) fn of(fstype: &str, device: &Path) -> Result<Vec<Tool>> {
    match fstype {
        "ext2" | "ext3" | "ext4" => {
            let mut options = vec!["-f", "-p", "-D"];
            if discards(device) {
                options.extend(["-E", "discard"]);
            }
            // 1: errors were corrected; rebuilt directories count as such.
            let check = Tool { program: needed("e2fsck", "e2fsprogs")?, options, good: 1 };
            let zero = find("zerofree");
            let zero = zero.map(|program| Tool { program, options: Vec::new(), good: 0 });
            Ok(std::iter::once(check).chain(zero).collect())
        }
        "xfs" => {
            let program = needed("xfs_repair", "xfsprogs")?;
            Ok(vec![Tool { program, options: vec!["-L"], good: 0 }])
        }
        _ => Ok(Vec::new()),
    }
}

fn needed(name: &'static str, package: &str) -> Result<PathBuf> {
    find(name).ok_or_else(|| {
        Error::refused("treat the unmounted image with", name)
            .because("it is not installed here")
            .remedy(format!("install {package}, or leave --offline out"))
    })
}

fn find(name: &str) -> Option<PathBuf> {
    FOLDERS.iter().map(|folder| Path::new(folder).join(name)).find(|path| path.is_file())
}

/// Whether the device takes discards; a partition's queue is that of its disk.
fn discards(device: &Path) -> bool {
    let Ok(meta) = fs::metadata(device) else { return false };
    if !meta.file_type().is_block_device() {
        return false;
    }
    let at = format!("/sys/dev/block/{}:{}", major(meta.rdev()), minor(meta.rdev()));
    let most = ["queue", "../queue"].iter().find_map(|queue| {
        fs::read_to_string(Path::new(&at).join(queue).join("discard_max_bytes")).ok()
    });
    most.is_some_and(|most| most.trim() != "0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_reads_as_one_would_type_it() {
        let program = PathBuf::from("/usr/sbin/e2fsck");
        let tool = Tool { program, options: vec!["-f", "-p"], good: 1 };
        assert_eq!(tool.line(Path::new("/dev/loop0")), "e2fsck -f -p /dev/loop0");
        assert_eq!(of("vfat", Path::new("/dev/null")).unwrap(), []);
    }

    #[test]
    fn a_tool_that_fails_is_an_error() {
        let tool = |name| Tool { program: find(name).unwrap(), options: Vec::new(), good: 0 };
        assert!(tool("true").run(Path::new("/dev/null")).is_ok());
        let error = tool("false").run(Path::new("/dev/null")).unwrap_err();
        assert!(error.report().contains("exit status: 1"), "{}", error.report());
    }
}
