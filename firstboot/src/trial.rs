//! Tries a drop-in with the image's own sshd before it is installed.

use std::io::Write as _;

use disinherit_core::root::{FileKind, Root};
use disinherit_core::{Error, ImagePath, Result};

use crate::program::{self, Answer};

/// What sshd said.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Trial {
    /// It would start with the drop-in.
    Accepted,
    /// It would start without, and not with it.
    Refused(String),
    /// It could not be asked.
    NotTried(String),
}

const UNSHARE: [&str; 2] = ["/usr/bin/unshare", "/bin/unshare"];

/// Runs in its own mount, PID and network namespaces and leaves nothing behind. The image's sshd sees
/// its configuration with the drop-in bound over the folder, a `/run` and a host key of its own; the
/// image's disk is not written. `$1` is the root, `$2` the drop-in, or empty for the trial without.
const SCRIPT: &str = r#"
set -e
work=$(mktemp -d)
mount -t tmpfs -o mode=0755 disinherit "$work"
if [ -d "$1/etc/ssh/sshd_config.d" ]; then cp -a "$1/etc/ssh/sshd_config.d" "$work/d"; else mkdir "$work/d"; fi
if [ -n "$2" ]; then cp "$2" "$work/d/00-disinherit.conf"; else rm -f "$work/d/00-disinherit.conf"; fi
mkdir "$work/run" "$work/run/sshd"
ssh-keygen -q -t ed25519 -N '' -f "$work/run/key"
mount --bind "$work/d" "$1/etc/ssh/sshd_config.d"
mount --bind "$work/run" "$1/run"
mount --rbind /dev "$1/dev"
status=0
chroot "$1" /usr/sbin/sshd -t -h /run/key || status=$?
umount -l "$1/dev" "$1/run" "$1/etc/ssh/sshd_config.d" "$work"
rmdir "$work"
exit $status
"#;

/// Asks the sshd of `root` with and without the drop-in.
///
/// # Errors
/// When the drop-in cannot be written to a temporary file.
pub(crate) fn sshd_with(root: &Root, dropin: &str) -> Result<Trial> {
    if let Some(why) = hindrance(root)? {
        return Ok(Trial::NotTried(why.to_owned()));
    }
    let file = temporary(dropin)?;
    let without = ask(root, "")?;
    let with = ask(root, &file.to_string_lossy());
    std::fs::remove_file(&file).map_err(|e| Error::failed("remove", file.display()).because(e))?;
    let with = with?;
    Ok(match (without.success, with.success) {
        (_, true) => Trial::Accepted,
        (true, false) => Trial::Refused(with.complaint),
        (false, false) => Trial::NotTried(format!("it does not start at all: {}", with.complaint)),
    })
}

fn hindrance(root: &Root) -> Result<Option<&'static str>> {
    if !rustix::process::geteuid().is_root() {
        return Ok(Some("only root may run the image's sshd"));
    }
    if !UNSHARE.iter().any(|path| std::path::Path::new(path).is_file()) {
        return Ok(Some("unshare(1) is missing"));
    }
    for (path, kind) in [
        ("/usr/sbin/sshd", FileKind::Regular),
        ("/run", FileKind::Directory),
        ("/dev", FileKind::Directory),
        ("/etc/ssh/sshd_config.d", FileKind::Directory),
    ] {
        let meta = root.stat(&ImagePath::literal(path))?;
        if meta.is_none_or(|meta| meta.kind != kind) {
            return Ok(Some("the image has no sshd, or no /run, /dev or sshd_config.d"));
        }
    }
    Ok(None)
}

fn ask(root: &Root, dropin: &str) -> Result<Answer> {
    let root = root.host_path().to_string_lossy().into_owned();
    let arguments = [
        "--mount",
        "--pid",
        "--net",
        "--ipc",
        "--fork",
        "--kill-child",
        "--propagation",
        "private",
        "/bin/sh",
        "-c",
        SCRIPT,
        "sh",
        &root,
        dropin,
    ];
    program::run(&UNSHARE, &arguments)
}

fn temporary(text: &str) -> Result<std::path::PathBuf> {
    let path = std::env::temp_dir().join(format!(".disinherit-{}.conf", std::process::id()));
    let failed = |e| Error::failed("write", path.display()).because(e);
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).open(&path).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    Ok(path)
}
