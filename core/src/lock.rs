//! The lock that every program takes before it changes the account files: lckpwdf(3).

use std::fs::File;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, Mode, OFlags, fcntl_lock, openat};
use rustix::io::Errno;

use crate::error::{Error, Result};
use crate::path::ImagePath;
use crate::root::{Links, Root, os};

/// The file that glibc and shadow-utils lock.
const LOCK_FILE: &str = "/etc/.pwd.lock";
/// Between two tries; fcntl(2) has no lock that waits for a limited time.
const PAUSE: Duration = Duration::from_millis(50);

/// The lock on the account files of the running system, held until dropped.
///
/// It is a record lock of the process (fcntl(2)): it does not keep out another thread, and closing
/// any other handle of the lock file releases it.
#[derive(Debug)]
pub struct PasswdLock {
    _file: File,
}

impl PasswdLock {
    /// Takes the lock, waiting up to `timeout`. An image has no programs that could hold it: for
    /// one the answer is `None`.
    ///
    /// # Errors
    /// The lock file cannot be opened, or another process still holds the lock after `timeout`.
    pub fn acquire(root: &Root, timeout: Duration) -> Result<Option<Self>> {
        if !root.is_live() {
            return Ok(None);
        }
        let path = ImagePath::literal(LOCK_FILE);
        let Some(target) = root.target(&path, Links::InRoot)? else {
            return Err(Error::failed("lock", path).because(os(Errno::NOENT)));
        };
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(target.dir(), target.name(), flags, Mode::from_raw_mode(0o600))
            .map(File::from)
            .map_err(|errno| Error::failed("lock", &path).because(os(errno)))?;
        wait(&file, timeout).map_err(|errno| {
            Error::failed("lock", &path)
                .because(os(errno))
                .remedy("wait until useradd, passwd or vipw has ended and run again")
        })?;
        Ok(Some(Self { _file: file }))
    }
}

fn wait(file: &File, timeout: Duration) -> Result<(), Errno> {
    let end = Instant::now() + timeout;
    loop {
        match fcntl_lock(file, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::ACCESS | Errno::AGAIN) if Instant::now() < end => thread::sleep(PAUSE),
            Err(Errno::INTR) => {}
            done => return done,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::process::{Command, Stdio};

    /// Another process holds the lock until its standard input ends.
    #[test]
    fn waits_for_another_process_and_no_longer() {
        let file = tempfile::NamedTempFile::new().unwrap();
        if let Some(path) = std::env::var_os("DISINHERIT_TEST_LOCK") {
            let held = File::options().write(true).open(path).unwrap();
            wait(&held, Duration::ZERO).unwrap();
            println!("locked");
            std::io::stdout().flush().unwrap();
            std::io::stdin().read_line(&mut String::new()).unwrap();
            return;
        }
        let mut holder = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "lock::tests::waits_for_another_process_and_no_longer"])
            .arg("--nocapture")
            .env("DISINHERIT_TEST_LOCK", file.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(holder.stdout.take().unwrap());
        let mut lines = output.lines().map(Result::unwrap);
        assert!(lines.any(|line| line.contains("locked")));

        let error = wait(file.as_file(), Duration::from_millis(60)).unwrap_err();
        assert!(matches!(error, Errno::ACCESS | Errno::AGAIN));
        drop(holder.stdin.take());
        wait(file.as_file(), Duration::from_secs(60)).unwrap();
        assert!(holder.wait().unwrap().success());
    }

    #[test]
    fn an_image_needs_no_lock() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("etc")).unwrap();
        let root = Root::offline(dir.path()).unwrap();
        assert!(PasswdLock::acquire(&root, Duration::ZERO).unwrap().is_none());
        assert!(!dir.path().join("etc/.pwd.lock").exists());
    }
}
