//! The one place with `unsafe`: what std and rustix do not offer.
#![allow(unsafe_code, reason = "signal dispositions have no safe interface in the dependencies")]

/// Ignores SIGINT and SIGTERM: the terminal sends SIGINT to the whole process group, and Packer
/// tells its plugins by a call what it wants.
pub(crate) fn ignore_interrupts() {
    for signal in [libc::SIGINT, libc::SIGTERM] {
        // SAFETY: SIG_IGN runs no code of ours; both numbers are valid, so the call cannot fail,
        // and no other thread of this process changes dispositions.
        unsafe {
            libc::signal(signal, libc::SIG_IGN);
        }
    }
}
