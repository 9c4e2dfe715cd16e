//! One scrub, then every program in turn: what one says against the files does not hide the others.

use disinherit_tests::command::said;
use disinherit_tests::{Result, expect, failed};

use super::{Readers, planted};

const POLICY: &str =
    "firstboot: false\ncontent: remove\nkeep_users: [ann]\nremove_users: [packer]\n";

/// A name, what is run in the tree, and words that it must say.
const PROGRAMS: &[(&str, &[&str], &[&str])] = &[
    ("netplan", &["netplan", "get", "network.tunnels.wg0.mode"], &["wireguard"]),
    ("netplan generate", &["netplan", "generate"], &[]),
    (
        "cloud-init schema",
        &["cloud-init", "schema", "--config-file", "/etc/cloud/cloud.cfg.d/90-site.cfg"],
        &["Valid"],
    ),
    (
        // cloud-init's own merge of all its files.
        "cloud-init merge",
        &[
            "python3",
            "-c",
            "import json; from cloudinit.util import read_conf_with_confd as read; \
             c = read('/etc/cloud/cloud.cfg'); print(json.dumps([c['users'], c['packages']], sort_keys=True))",
        ],
        &["{\"gecos\": \"Operations\", \"name\": \"ops\"}", "\"vim\"", "\"default\""],
    ),
    ("nginx", &["nginx", "-t"], &["test is successful"]),
    ("nginx's view", &["nginx", "-T"], &["proxy_pass http://127.0.0.1:9000;"]),
    (
        "sshd",
        &["sh", "-c", "ssh-keygen -A && mkdir -p /run/sshd && sshd -t && sshd -T"],
        &["passwordauthentication"],
    ),
    (
        "apt",
        &["apt-get", "--print-uris", "update"],
        &["https://repo.example/debian/dists/bookworm/InRelease"],
    ),
    ("apt-config", &["apt-config", "dump"], &["Dir::Etc \"etc/apt\""]),
    (
        "pip",
        &["pip3", "config", "list"],
        &["global.index-url='https://pypi.example/simple'", "global.timeout='60'"],
    ),
    (
        "git",
        &["env", "HOME=/home/ann", "git", "config", "--list"],
        &["user.name=Ann", "alias.st=status", "url.https://"],
    ),
    ("systemd-analyze", &["systemd-analyze", "verify", "--man=no", "site.service"], &[]),
    ("findmnt", &["findmnt", "--verify", "--tab-file", "/etc/fstab"], &["Success"]),
    ("mount", &["mount", "--fake", "--verbose", "--all"], &["/mnt"]),
    (
        "wpa_supplicant",
        &[
            "sh",
            "-c",
            "wpa_supplicant -c /etc/wpa_supplicant/wpa_supplicant.conf -i none -D wired; true",
        ],
        &["Successfully initialized"],
    ),
    ("visudo", &["visudo", "--check"], &["/etc/sudoers: parsed OK"]),
];

pub(super) fn all() -> Result {
    let readers = Readers::new()?;
    let secrets = planted::plant(&readers)?;
    // Whoever is not content before, or is so with anything, proves nothing about the files.
    let before = complaints(&readers, false)?;
    expect(before.is_empty(), || format!("before the scrub: {before:#?}"))?;
    readers.disinherit("scrub", POLICY)?;
    let mut wrong = complaints(&readers, true)?;
    wrong.extend(network_manager(&readers, &secrets)?);
    for (name, argv, _) in PROGRAMS {
        let output = readers.asked(argv)?;
        let text = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        if secrets.iter().any(|secret| text.contains(secret.as_str())) {
            wrong.push(format!("{name} still shows a secret"));
        }
    }
    // The rest of the network is set up whatever became of its tunnel.
    let wired = readers.read("run/systemd/network/10-netplan-eth0.network");
    if !wired.contains("DHCP=ipv4") {
        wrong.push(format!("netplan set up no eth0: {wired:?}"));
    }
    expect(wrong.is_empty(), || format!("{wrong:#?}"))
}

/// What programs refuse; with `words`, also what they do not say.
fn complaints(readers: &Readers, words_too: bool) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    for (name, argv, words) in PROGRAMS {
        let output = readers.asked(argv)?;
        let text = said(&output);
        let missing: Vec<&&str> =
            words.iter().filter(|word| words_too && !text.contains(**word)).collect();
        if !output.status.success() || !missing.is_empty() {
            wrong.push(format!("{name} ({missing:?} missing): {text}"));
        }
    }
    Ok(wrong)
}

/// It reads a keyfile from its standard input, and prints what it understood.
fn network_manager(readers: &Readers, secrets: &[String]) -> Result<Option<String>> {
    let file = readers.root().join("etc/NetworkManager/system-connections/office.nmconnection");
    let argv = ["nmcli", "--offline", "connection", "modify", "connection.autoconnect", "yes"];
    let output = readers.with_input(&argv, &file)?;
    let text = String::from_utf8(output.stdout.clone()).map_err(|e| failed(e.to_string()))?;
    let right = output.status.success()
        && ["id=office", "key-mgmt=wpa-psk", "ssid=office"].iter().all(|line| text.contains(line))
        && !secrets.iter().any(|secret| text.contains(secret.as_str()));
    Ok((!right).then(|| format!("nmcli: {}", said(&output))))
}
