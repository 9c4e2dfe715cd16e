//! Keeps no inherited login, makes new host keys, opens sshd only to an injected key.
//!
//! The C runtime calls `start` below as `main`, not Rust's. Rust's own sets up a handler for overflows of
//! the stack, which draws scanf and the decimal conversions of the C library into a static program:
//! 144 kB of every image. What else that one does is done here: the three standard descriptors are
//! open before the first file is.
#![cfg_attr(not(test), no_main)]
#![expect(unsafe_code, reason = "the C runtime calls main by its name and hands over pointers")]

use std::ffi::{CStr, OsString, c_char, c_int};
use std::os::fd::{BorrowedFd, IntoRawFd as _};
use std::os::unix::ffi::OsStringExt as _;

use rustix::stdio::{stderr, stdin, stdout};

#[cfg_attr(not(test), unsafe(export_name = "main"))]
#[cfg_attr(test, expect(dead_code, reason = "tests start in the harness's own main"))]
extern "C" fn start(count: c_int, values: *const *const c_char) -> c_int {
    if !standard_descriptors_are_open() {
        return 3;
    }
    let arguments = (1..usize::try_from(count).unwrap_or(0)).map(|index| {
        // SAFETY: C (5.1.2.2.1) promises `count` pointers to strings that end with NUL and live as
        // long as the program; `index` is below `count`.
        let text = unsafe { CStr::from_ptr(*values.add(index)) };
        OsString::from_vec(text.to_bytes().to_vec())
    });
    c_int::from(disinherit_firstboot::main(arguments))
}

/// A program that is started with a closed standard output would otherwise open a file under its
/// number, and write its messages there.
fn standard_descriptors_are_open() -> bool {
    let is_missing = |fd: &&BorrowedFd<'_>| rustix::io::fcntl_getfd(**fd).is_err();
    let mut left = [stdin(), stdout(), stderr()].iter().filter(is_missing).count();
    while left > 0 {
        let null = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null");
        let Ok(null) = null else { return false };
        // It takes the lowest number that is free, and stays open.
        let _descriptor = null.into_raw_fd();
        left -= 1;
    }
    true
}
