//! Configuration of many programs with secrets that are random in each run.

use disinherit_tests::escape::dice::Dice;
use disinherit_tests::{Result, failed};

use super::Readers;

/// Path, mode, text; `@` in front of a digit is a secret.
const FILES: &[(&str, u32, &str)] = &[
    (
        "etc/netplan/50-site.yaml",
        0o600,
        "network:\n  version: 2\n  ethernets:\n    eth0:\n      dhcp4: true\n  wifis:\n    wlan0:\n      \
         dhcp4: true\n      access-points:\n        office:\n          password: \"@0\"\n  tunnels:\n    wg0:\n      \
         mode: wireguard\n      key: @W\n      addresses: [10.0.0.1/24]\n      peers:\n        - keys:\n            \
         public: @P\n            shared: @W\n          allowed-ips: [0.0.0.0/0]\n",
    ),
    (
        "etc/cloud/cloud.cfg.d/90-site.cfg",
        0o644,
        "#cloud-config\nusers:\n  - default\n  - name: ops\n    gecos: Operations\n    plain_text_passwd: @1\n    \
         ssh_authorized_keys:\n      - ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJx0Zk9QmVn0cXKq0Sx8l0yQ2c0rYk8w0Xl0v0aQw0Zk b\n\
         chpasswd:\n  expire: false\n  list: |\n    root:@2\npassword: @3\npackages: [vim]\n",
    ),
    (
        "etc/nginx/conf.d/site.conf",
        0o644,
        "server {\n  listen 8080;\n  location / {\n    proxy_set_header Authorization \"Bearer @L\";\n    \
         proxy_pass http://127.0.0.1:9000;\n  }\n}\n",
    ),
    (
        "etc/apt/sources.list.d/site.list",
        0o644,
        "deb [trusted=yes] https://build:@4@repo.example/debian bookworm main\n",
    ),
    (
        "etc/pip.conf",
        0o644,
        "[global]\nindex-url = https://build:@5@pypi.example/simple\ntimeout = 60\n",
    ),
    (
        "home/ann/.gitconfig",
        0o644,
        "[user]\n\tname = Ann\n[http \"https://git.example\"]\n\textraheader = AUTHORIZATION: Bearer @L\n\
         [url \"https://ann:@6@git.example/\"]\n\tinsteadOf = https://git.example/\n[alias]\n\tst = status\n",
    ),
    (
        "etc/systemd/system/site.service",
        0o644,
        "[Unit]\nDescription=Site\n[Service]\nEnvironment=MODE=prod API_TOKEN=@7\nExecStart=/usr/bin/true\n\
         [Install]\nWantedBy=multi-user.target\n",
    ),
    (
        "etc/NetworkManager/system-connections/office.nmconnection",
        0o600,
        "[connection]\nid=office\nuuid=4e9d0d1c-5ad1-4c6b-8c8c-7f2e6b8d9f10\ntype=wifi\n[wifi]\nssid=office\n\
         mode=infrastructure\n[wifi-security]\nkey-mgmt=wpa-psk\npsk=@8\n[ipv4]\nmethod=auto\n",
    ),
    (
        "etc/fstab",
        0o644,
        "proc /proc proc defaults 0 0\n//nas.example/share /mnt cifs username=build,password=@9,uid=1000,nofail 0 0\n",
    ),
    (
        "etc/wpa_supplicant/wpa_supplicant.conf",
        0o600,
        "network={\n\tssid=\"office\"\n\tpsk=\"@0\"\n}\n",
    ),
];

fn value(dice: &mut Dice, shape: &str) -> Result<String> {
    dice.value(shape).ok_or_else(|| failed(format!("no shape {shape}")))
}

/// Writes all files and returns the secrets in them.
pub(super) fn plant(readers: &Readers) -> Result<Vec<String>> {
    let mut dice = Dice::new();
    let mut secrets = (0..10).map(|_| value(&mut dice, "password")).collect::<Result<Vec<_>>>()?;
    let (tunnel, public) = (value(&mut dice, "wireguard")?, value(&mut dice, "wireguard")?);
    let long = value(&mut dice, "password")? + &value(&mut dice, "password")?;
    for (path, mode, text) in FILES {
        let mut text = text.replace("@W", &tunnel).replace("@P", &public).replace("@L", &long);
        for (number, secret) in secrets.iter().enumerate() {
            text = text.replace(&format!("@{number}"), secret);
        }
        readers.layer.write(path, *mode, text)?;
    }
    secrets.extend([tunnel, long]);
    Ok(secrets)
}
