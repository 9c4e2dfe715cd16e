//! What lies in a home: keys under any name, histories, credentials of programs, own files.

use super::formats::{self, ASSIGNED, TOKENS};
use super::{User, choose, pick, word};
use crate::Result;
use crate::escape::world::{Item, World};

const KEYS: &[&str] = &[
    "openssh",
    "openssh-encrypted",
    "pem-rsa",
    "pem-ec",
    "pem-pkcs8",
    "pem-encrypted",
    "pem-ed25519",
    "putty",
    "pgp",
];

const HISTORIES: &[&str] = &[
    ".bash_history",
    ".zsh_history",
    ".ash_history",
    ".ksh_history",
    ".history",
    ".python_history",
    ".node_repl_history",
    ".irb_history",
    ".psql_history",
    ".mysql_history",
    ".mariadb_history",
    ".sqlite_history",
    ".rediscli_history",
    ".lesshst",
    ".viminfo",
    ".gdb_history",
    ".php_history",
    ".local/share/fish/fish_history",
    ".histfile",
];

/// Files of programs and a text in the program's format.
const PROGRAMS: &[(&str, &str)] = &[
    (".netrc", "machine {{~word}}.internal login {{~word}} password {{password}}\n"),
    (
        ".aws/credentials",
        "[{{~word}}]\naws_access_key_id={{aws-id}}\naws_secret_access_key={{aws-secret}}\n",
    ),
    (
        ".aliyun/config.json",
        "{\"access_key_id\":\"{{aliyun-id}}\",\"access_key_secret\":\"{{aliyun-secret}}\"}",
    ),
    (".config/gh/hosts.yml", "github.com:\n    oauth_token: {{github}}\n"),
    (".config/glab-cli/config.yml", "hosts:\n  gitlab.internal:\n    token: {{gitlab}}\n"),
    (".git-credentials", "https://{{~word}}:{{github}}@{{~word}}.internal\n"),
    (".npmrc", "//{{~word}}.internal/:_authToken={{npm}}\n"),
    (".pypirc", "[pypi]\nusername = __token__\npassword = {{pypi}}\n"),
    (".docker/config.json", "{\"auths\":{\"{{~word}}.internal\":{\"auth\":\"{{b64-24}}\"}}}"),
    (".kube/config", "users:\n- name: {{~word}}\n  user:\n    token: {{jwt}}\n"),
    (".vault-token", "{{vault}}"),
    (".pgpass", "{{~word}}:5432:*:{{~word}}:{{password}}\n"),
    (".my.cnf", "[client]\npassword={{password}}\n"),
    (".s3cfg", "[default]\nsecret_key = {{aws-secret}}\n"),
    (".config/rclone/rclone.conf", "[{{~word}}]\ntype = sftp\npass = {{alnum32}}\n"),
    (".terraformrc", "credentials \"app.terraform.io\" {\n  token = \"{{terraform}}\"\n}\n"),
    (".cargo/credentials.toml", "[registry]\ntoken = \"{{cargo}}\"\n"),
    (".config/hub", "github.com:\n- user: {{~word}}\n  oauth_token: {{github}}\n"),
    (".smbcredentials", "username={{~word}}\npassword={{letters}}\n"),
    (".google_authenticator", "{{alnum24}}\n\" TOTP_AUTH\n"),
    (".ssh/authorized_keys", "{{public}}\n"),
    (".ssh/authorized_keys2", "{{public-ecdsa}}\n"),
    (".config/op/config", "{\"latest_signin\":\"x\",\"key\":\"{{alnum32}}\"}"),
];

pub(super) fn plant(world: &mut World, user: &User) -> Result {
    let home = &user.home;
    for name in choose(world, HISTORIES, 3) {
        let text = history(world);
        world.plant("shell-history", &Item::new(format!("{home}/{name}"), text))?;
    }
    for (name, text) in choose(world, PROGRAMS, 6) {
        world.plant("cloud-cli", &Item::new(format!("{home}/{name}"), text))?;
    }
    for kind in choose(world, KEYS, 3) {
        let path = key_path(world);
        world.plant(
            "private-keys",
            &Item::new(format!("{home}/{path}"), format!("{{{{{kind}}}}}\n")),
        )?;
    }
    for kind in choose(world, &["escaped pem-pkcs8", "encoded openssh", "escaped openssh"], 1) {
        let (folder, name) = (word(world), word(world));
        let text = format!("{{\"name\": \"{name}\", \"key\": \"{{{{{kind}}}}}\"}}\n");
        world.plant("private-keys", &Item::new(format!("{home}/{folder}/{name}.json"), text))?;
    }
    for _ in 0..3 {
        let (kind, folder) = (pick(world, ASSIGNED), word(world));
        let (extension, text) = formats::configuration(world, kind);
        let name = word(world);
        world.plant("files", &Item::new(format!("{home}/{folder}/{name}{extension}"), text))?;
    }
    let (token, name) = (pick(world, TOKENS), word(world));
    let text = format!("# {name}\nuse this one: {{{{{token}}}}}\n");
    world.plant("files", &Item::new(format!("{home}/notes {name}"), text))
}

/// Some program's command with a secret among its words.
fn history(world: &mut World) -> String {
    let token = pick(world, TOKENS);
    let line = pick(
        world,
        &[
            "mysql -u root -p{{password}}",
            "PGPASSWORD={{password}} psql -h db",
            "CREATE USER x IDENTIFIED BY '{{password}}';",
            "curl -u admin:{{letters}} https://x.internal/",
            "sshpass -p {{letters}} ssh root@10.0.0.1",
            "export TOKEN={{T}}",
            "curl -H 'Authorization: Bearer {{T}}' https://x.internal/",
        ],
    );
    format!("ls\n{}\nexit\n", line.replace("{{T}}", &format!("{{{{{token}}}}}")))
}

/// In `.ssh` under any name, or anywhere else.
fn key_path(world: &mut World) -> String {
    let (one, two) = (word(world), word(world));
    let extension = pick(world, &["", ".key", ".pem", ".txt", ".old", "_rsa", ".bin"]);
    match world.dice.below(3) {
        0 => format!(".ssh/{one}{extension}"),
        1 => format!("{one}/{two}{extension}"),
        _ => format!(".{one}{extension}"),
    }
}
