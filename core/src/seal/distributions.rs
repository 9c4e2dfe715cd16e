//! Trees made from the documented layout of distributions that are not booted in the tests: which
//! units they have, how these are ordered, and what sealing then does.

use super::*;

const TARGETS: [(&str, &str); 6] = [
    ("multi-user.target", "[Unit]\nRequires=basic.target\nAfter=basic.target\n"),
    (
        "basic.target",
        "[Unit]\nRequires=sysinit.target\nWants=sockets.target timers.target\nAfter=sysinit.target sockets.target\n",
    ),
    ("sockets.target", "[Unit]\n"),
    ("timers.target", "[Unit]\nDefaultDependencies=no\n"),
    ("sysinit.target", "[Unit]\n"),
    (
        "cloud-init.target",
        "[Unit]\nAfter=multi-user.target\nWants=cloud-init-local.service cloud-init.service cloud-init-network.service cloud-final.service\n",
    ),
];

struct Tree(tempfile::TempDir);

impl Tree {
    fn new(units: &[(&str, &str)], enabled: &[(&str, &str)]) -> Self {
        let tree = Self(tempfile::tempdir().unwrap());
        tree.put("etc/passwd", "root:x:0:0::/root:/bin/bash\n");
        tree.put("etc/ssh/sshd_config", "Include /etc/ssh/sshd_config.d/*.conf\n");
        tree.put("etc/cloud/cloud.cfg", "");
        tree.put("usr/bin/cloud-init", "");
        tree.put("usr/lib/systemd/systemd", "");
        for (name, text) in TARGETS.iter().chain(units) {
            tree.put(&format!("usr/lib/systemd/system/{name}"), text);
        }
        for (target, unit) in enabled {
            tree.put(&format!("etc/systemd/system/{target}.wants/{unit}"), "");
        }
        tree.put("etc/systemd/system/default.target.wants/multi-user.target", "");
        tree
    }

    fn put(&self, path: &str, text: &str) {
        let path = self.0.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// SSH units that are enabled, whether the socket is gated, the paths that are written; no cycle.
    fn sealed(&self) -> (Vec<String>, bool, Vec<String>) {
        let root = Root::offline(self.0.path()).unwrap();
        let inventory = Inventory::discover(&root).unwrap();
        let files = files(&inventory);
        assert_eq!(cycles(&root, &files).unwrap(), []);
        let paths = files.iter().map(|file| file.path.to_string()).collect();
        (inventory.ssh_enabled, inventory.gate_socket, paths)
    }
}

const EARLY_NETWORK: &str = "[Unit]\nDefaultDependencies=no\nAfter=cloud-init-local.service\nBefore=sysinit.target sshd.service systemd-user-sessions.service\n";
const EARLY_LOCAL: &str = "[Unit]\nDefaultDependencies=no\nAfter=systemd-remount-fs.service\nBefore=sysinit.target network-pre.target\n";
const LATE_NETWORK: &str = "[Unit]\nDefaultDependencies=no\nAfter=cloud-init-local.service NetworkManager.service basic.target\nBefore=sshd-keygen.service sshd.service systemd-user-sessions.service\n";
const FINAL: &str =
    "[Unit]\nAfter=network-online.target multi-user.target\nBefore=cloud-init.target\n";

fn has(paths: &[String], path: &str) -> bool {
    paths.iter().any(|p| p == path)
}

#[test]
fn ubuntu_22_04_starts_the_service() {
    let tree = Tree::new(
        &[
            (
                "ssh.service",
                "[Unit]\nAfter=network.target auditd.service\n[Service]\nExecStart=/usr/sbin/sshd -D $SSHD_OPTS\n[Install]\nAlias=sshd.service\n",
            ),
            (
                "ssh.socket",
                "[Unit]\nBefore=ssh.service\nConflicts=ssh.service\n[Socket]\nListenStream=22\nAccept=yes\n",
            ),
            (
                "ssh@.service",
                "[Unit]\nAfter=auditd.service\n[Service]\nExecStart=-/usr/sbin/sshd -i $SSHD_OPTS\n",
            ),
            ("cloud-init-local.service", EARLY_LOCAL),
            ("cloud-init.service", EARLY_NETWORK),
            ("cloud-final.service", FINAL),
        ],
        &[("multi-user.target", "ssh.service")],
    );
    let (enabled, socket, paths) = tree.sealed();
    assert_eq!((enabled, socket), (vec!["ssh.service".to_owned()], true));
    assert!(has(&paths, "/usr/lib/systemd/system/ssh@.service.d/05-disinherit.conf"));
}

#[test]
fn ubuntu_24_04_starts_the_socket() {
    let units = [
        (
            "ssh.service",
            "[Unit]\nAfter=network.target nss-user-lookup.target\n[Service]\nExecStart=/usr/sbin/sshd -D $SSHD_OPTS\n",
        ),
        (
            "ssh.socket",
            "[Unit]\nBefore=sockets.target ssh.service\n[Socket]\nListenStream=22\nAccept=no\nFreeBind=yes\n",
        ),
        ("cloud-init-local.service", EARLY_LOCAL),
        ("cloud-init.service", EARLY_NETWORK),
        ("cloud-final.service", FINAL),
    ];
    let enabled = [("sockets.target", "ssh.socket"), ("ssh.service", "ssh.socket")];
    let (ssh, socket, paths) = Tree::new(&units, &enabled).sealed();
    assert_eq!((ssh, socket), (vec!["ssh.socket".to_owned()], true));
    assert!(has(&paths, "/usr/lib/systemd/system/ssh.socket.d/05-disinherit.conf"));
    // On Google's images the agent comes after the sockets: the service alone is closed there.
    let with_agent =
        [&enabled[..], &[("multi-user.target", "google-guest-agent.service")]].concat();
    let (_, socket, paths) = Tree::new(&units, &with_agent).sealed();
    assert!(!socket);
    assert!(has(&paths, "/usr/lib/systemd/system/ssh.service.d/05-disinherit.conf"));
}

#[test]
fn fedora_rhel_and_opensuse_have_the_network_after_the_sockets() {
    let keygen = "[Unit]\nConditionFileNotEmpty=|!/etc/ssh/ssh_host_%i_key\n[Service]\nType=oneshot\nExecStart=/usr/libexec/openssh/sshd-keygen %i\n";
    let tree = Tree::new(
        &[
            (
                "sshd.service",
                "[Unit]\nAfter=network.target sshd-keygen.target\nWants=sshd-keygen.target\n[Service]\nType=notify\nExecStart=/usr/sbin/sshd -D $OPTIONS\n",
            ),
            (
                "sshd@.service",
                "[Unit]\nAfter=sshd-keygen.target\nWants=sshd-keygen.target\n[Service]\nExecStart=-/usr/sbin/sshd -i $OPTIONS\n",
            ),
            (
                "sshd.socket",
                "[Unit]\nConflicts=sshd.service\n[Socket]\nListenStream=22\nAccept=yes\n",
            ),
            ("sshd-keygen.target", "[Unit]\nWants=sshd-keygen@ed25519.service\n"),
            ("sshd-keygen@.service", keygen),
            ("NetworkManager.service", "[Unit]\nAfter=network-pre.target\n"),
            (
                "cloud-init-local.service",
                "[Unit]\nDefaultDependencies=no\nAfter=basic.target\nBefore=network-pre.target\n",
            ),
            ("cloud-init-network.service", LATE_NETWORK),
            ("cloud-final.service", FINAL),
        ],
        &[("multi-user.target", "sshd.service")],
    );
    let (enabled, socket, paths) = tree.sealed();
    assert_eq!((enabled, socket), (vec!["sshd.service".to_owned()], false));
    for unit in ["sshd.service", "sshd@.service", "sshd-generated@.service"] {
        assert!(
            has(&paths, &format!("/usr/lib/systemd/system/{unit}.d/05-disinherit.conf")),
            "{unit}"
        );
    }
    assert!(!has(&paths, "/usr/lib/systemd/system/ssh.socket.d/05-disinherit.conf"));
}

#[test]
fn alpine_has_services_and_no_units() {
    let tree = Tree(tempfile::tempdir().unwrap());
    tree.put("etc/passwd", "root:x:0:0::/root:/bin/ash\n");
    tree.put(
        "etc/ssh/sshd_config",
        "AuthorizedKeysFile .ssh/authorized_keys\nInclude /etc/ssh/sshd_config.d/*.conf\n",
    );
    tree.put("sbin/openrc-run", "");
    tree.put("etc/init.d/sshd", "#!/sbin/openrc-run\n");
    tree.put("etc/runlevels/default/sshd", "");
    tree.put("etc/runlevels/boot/bootmisc", "");
    let (enabled, _, paths) = tree.sealed();
    assert_eq!(enabled, ["sshd"]);
    assert!(has(&paths, "/etc/rc.conf.d/disinherit.conf"));
    assert!(!paths.iter().any(|path| path.contains("systemd")), "{paths:?}");
}
