//! System configuration with secrets, and files that look like it and are none.

use super::formats::{self, ASSIGNED, TOKENS};
use super::{choose, pick, word};
use crate::Result;
use crate::escape::world::{Item, World};

const FOLDERS: &[&str] =
    &["/etc", "/opt", "/srv", "/usr/local/etc", "/var/lib", "/var/www", "/usr/local/lib"];

/// Files with a format of their own; a word takes the place of `W`.
const KNOWN: &[(&str, &str)] = &[
    (
        "/etc/NetworkManager/system-connections/W.nmconnection",
        "[connection]\nid=W\n\n[wifi-security]\npsk={{letters}}\n",
    ),
    ("/etc/wireguard/W.conf", "[Interface]\nPrivateKey = {{wireguard}}\n"),
    (
        "/etc/systemd/network/W.netdev",
        "[NetDev]\nName=W\n\n[WireGuard]\nPrivateKey={{wireguard}}\n",
    ),
    ("/etc/apt/auth.conf.d/W.conf", "machine W.internal login x password {{letters}}\n"),
    (
        "/etc/apt/sources.list.d/W.list",
        "deb https://W:{{password}}@mirror.internal/debian stable main\n",
    ),
    (
        "/etc/systemd/system/W.service",
        "[Service]\nEnvironment=W_TOKEN={{alnum40}}\nExecStart=/bin/true\n",
    ),
    ("/etc/cron.d/W", "W_PASSWORD={{password}}\n0 4 * * * root /usr/local/bin/W\n"),
    ("/etc/default/W", "W_SECRET={{alnum32}}\nW_USER=x\n"),
    ("/etc/samba/W.cred", "username=W\npassword={{letters}}\n"),
    ("/etc/W.keytab", "\u{5}\u{2}\0\0\0W{{alnum32}}"),
    ("/etc/nginx/W.htpasswd", "W:{{apr1}}\n"),
    ("/etc/kubernetes/pki/W.key", "{{pem-rsa}}\n"),
    ("/opt/W/W.kubeconfig", "users:\n- name: W\n  user:\n    token: {{jwt}}\n"),
    ("/etc/docker/certs.d/W.internal/client.key", "{{pem-ec}}\n"),
    (
        "/etc/cloud/cloud.cfg.d/70_W.cfg",
        "users:\n  - default\n  - name: W\n    passwd: {{sha512crypt}}\n",
    ),
    (
        "/etc/netplan/80-W.yaml",
        "network:\n  wifis:\n    wlan0:\n      access-points:\n        W:\n          password: {{letters}}\n",
    ),
    ("/etc/profile.d/W.sh", "export W_API_TOKEN={{github}}\n"),
];

pub(super) fn plant(world: &mut World) -> Result {
    for (path, text) in choose(world, KNOWN, 12) {
        let name = word(world);
        let (path, text) = (path.replace('W', &name), replace_word(text, &name));
        world
            .plant("configuration", &Item { mode: Some("0640".into()), ..Item::new(path, text) })?;
    }
    for number in 0..14 {
        let all = if number % 3 == 0 { TOKENS } else { ASSIGNED };
        let (folder, kind) = (pick(world, FOLDERS), pick(world, all));
        let (extension, text) = formats::configuration(world, kind);
        let (one, two) = (word(world), word(world));
        let item = Item::new(format!("{folder}/{one}/{two}{extension}"), text);
        world.plant("configuration", &Item { mode: Some("0640".into()), ..item })?;
    }
    for kind in choose(world, &["pem-rsa", "pem-ec", "pem-pkcs8", "pem-encrypted", "openssh"], 3) {
        let (folder, one, two) = (pick(world, FOLDERS), word(world), word(world));
        let extension = pick(world, &[".key", ".pem", "", ".dat"]);
        let item =
            Item::new(format!("{folder}/{one}/{two}{extension}"), format!("{{{{{kind}}}}}\n"));
        world.plant("private-keys", &Item { in_use: true, ..item })?;
    }
    scripts(world)
}

/// Programs that people wrote, each with a token or a password in a URL.
fn scripts(world: &mut World) -> Result {
    for _ in 0..3 {
        let (folder, token) =
            (pick(world, &["/usr/local/bin", "/usr/local/sbin", "/opt/bin"]), pick(world, TOKENS));
        let line = pick(
            world,
            &[
                "curl -fsS -H \"Authorization: Bearer {{T}}\" https://api.internal/",
                "git clone https://x:{{password}}@git.internal/a/b.git",
                "psql postgres://app:{{password}}@db.internal/app -c 'select 1'",
                "curl -u deploy:{{password}} https://x.internal/",
            ],
        );
        let name = word(world);
        let text = format!("#!/bin/sh\n{}\n", line.replace("{{T}}", &format!("{{{{{token}}}}}")));
        let item = Item::new(format!("{folder}/{name}"), text);
        world.plant("scripts", &Item { mode: Some("0755".into()), ..item })?;
    }
    Ok(())
}

/// Texts that speak of secrets and hold none.
const HARMLESS: &[(&str, &str)] = &[
    (".conf", "password_file = /run/secrets/W\npassword =\n"),
    (".yaml", "password: ${W_PASSWORD}\ntoken: $(cat /run/secrets/W)\n"),
    (".env.example", "W_PASSWORD=changeme\nW_TOKEN=<token>\n"),
    (".py", "password = getpass.getpass('Password: ')\ntoken = os.environ['W_TOKEN']\n"),
    (".md", "Set `api_key` to your key, for example `YOUR_API_KEY`.\n"),
    (".json", "{\"password\": null, \"token\": \"\", \"secretName\": \"W\"}\n"),
    (".crt", "{{~certificate}}\n"),
    (".lock", "W 1.2.3 sha256:{{~hex64}}\n"),
    (".sum", "{{~hex64}}  W.tar.gz\n"),
    (".uuid", "{{~uuid}}\n"),
    (".html", "<label>Password <input type=\"password\" name=\"password\"></label>\n"),
    (".c", "if (strcmp(line, \"-----BEGIN RSA PRIVATE KEY-----\") == 0)\n\treturn W;\n"),
    (
        ".js",
        "const {password, token} = req.body;\nif (!password) throw new Error('password missing');\n",
    ),
    (".txt", "The secret of W is a good password policy.\n"),
];

pub(super) fn controls(world: &mut World) -> Result {
    for _ in 0..3 {
        for (extension, text) in HARMLESS {
            let (folder, one, two) = (pick(world, FOLDERS), word(world), word(world));
            let text = replace_word(text, &two);
            world.control(&Item::new(format!("{folder}/{one}/{two}{extension}"), text))?;
        }
    }
    Ok(())
}

/// A word for every `W` that stands for one, not for those inside of places or of other words.
fn replace_word(text: &str, word: &str) -> String {
    let whole = |text: &str| text.replace("W_", &format!("{}_", word.to_uppercase()));
    let mut replaced = String::new();
    let text = whole(text);
    let mut before = ' ';
    for (index, character) in text.char_indices() {
        let after = text.get(index + 1..).and_then(|rest| rest.chars().next()).unwrap_or(' ');
        if character == 'W' && !before.is_alphanumeric() && !after.is_alphanumeric() {
            replaced.push_str(word);
        } else {
            replaced.push(character);
        }
        before = character;
    }
    replaced
}
