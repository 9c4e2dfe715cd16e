//! Swap areas in use. Source: proc_swaps(5) and proc_meminfo(5).

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::path::escape;
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

/// The swap areas in use that live in files or on devices; compressed memory (zram) is none.
///
/// # Errors
/// /proc/swaps cannot be read.
pub fn active() -> Result<Vec<Active>> {
    let text = match std::fs::read_to_string("/proc/swaps") {
        // A kernel without swap.
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        text => text.map_err(|e| Error::failed("read", "/proc/swaps").because(e))?,
    };
    Ok(parse(&text))
}

fn parse(text: &str) -> Vec<Active> {
    let line = |line: &str| {
        let mut fields = line.split_whitespace();
        let path = PathBuf::from(fields.next()?.replace("\\040", " "));
        let used = fields.nth(2)?.parse::<u64>().ok()?.saturating_mul(1024);
        let priority = fields.next()?.parse().ok()?;
        (!is_zram(&path)).then_some(Active { path, used, priority })
    };
    text.lines().skip(1).filter_map(line).collect()
}

fn is_zram(path: &Path) -> bool {
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
    fn compressed_memory_is_no_area() {
        let text = "Filename\t\t\tType\t\tSize\t\tUsed\t\tPriority\n\
            /dev/vda2                               partition\t524284\t\t12\t\t-2\n\
            /dev/zram0                              partition\t524284\t\t0\t\t100\n\
            /swap\\040file                           file\t\t1024\t\t0\t\t5\n";
        let area = |path: &str, used, priority| Active { path: path.into(), used, priority };
        assert_eq!(parse(text), [area("/dev/vda2", 12288, -2), area("/swap file", 0, 5)]);
    }

    #[test]
    fn available_memory_is_bytes() {
        assert_eq!(available("MemTotal: 9 kB\nMemAvailable:   20 kB\n"), Some(20480));
        assert_eq!(available("MemTotal: 9 kB\n"), None);
    }
}
