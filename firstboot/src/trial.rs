//! Tries what a sealing will write with the image's own sshd, before it is written.

use std::path::{Path, PathBuf};

use disinherit_core::accounts::Accounts;
use disinherit_core::root::{FileKind, Root};
use disinherit_core::seal::{Daemon, Kind, SshdFiles};
use disinherit_core::{Error, ImagePath, Result};

use crate::program::{self, Answer};

/// What sshd said.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Trial {
    /// It would start, and take no password of anybody.
    Accepted,
    /// It would start without what is to be written, and not with it.
    Refused(String),
    /// It would start, and take passwords.
    TakesPasswords(String),
    /// It could not be asked.
    NotTried(String),
}

const UNSHARE: [&str; 2] = ["/usr/bin/unshare", "/bin/unshare"];
/// Accounts that are asked about, beside root.
const ACCOUNTS: usize = 20;

/// Runs in its own mount, PID and network namespaces and leaves nothing behind. In a builder's chroot
/// `/` is no mount point and cannot be made private: the root is bound below a private mount. The
/// image's sshd sees its configuration with the new files bound over the old ones, a `/run` and a host
/// key of its own; the image's disk is not written. `$1` is the root, `$2` a folder with the new files
/// by number and a list of their paths, or empty, `$3` a pattern of settings that must not be there,
/// `$4` the accounts, then the program and its options.
const SCRIPT: &str = r#"
set -e
root=$1 new=$2 taken=$3 accounts=$4
shift 4
mount --make-rprivate / 2>/dev/null || :
work=$(mktemp -d)
mount --make-private -t tmpfs -o mode=0755 disinherit "$work"
mkdir "$work/root" "$work/run" "$work/run/sshd"
mount --make-rprivate --rbind "$root" "$work/root"
root=$work/root
cp -a "$root/etc/ssh" "$work/ssh"
ssh-keygen -q -t ed25519 -N '' -f "$work/run/key"
mount --bind "$work/ssh" "$root/etc/ssh"
mount --bind "$work/run" "$root/run"
mount --rbind /dev "$root/dev"
if [ -n "$new" ]; then
  number=0
  while IFS= read -r file; do
    case $file in
      /etc/ssh/*) mkdir -p "$(dirname "$root$file")"; cp "$new/$number" "$root$file" ;;
      *) mount --bind "$new/$number" "$root$file" ;;
    esac
    number=$((number + 1))
  done <"$new/list"
fi
status=0
chroot "$root" "$@" -t -h /run/key || status=$?
if [ $status = 0 ] && [ -n "$new" ] && [ -n "$taken" ]; then
  for account in $accounts; do
    for address in 127.0.0.1 203.0.113.9; do
      who="user=$account,host=$address,addr=$address,laddr=$address,lport=22"
      said=$(chroot "$root" "$@" -T -h /run/key -C "$who") || { status=$?; break 2; }
      if line=$(printf '%s\n' "$said" | grep -E "^($taken) yes"); then
        echo "$(echo "$line" | head -n 1) for $account from $address" >&2
        status=99
        break 2
      fi
    done
  done
fi
umount -l "$work"
rmdir "$work"
exit $status
"#;
/// The script's answer when a setting is there that must not.
const TAKEN: i32 = 99;

/// Asks every sshd of `root`, with the files of its sealing and, where it refuses, without.
///
/// # Errors
/// When the files cannot be written to a temporary folder, or a program cannot be started.
pub(crate) fn sshd_with(root: &Root, sshd: &SshdFiles) -> Result<Trial> {
    if let Some(why) = hindrance(root)? {
        return Ok(Trial::NotTried(why.to_owned()));
    }
    let folder = Folder::with(sshd)?;
    let accounts = accounts(root)?;
    let mut outcome = Trial::NotTried("the image has no sshd".to_owned());
    for (daemon, off) in sshd.daemons() {
        if root.stat(&daemon.program)?.is_none_or(|meta| meta.kind != FileKind::Regular) {
            continue;
        }
        let taken = off.join("|").to_ascii_lowercase();
        let with = ask(root, daemon, &folder.0, &taken, &accounts)?;
        if with.success {
            outcome = Trial::Accepted;
            continue;
        }
        let named = |complaint| format!("{}: {complaint}", daemon.service);
        if with.code == Some(TAKEN) {
            return Ok(Trial::TakesPasswords(named(with.complaint)));
        }
        let without = ask(root, daemon, Path::new(""), "", "")?;
        if without.success {
            return Ok(Trial::Refused(named(with.complaint)));
        }
        let why = named(with.complaint);
        return Ok(Trial::NotTried(format!("it does not start at all: {why}")));
    }
    Ok(outcome)
}

fn hindrance(root: &Root) -> Result<Option<&'static str>> {
    if !rustix::process::geteuid().is_root() {
        return Ok(Some("only root may run the image's sshd"));
    }
    if !program::exists(&UNSHARE) {
        return Ok(Some("unshare(1) is missing"));
    }
    for path in ["/run", "/dev", "/etc/ssh"] {
        let meta = root.stat(&ImagePath::literal(path))?;
        if meta.is_none_or(|meta| meta.kind != FileKind::Directory) {
            return Ok(Some("the image has no /etc/ssh, /run or /dev"));
        }
    }
    Ok(None)
}

/// Names that a shell does not split or expand.
fn accounts(root: &Root) -> Result<String> {
    let simple = |name: &&str| {
        !name.starts_with('-')
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    };
    let all = Accounts::load(root)?;
    let people =
        all.iter().filter(|a| !a.shell.ends_with(b"nologin") && !a.shell.ends_with(b"false"));
    let names = people.filter_map(|a| std::str::from_utf8(&a.name).ok()).filter(simple);
    let names: Vec<&str> = std::iter::once("root").chain(names.take(ACCOUNTS)).collect();
    Ok(names.join(" "))
}

fn ask(root: &Root, daemon: &Daemon, new: &Path, taken: &str, accounts: &str) -> Result<Answer> {
    let mut arguments: Vec<String> = [
        "--mount",
        "--pid",
        "--net",
        "--ipc",
        "--fork",
        "--kill-child",
        "--propagation",
        "unchanged",
        "/bin/sh",
        "-c",
        SCRIPT,
        "sh",
    ]
    .map(str::to_owned)
    .to_vec();
    arguments.push(root.host_path().to_string_lossy().into_owned());
    arguments.push(new.to_string_lossy().into_owned());
    arguments.extend([taken, accounts].map(str::to_owned));
    arguments.push(daemon.program.to_string());
    if let Some(main) = &daemon.main {
        arguments.extend(["-f".to_owned(), main.to_string()]);
    }
    for option in &daemon.options {
        arguments.extend(["-o".to_owned(), option.clone()]);
    }
    program::run(&UNSHARE, &arguments)
}

/// The new files in a folder of their own, by number; it goes with the value.
struct Folder(PathBuf);

impl Folder {
    fn with(sshd: &SshdFiles) -> Result<Self> {
        let path = std::env::temp_dir().join(format!(".disinherit-{}", std::process::id()));
        let failed = |e| Error::failed("write", path.display()).because(e);
        std::os::unix::fs::DirBuilderExt::mode(&mut std::fs::DirBuilder::new(), 0o700)
            .create(&path)
            .map_err(failed)?;
        let folder = Self(path.clone());
        let mut list = String::new();
        for (number, file) in sshd.files().iter().enumerate() {
            let content: &[u8] = match &file.kind {
                Kind::File { content, .. } => content,
                Kind::Changed { content } => content,
                Kind::Link { .. } => &[],
            };
            list.push_str(&file.path.to_string());
            list.push('\n');
            std::fs::write(path.join(number.to_string()), content).map_err(failed)?;
        }
        std::fs::write(path.join("list"), list).map_err(failed)?;
        Ok(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What stays is public; nobody is left to hear of it. (`remove_dir_all` is 6 kB of code.)
        let arguments = ["-rf".as_ref(), self.0.as_os_str()];
        drop(program::run(&["/bin/rm", "/usr/bin/rm"], &arguments));
    }
}
