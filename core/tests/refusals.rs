//! What a scrub refuses, and that it has written nothing then. Each refusal protects somebody from
//! an image that nobody can enter, or that anybody can.

#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use disinherit_core::pipeline::{self, Job};
use disinherit_core::policy::{Fragment, Settings};
use disinherit_core::report::{Mode, Report};
use disinherit_core::root::Root;
use disinherit_core::{Error, Kind};

/// A small image with an enabled sshd and a password.
struct Image {
    folder: tempfile::TempDir,
}

const SHADOW: &str = "root:$6$salt$0123456789abcdef:19700:0:99999:7:::\n";

impl Image {
    fn new() -> Self {
        let image = Self { folder: tempfile::tempdir().unwrap() };
        image.put("etc/passwd", "root:x:0:0:root:/root:/bin/bash\n");
        image.put("etc/shadow", SHADOW);
        image.put("etc/ssh/sshd_config", "Include /etc/ssh/sshd_config.d/*.conf\n");
        image.put("usr/lib/systemd/systemd", "");
        image.put("usr/lib/systemd/system/ssh.service", "[Service]\n");
        let wants = image.path("etc/systemd/system/multi-user.target.wants");
        fs::create_dir_all(&wants).unwrap();
        symlink("/usr/lib/systemd/system/ssh.service", wants.join("ssh.service")).unwrap();
        image
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn put(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn scrub(&self, policy: &str) -> Result<Report, Error> {
        let settings = Settings::new(Fragment::parse("policy", policy).unwrap()).unwrap();
        let root = Root::offline(self.folder.path())?;
        let firstboot = settings.firstboot.then_some(b"program".as_slice());
        let job = Job { settings: &settings, firstboot, mode: Mode::Scrub };
        pipeline::run(&root, &job, &mut ()).map(|(_, report)| report)
    }

    fn audit(&self) -> Report {
        let settings = Settings::new(Fragment::default()).unwrap();
        let root = Root::offline(self.folder.path()).unwrap();
        let job = Job { settings: &settings, firstboot: None, mode: Mode::Audit };
        pipeline::run(&root, &job, &mut ()).unwrap().1
    }

    fn refused(&self, policy: &str, words: &[&str]) {
        let error = self.scrub(policy).unwrap_err();
        assert_eq!(error.kind(), Kind::Refused, "{}", error.report());
        for word in words {
            assert!(error.report().contains(word), "{}", error.report());
        }
        assert_eq!(fs::read_to_string(self.path("etc/shadow")).unwrap(), SHADOW);
        assert!(!self.path("usr/lib/disinherit").exists());
        assert!(!self.path("var/lib/disinherit").exists());
    }
}

#[test]
fn an_image_without_an_ssh_server_is_not_sealed_unless_policy_says_so() {
    let image = Image::new();
    fs::remove_file(image.path("etc/systemd/system/multi-user.target.wants/ssh.service")).unwrap();
    image.refused("", &["no SSH server", "no-ssh"]);
    // Who only looks is told so, and everything else.
    let found = image.audit().findings;
    let refusal = found.iter().find(|finding| finding.rule == "refused").unwrap();
    assert!(refusal.what.contains("no SSH server") && refusal.remedy.contains("no-ssh"));
    assert!(found.iter().any(|finding| finding.path.to_string() == "/etc/shadow"));
    image.scrub("evidence: [no-ssh]").unwrap();
}

#[test]
fn a_certificate_authority_must_be_meant() {
    let image = Image::new();
    image.put("etc/ssh/sshd_config", "TrustedUserCAKeys /etc/ssh/ca.pub\n");
    image.refused("", &["trustedusercakeys", "evidence: [trustedusercakeys]"]);
    image.scrub("evidence: [TrustedUserCAKeys]").unwrap();
}

#[test]
fn host_keys_stay_where_nothing_makes_new_ones() {
    let image = Image::new();
    image.put("etc/ssh/ssh_host_ed25519_key", "key");
    image.refused("firstboot: false", &["host keys", "host-ssh-keys"]);
    image.put("usr/bin/cloud-init", "");
    image.scrub("firstboot: false").unwrap();
    assert!(!image.path("etc/ssh/ssh_host_ed25519_key").exists());
}

#[test]
fn an_image_that_no_platform_can_give_a_key_is_a_finding() {
    let image = Image::new();
    let report = image.scrub("").unwrap();
    assert_eq!(report.exit_code, 1);
    assert!(report.findings.iter().any(|f| f.rule == "way-in"));
    assert!(
        image.scrub("evidence: [late-key]").unwrap().findings.iter().all(|f| f.rule != "way-in")
    );
}

#[test]
fn free_space_is_touched_only_where_it_is_the_images_own() {
    let image = Image::new();
    for mode in ["trim", "fill"] {
        image.refused(&format!("erase: {mode}"), &["free space", "erase: auto or files"]);
    }
    let report = image.scrub("erase: auto").unwrap();
    let says = |what: &str| report.residual.iter().any(|r| r.what.contains(what));
    assert!(says("free space") && says("raw disk"), "{:?}", report.residual);
    assert!(report.erased.is_empty() && report.proof.is_none());
}

#[test]
fn a_root_that_is_none_is_refused() {
    let image = Image::new();
    for bad in [Path::new("/"), Path::new(""), Path::new("relative"), &image.path("etc/passwd")] {
        assert_eq!(Root::offline(bad).unwrap_err().kind(), Kind::Refused, "{}", bad.display());
    }
    let empty = tempfile::tempdir().unwrap();
    assert_eq!(Root::offline(empty.path()).unwrap_err().kind(), Kind::Refused);
}

#[test]
fn root_cannot_be_removed() {
    let error = Image::new().scrub("remove_users: [root]").unwrap_err();
    assert_eq!(error.kind(), Kind::Usage);
}

#[test]
fn an_include_loop_is_a_finding_and_no_hang() {
    let image = Image::new();
    image.put("usr/bin/cloud-init", "");
    image.put("etc/ssh/sshd_config", "Include /etc/ssh/loop.conf\n");
    image.put("etc/ssh/loop.conf", "Include /etc/ssh/loop.conf\n");
    let report = image.scrub("firstboot: false").unwrap();
    assert_eq!(report.exit_code, 1);
    assert!(report.findings.iter().any(|f| f.rule == "unreadable"), "{:?}", report.findings);
}
