//! Swap areas in use. Source: proc_swaps(5) and proc_meminfo(5).

use std::ffi::{CString, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use super::Identity;
use crate::path::escape;
use crate::reach::unoctal;
use crate::sys::erase as sys_erase;
use crate::{Error, Result};

/// Memory that stays free when an area is taken out of use, in bytes.
const SPARE: u64 = 64 << 20;

/// A swap area in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Active {
    /// Its file or device.
    pub path: PathBuf,
    /// Bytes of it that hold pages.
    pub used: u64,
    /// Its priority; negative where the kernel chose it.
    pub priority: i32,
}

impl Active {
    /// Whether this is what `identity` was taken of.
    pub(crate) fn is(&self, identity: Identity) -> bool {
        Identity::at(&self.path) == Some(identity)
    }
}

/// The swap areas in use that live in files or on devices; compressed memory (zram) is none.
///
/// # Errors
/// /proc/swaps cannot be read.
pub fn active() -> Result<Vec<Active>> {
    Ok(in_use()?.into_iter().filter(|area| !is_zram(&area.path)).collect())
}

/// Everything that this machine swaps to, compressed memory too.
///
/// # Errors
/// As [`active`].
pub(crate) fn in_use() -> Result<Vec<Active>> {
    let text = match std::fs::read("/proc/swaps") {
        // A kernel without swap.
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        text => text.map_err(|e| Error::failed("read", "/proc/swaps").because(e))?,
    };
    Ok(parse(&text))
}

fn parse(text: &[u8]) -> Vec<Active> {
    let number = |field: &[u8]| std::str::from_utf8(field).ok()?.parse::<i64>().ok();
    let line = |line: &[u8]| {
        let mut fields = line.split(u8::is_ascii_whitespace).filter(|field| !field.is_empty());
        let path = PathBuf::from(OsString::from_vec(unoctal(fields.next()?)));
        let used = u64::try_from(number(fields.nth(2)?)?).ok()?.saturating_mul(1024);
        let priority = number(fields.next()?)?.try_into().ok()?;
        Some(Active { path, used, priority })
    };
    text.split(|b| *b == b'\n').skip(1).filter_map(line).collect()
}

/// Compressed memory: it holds nothing when the machine is off.
pub(crate) fn is_zram(path: &Path) -> bool {
    path.parent() == Some(Path::new("/dev"))
        && path.file_name().is_some_and(|name| name.as_bytes().starts_with(b"zram"))
}

/// Takes an area out of use; what it holds goes back to memory.
///
/// # Errors
/// Memory is too small, which is looked at before anything is moved, or swapoff(2) fails.
pub(crate) fn off(area: &Active) -> Result<()> {
    let failed = || {
        Error::failed("take the swap area out of use", escape(area.path.as_os_str().as_bytes()))
            .remedy("give the machine more memory for the build, or end programs, and run again")
    };
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    if available(&memory).is_some_and(|free| free < area.used.saturating_add(SPARE)) {
        return Err(failed().because("what it holds does not fit into memory"));
    }
    let name = CString::new(area.path.as_os_str().as_bytes()).map_err(|e| failed().because(e))?;
    sys_erase::swap_off(&name).map_err(|e| failed().because(e))
}

/// Puts an area that was in use back, with the priority that it had.
///
/// # Errors
/// swapon(2) fails.
pub fn on(area: &Active) -> Result<()> {
    let failed = || {
        let path = escape(area.path.as_os_str().as_bytes()).into_owned();
        Error::failed("use the swap area again", path).remedy("run swapon on it")
    };
    let name = CString::new(area.path.as_os_str().as_bytes()).map_err(|e| failed().because(e))?;
    sys_erase::swap_on(&name, area.priority).map_err(|e| failed().because(e))
}

/// `MemAvailable`, in bytes.
fn available(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.saturating_mul(1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_area_is_read_under_its_name() {
        let text = "Filename\t\t\tType\t\tSize\t\tUsed\t\tPriority\n\
            /dev/vda2                               partition\t524284\t\t12\t\t-2\n\
            /dev/zram0                              partition\t524284\t\t0\t\t100\n\
            /swap\\040a\\011b\\134c                      file\t\t1024\t\t0\t\t5\n";
        let area = |path: &str, used, priority| Active { path: path.into(), used, priority };
        let found = parse(text.as_bytes());
        let (disk, memory) = (area("/dev/vda2", 12288, -2), area("/dev/zram0", 0, 100));
        assert_eq!(found, [disk, memory, area("/swap a\tb\\c", 0, 5)]);
        let memory: Vec<bool> = found.iter().map(|area| is_zram(&area.path)).collect();
        assert_eq!(memory, [false, true, false]);
    }

    #[test]
    fn an_area_is_known_under_another_name() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("dm-1"), "").unwrap();
        std::os::unix::fs::symlink("dm-1", at("vg-swap")).unwrap();
        let area = Active { path: at("dm-1"), used: 0, priority: 0 };
        assert!(area.is(Identity::at(&at("vg-swap")).unwrap()));
        assert!(!area.is(Identity::at(folder.path()).unwrap()));
    }

    #[test]
    fn available_memory_is_bytes() {
        assert_eq!(available("MemTotal: 9 kB\nMemAvailable:   20 kB\n"), Some(20480));
        assert_eq!(available("MemTotal: 9 kB\n"), None);
    }
}
