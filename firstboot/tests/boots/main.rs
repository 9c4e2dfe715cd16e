//! Whole boots on a disk in a temporary folder: early unit, injection, gate. The gate really calls
//! ssh-keygen(1). What needs a real systemd and sshd is in the workspace's `tests/`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod agents;
mod changed;
mod cut;
mod disk;
mod evidence;
mod first;
mod late;
mod odd;
mod revoked;
mod sealing;
