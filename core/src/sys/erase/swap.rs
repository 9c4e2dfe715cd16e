//! swapon(2) and swapoff(2).

use std::ffi::CStr;
use std::io;

/// Stops paging to a swap area. swapoff(2)
pub(crate) fn swap_off(path: &CStr) -> io::Result<()> {
    // SAFETY: the pointer is a string with a final NUL that outlives the call.
    match unsafe { libc::swapoff(path.as_ptr()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Starts paging to a swap area. swapon(2). A negative priority is the kernel's choice.
pub(crate) fn swap_on(path: &CStr, priority: i32) -> io::Result<()> {
    const PREFER: libc::c_int = 0x8000;
    const MASK: libc::c_int = 0x7fff;
    let flags = if priority < 0 { 0 } else { PREFER | (priority & MASK) };
    // SAFETY: the pointer is a string with a final NUL that outlives the call.
    match unsafe { libc::swapon(path.as_ptr(), flags) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
