//! T37: an image as Red Hat's and their relatives' installers leave it. Host keys go because
//! sshd-keygen makes new ones at boot, and stay where nothing would.

#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use disinherit_core::pipeline::{self, Job};
use disinherit_core::policy::{Fragment, Settings};
use disinherit_core::report::{Mode, Report};
use disinherit_core::{Kind, Root};

const HASH: &str = "$6$Zb7yQm2LkP0sXc4V$kq3JfW1e8uYtRr5oPzNvGmD6hSxAaLc0iBjE2fUyKw9TgHqZ7dXsV4nMbCpOlIu1b8Rw2tYq5vEz7nKx3mJc.1";
const KEYS: [&str; 3] = ["ecdsa", "ed25519", "rsa"];
/// What the installer, the subscription and the builder left.
const LEFT: [&str; 12] = [
    "root/anaconda-ks.cfg",
    "root/original-ks.cfg",
    "root/.bash_history",
    "root/.ssh/authorized_keys",
    "home/packer/.ssh/authorized_keys",
    "etc/pki/consumer/key.pem",
    "etc/pki/entitlement/1234-key.pem",
    "var/lib/rhsm/cache/entitlement_status.json",
    "var/log/anaconda/ks-script.log",
    "var/log/secure",
    "var/lib/systemd/random-seed",
    "etc/ssh/ssh_host_ed25519_key",
];

struct Image(tempfile::TempDir);

impl Image {
    fn new() -> Self {
        let image = Self(tempfile::tempdir().unwrap());
        image.put("etc/passwd", "root:x:0:0:root:/root:/bin/bash\nsshd:x:74:74::/usr/share/empty.sshd:/usr/sbin/nologin\npacker:x:1000:1000::/home/packer:/bin/bash\n");
        image.put(
            "etc/shadow",
            &format!(
                "root:{HASH}::0:99999:7:::\nsshd:!*:19700::::::\npacker:{HASH}::0:99999:7:::\n"
            ),
        );
        image.put("etc/group", "root:x:0:\nwheel:x:10:packer\npacker:x:1000:\n");
        image.put(
            "etc/os-release",
            "ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\nVERSION_ID=\"9.4\"\n",
        );
        image.put(
            "etc/ssh/sshd_config",
            "Include /etc/ssh/sshd_config.d/*.conf\nAuthorizedKeysFile .ssh/authorized_keys\n",
        );
        image.put(
            "etc/ssh/sshd_config.d/50-redhat.conf",
            "Include /etc/crypto-policies/back-ends/opensshserver.config\nUsePAM yes\nX11Forwarding yes\n",
        );
        image.put(
            "etc/crypto-policies/back-ends/opensshserver.config",
            "Ciphers aes256-gcm@openssh.com\n",
        );
        image.put("etc/machine-id", "0123456789abcdef0123456789abcdef\n");
        image.put("usr/lib/systemd/systemd", "");
        image.put(
            "usr/lib/systemd/system/sshd.service",
            "[Unit]\nWants=sshd-keygen.target\nAfter=sshd-keygen.target\n[Service]\nExecStart=/usr/sbin/sshd -D $OPTIONS\n[Install]\nWantedBy=multi-user.target\n",
        );
        image.link(
            "/usr/lib/systemd/system/sshd.service",
            "etc/systemd/system/multi-user.target.wants/sshd.service",
        );
        for kind in KEYS {
            let private = format!(
                "-----BEGIN OPENSSH PRIVATE KEY-----\n{}\n-----END OPENSSH PRIVATE KEY-----\n",
                "Zm9v".repeat(60)
            );
            image.put(&format!("etc/ssh/ssh_host_{kind}_key"), &private);
            image.put(&format!("etc/ssh/ssh_host_{kind}_key.pub"), "ssh-ed25519 AAAA x\n");
        }
        for path in LEFT.iter().filter(|path| !path.starts_with("etc/ssh/")) {
            image.put(path, "left by the build\n");
        }
        image.put(
            "etc/sysconfig/network-scripts/ifcfg-eth0",
            "TYPE=Ethernet\nBOOTPROTO=dhcp\nHWADDR=52:54:00:12:34:56\nUUID=1b2c3d4e-0000-4000-8000-000000000001\nDEVICE=eth0\nONBOOT=yes\n",
        );
        image
    }

    /// openssh-server's units: one a kind of key, wanted by one target.
    fn with_keygen(self) -> Self {
        self.put(
            "usr/lib/systemd/system/sshd-keygen@.service",
            "[Unit]\nConditionFileNotEmpty=|!/etc/ssh/ssh_host_%i_key\n[Service]\nType=oneshot\nExecStart=/usr/libexec/openssh/sshd-keygen %i\n",
        );
        self.put("usr/libexec/openssh/sshd-keygen", "#!/usr/bin/bash\n");
        let wants = KEYS.map(|kind| format!("Wants=sshd-keygen@{kind}.service\n")).concat();
        self.put("usr/lib/systemd/system/sshd-keygen.target", &format!("[Unit]\n{wants}"));
        self
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn put(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn link(&self, target: &str, path: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(target, path).unwrap();
    }

    fn scrub(&self, policy: &str, firstboot: Option<&[u8]>) -> disinherit_core::Result<Report> {
        let settings = Settings::new(Fragment::parse("policy", policy).unwrap()).unwrap();
        let job = Job { settings: &settings, firstboot, mode: Mode::Scrub };
        let root = Root::offline(self.0.path()).unwrap();
        pipeline::run(&root, &job, &mut ()).map(|(_, report)| report)
    }

    fn read(&self, path: impl AsRef<Path>) -> String {
        fs::read_to_string(self.0.path().join(path)).unwrap_or_default()
    }

    fn is_clean(&self, report: &Report) {
        let failed: Vec<_> = report.actions.iter().filter(|a| a.error.is_some()).collect();
        assert!(failed.is_empty(), "{failed:?}");
        for path in LEFT {
            // A log stays for whoever writes to it, and is empty.
            let text = self.read(path);
            assert!(text.is_empty(), "{path}: {text}");
        }
        for kind in KEYS {
            assert!(!self.path(&format!("etc/ssh/ssh_host_{kind}_key")).exists(), "{kind}");
        }
        assert!(!self.read("etc/shadow").contains("$6$"));
        let network = self.read("etc/sysconfig/network-scripts/ifcfg-eth0");
        assert!(network.contains("BOOTPROTO=dhcp") && !network.contains("52:54:00"), "{network}");
        assert!(self.read("etc/ssh/sshd_config.d/50-redhat.conf").contains("UsePAM yes"));
    }
}

#[test]
fn host_keys_go_where_sshd_keygen_makes_new_ones() {
    let image = Image::new().with_keygen();
    let report = image.scrub("firstboot: false", None).unwrap();
    image.is_clean(&report);
    assert!(image.scrub("firstboot: false", None).unwrap().actions.is_empty(), "a second run");
}

#[test]
fn host_keys_stay_where_nothing_makes_new_ones() {
    let image = Image::new();
    let error = image.scrub("firstboot: false", None).unwrap_err();
    assert_eq!(error.kind(), Kind::Refused, "{}", error.report());
    assert!(image.path("etc/ssh/ssh_host_rsa_key").exists());
    assert!(image.read("etc/shadow").contains("$6$"), "something was written");
}

/// With disinherit-firstboot, which makes them itself, sshd waits for its gate.
#[test]
fn a_sealed_image_orders_sshd_behind_the_gate() {
    for image in [Image::new(), Image::new().with_keygen()] {
        let report = image.scrub("", Some(b"program")).unwrap();
        image.is_clean(&report);
        let dropin = image.read("usr/lib/systemd/system/sshd.service.d/05-disinherit.conf");
        assert!(dropin.contains("disinherit"), "{dropin:?}");
        assert_eq!(image.read("usr/lib/disinherit/disinherit-firstboot"), "program");
    }
}
