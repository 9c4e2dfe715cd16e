use std::path::Path;

use super::*;
use crate::manifest::KeyHash;
use crate::root::Root;

/// An image as Debian lays it out: cloud-init before sysinit.target, ssh.service enabled.
pub(super) struct Image(tempfile::TempDir);

impl Image {
    pub(super) fn debian() -> Self {
        let image = Self(tempfile::tempdir().unwrap());
        image.put("etc/passwd", "root:x:0:0::/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\n");
        image.put("etc/shadow", "root:*:1::::::\nann:$6$a$b:1::::::\n");
        image.put("etc/ssh/sshd_config", "Include /etc/ssh/sshd_config.d/*.conf\nUsePAM yes\n");
        image.put("etc/cloud/cloud.cfg", "");
        image.put("usr/bin/cloud-init", "");
        let units = [
            (
                "ssh.service",
                "[Unit]\nAfter=network.target\n[Service]\nExecStart=/usr/sbin/sshd -D\n",
            ),
            (
                "ssh.socket",
                "[Unit]\nBefore=sockets.target ssh.service\n[Socket]\nListenStream=22\n",
            ),
            (
                "cloud-init.service",
                "[Unit]\nDefaultDependencies=no\nAfter=cloud-init-local.service\nBefore=sysinit.target sshd.service\n",
            ),
            ("cloud-init-local.service", "[Unit]\nDefaultDependencies=no\nBefore=sysinit.target\n"),
            ("cloud-final.service", "[Unit]\nAfter=multi-user.target\nBefore=cloud-init.target\n"),
            (
                "cloud-init.target",
                "[Unit]\nAfter=multi-user.target\nWants=cloud-init.service cloud-init-local.service cloud-final.service\n",
            ),
            ("multi-user.target", "[Unit]\nRequires=basic.target\nAfter=basic.target\n"),
            (
                "basic.target",
                "[Unit]\nRequires=sysinit.target\nWants=sockets.target timers.target\nAfter=sysinit.target sockets.target\n",
            ),
            ("sockets.target", "[Unit]\n"),
            ("timers.target", "[Unit]\nDefaultDependencies=no\n"),
            ("sysinit.target", "[Unit]\n"),
        ];
        for (name, text) in units {
            image.put(&format!("usr/lib/systemd/system/{name}"), text);
        }
        image
            .link("etc/systemd/system/default.target", "/usr/lib/systemd/system/multi-user.target");
        image.link("etc/systemd/system/sshd.service", "/usr/lib/systemd/system/ssh.service");
        image.link(
            "etc/systemd/system/multi-user.target.wants/ssh.service",
            "/usr/lib/systemd/system/ssh.service",
        );
        image
    }

    pub(super) fn put(&self, path: &str, text: &str) {
        let path = self.0.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub(super) fn link(&self, path: &str, target: &str) {
        let path = self.0.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(target, path).unwrap();
    }

    pub(super) fn root(&self) -> Root {
        Root::offline(self.0.path()).unwrap()
    }

    pub(super) fn inventory(&self) -> Inventory {
        Inventory::discover(&self.root()).unwrap()
    }

    pub(super) fn cycles(&self) -> Vec<Cycle> {
        cycles(&self.root(), &files(&self.inventory())).unwrap()
    }
}

#[test]
fn debian_is_sealed_without_a_cycle() {
    let image = Image::debian();
    let inventory = image.inventory();
    assert!(inventory.cloud_init && inventory.gate_socket);
    assert_eq!(inventory.ssh_enabled, ["ssh.service"]);
    assert_eq!(image.cycles(), []);
    let files = files(&inventory);
    let has = |path: &str| files.iter().any(|f| f.path.to_string() == path);
    assert!(has("/usr/lib/systemd/system/ssh.service.d/05-disinherit.conf"));
    assert!(has("/usr/lib/systemd/system/ssh.socket.d/05-disinherit.conf"));
    assert!(has("/etc/cloud/cloud.cfg.d/99-disinherit.cfg"));
    let link = files.last().unwrap();
    assert!(matches!(link.kind, Kind::Link { .. }), "links close the door, so they come last");
}

#[test]
fn a_socket_is_gated_only_where_no_cycle_can_arise() {
    let image = Image::debian();
    image.put(
        "usr/lib/systemd/system/cloud-init.service",
        "[Unit]\nAfter=NetworkManager.service basic.target\nBefore=sshd.service\n",
    );
    assert!(!image.inventory().gate_socket, "as on Fedora and SUSE");
    assert_eq!(image.cycles(), []);
    let image = Image::debian();
    image.link("etc/systemd/system/multi-user.target.wants/google-guest-agent.service", "x");
    assert!(!image.inventory().gate_socket);
    assert_eq!(image.inventory().agents, ["google-guest-agent.service"]);
}

#[test]
fn an_order_that_would_lock_out_is_seen() {
    let image = Image::debian();
    image.put(
        "etc/systemd/system/disinherit-gate.service.d/site.conf",
        "[Unit]\nAfter=cloud-init.target\n",
    );
    let cycles = image.cycles();
    assert_eq!(cycles.len(), 1);
    let text = cycles[0].to_string();
    for unit in ["disinherit-gate.service", "multi-user.target", "cloud-init.target"] {
        assert!(text.contains(unit), "{text}");
    }
}

#[test]
fn copies_of_a_dropin_for_one_unit_under_two_names_are_equal() {
    let files = files(&Image::debian().inventory());
    let content = |unit: &str| {
        let path = format!("/usr/lib/systemd/system/{unit}.d/05-disinherit.conf");
        files.iter().find(|f| f.path.to_string() == path).unwrap().kind.clone()
    };
    assert_eq!(content("ssh.service"), content("sshd.service"));
}

#[test]
fn no_condition_stands_in_the_gate() {
    // A unit that is skipped by a condition counts as started for Requires=.
    for (name, text) in systemd::UNITS {
        let settings = text.lines().filter(|l| !l.starts_with('#'));
        let conditions: Vec<&str> = settings.filter(|l| l.starts_with("Condition")).collect();
        assert!(name == "disinherit-retry.service" || conditions.is_empty(), "{name}");
    }
}

#[test]
fn a_record_lists_logins_from_every_place() {
    use base64::Engine as _;
    let line = |n: u8| {
        let mut blob = b"\0\0\0\x0bssh-ed25519\0\0\0\x20".to_vec();
        blob.extend([n; 32]);
        format!("ssh-ed25519 {}", base64::engine::general_purpose::STANDARD.encode(blob))
    };
    let image = Image::debian();
    image.put("home/ann/.ssh/authorized_keys", &format!("no-pty {} c\n", line(1)));
    image.put(
        "etc/cloud/cloud.cfg.d/90-users.cfg",
        &format!("users:\n - ssh_authorized_keys: [\"{}\"]\n", line(2)),
    );
    image.put(
        "var/lib/cloud/seed/nocloud/user-data",
        &format!("ssh_authorized_keys:\n- {}\n", line(3)),
    );
    image.put("etc/ssh/ssh_host_ed25519_key.pub", &line(4));
    image.put("etc/ssh/ssh_host_ed25519_key", "-----BEGIN OPENSSH PRIVATE KEY-----\nnonsense\n");
    let manifest = record(&image.root()).unwrap();
    let hash = |n| {
        KeyHash::of(
            &base64::engine::general_purpose::STANDARD
                .decode(line(n).split(' ').nth(1).unwrap())
                .unwrap(),
        )
    };
    assert_eq!(manifest.keys, [hash(1), hash(2), hash(3)].into());
    assert_eq!(manifest.host_keys, [hash(4)].into());
    assert_eq!(manifest.seeds.len(), 1);
    assert!(manifest.accounts["ann"].had_password && !manifest.accounts["root"].had_password);
    assert!(manifest.identity.is_empty(), "an image has no machine");
    assert!(!manifest.to_json().contains("$6$"));
}

#[test]
fn the_public_half_is_found_in_a_private_key_without_its_companion() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("etc")).unwrap();
    let key = dir.path().join("etc/key");
    let keygen = Path::new("/usr/bin/ssh-keygen");
    let made = std::process::Command::new(keygen)
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(&key)
        .status()
        .expect("these tests need ssh-keygen");
    assert!(made.success());
    let root = Root::offline(dir.path()).unwrap();
    let path = ImagePath::literal("/etc/key");
    let both = crate::host_keys::public_half(&root, &path).unwrap();
    std::fs::remove_file(dir.path().join("etc/key.pub")).unwrap();
    assert_eq!(crate::host_keys::public_half(&root, &path).unwrap(), both);
    assert_eq!(both.len(), 1);
}
