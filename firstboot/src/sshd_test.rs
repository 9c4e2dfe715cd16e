//! Asks sshd itself whether it would start.

use disinherit_core::root::Root;
use disinherit_core::{ImagePath, Result, change};

use crate::program;

const SSHD: [&str; 3] = ["/usr/sbin/sshd", "/usr/bin/sshd", "/usr/local/sbin/sshd"];
/// Debian's sshd refuses even `-t` without it; its unit makes it only when sshd starts.
const PRIVSEP: &str = "/run/sshd";

/// What `sshd -t` complains about; `None` when it is content. Only the running system's sshd can be
/// asked: in any other tree, and without an OpenSSH server, the answer is `None`.
///
/// # Errors
/// When sshd cannot be started.
pub fn complaint(root: &Root) -> Result<Option<String>> {
    if !root.is_live() || !SSHD.iter().any(|path| std::path::Path::new(path).is_file()) {
        return Ok(None);
    }
    let folder = ImagePath::literal(PRIVSEP);
    if root.stat(&folder)?.is_none() {
        change::make_dirs(root, &folder, 0o755)?;
    }
    let answer = program::run(&SSHD, &["-t"])?;
    Ok((!answer.success).then(|| format!("sshd -t: {}", answer.complaint)))
}
