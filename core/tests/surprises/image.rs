//! The image that a test begins with.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use disinherit_core::Error;
use disinherit_core::catalogue::Severity;
use disinherit_core::pipeline::{self, Job};
use disinherit_core::policy::{Fragment, Settings};
use disinherit_core::report::{Mode, Report};
use disinherit_core::root::Root;

pub(crate) const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHlvbmRlciBzdGFuZHMgYSBrZXkgZm9yIHRlc3RzeHl6 ann\n";
pub(crate) const FINGERPRINT_POLICY: &str = "allow: {keys: ['SHA256:@']}";

/// An image that cloud-init opens, with root and the users ann and bob.
pub(crate) struct Image {
    folder: tempfile::TempDir,
}

impl Image {
    pub(crate) fn new() -> Self {
        let image = Self { folder: tempfile::tempdir().unwrap() };
        image.put(
            "etc/passwd",
            "root:x:0:0:root:/root:/bin/bash\nann:x:1000:1000::/home/ann:/bin/bash\n\
             bob:x:1001:1001::/home/bob:/bin/bash\n",
        );
        image.put("etc/shadow", "root:$6$salt$0123456789abcdef:19700:0:99999:7:::\n");
        image.put("usr/bin/cloud-init", "");
        image.put("usr/bin/sudo", "");
        image.put("usr/lib/systemd/systemd", "");
        image.put("usr/lib/systemd/system/ssh.service", "[Service]\n");
        image.put("etc/ssh/sshd_config", "PasswordAuthentication no\n");
        image.link(
            "/usr/lib/systemd/system/ssh.service",
            "etc/systemd/system/multi-user.target.wants/ssh.service",
        );
        for home in ["root", "home/ann", "home/bob"] {
            fs::create_dir_all(image.at(home)).unwrap();
        }
        image
    }

    pub(crate) fn at(&self, path: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(path)
    }

    pub(crate) fn put(&self, path: impl AsRef<Path>, text: &str) {
        let path = self.at(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn link(&self, to: &str, path: &str) {
        fs::create_dir_all(self.at(path).parent().unwrap()).unwrap();
        symlink(to, self.at(path)).unwrap();
    }

    pub(crate) fn gone(&self, path: &str) -> bool {
        fs::symlink_metadata(self.at(path)).is_err()
    }

    pub(crate) fn text(&self, path: &str) -> String {
        fs::read_to_string(self.at(path)).unwrap()
    }

    pub(crate) fn try_scrub(&self, policy: &str) -> Result<Report, Error> {
        self.try_seal(&format!("{policy}\nfirstboot: false\n"), None)
    }

    /// A scrub that installs `firstboot`.
    pub(crate) fn try_seal(&self, policy: &str, firstboot: Option<&[u8]>) -> Result<Report, Error> {
        let settings = Settings::new(Fragment::parse("policy", policy).unwrap()).unwrap();
        let root = Root::offline(self.folder.path())?;
        let job = Job { settings: &settings, firstboot, mode: Mode::Scrub };
        pipeline::run(&root, &job, &mut ()).map(|(_, report)| report)
    }

    /// A scrub whose every step succeeds, and after which a second one has nothing to do.
    pub(crate) fn scrub(&self, policy: &str) -> Report {
        let report = self.try_scrub(policy).unwrap();
        let failed: Vec<_> = report.actions.iter().filter(|a| a.error.is_some()).collect();
        assert!(failed.is_empty(), "{failed:#?}");
        let again = self.try_scrub(policy).unwrap();
        assert!(again.actions.is_empty(), "{:#?}", again.actions);
        report
    }
}

pub(crate) fn found(report: &Report, path: &str, severity: Severity) -> bool {
    report.findings.iter().any(|f| f.path.to_string() == path && f.severity == severity)
}

pub(crate) fn locked(image: &Image) -> bool {
    image.text("etc/shadow").starts_with("root:*:")
}
