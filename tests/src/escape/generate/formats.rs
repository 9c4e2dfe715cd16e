//! Configuration files in the formats of the world, with one secret and some lines that are none.

use super::{pick, word};
use crate::escape::world::World;

/// Tokens that say by their shape what they are.
pub(super) const TOKENS: &[&str] = &[
    "github",
    "github-app",
    "github-fine",
    "gitlab",
    "gitlab-runner",
    "slack-bot",
    "slack-hook",
    "npm",
    "pypi",
    "vault",
    "jwt",
    "stripe",
    "sendgrid",
    "digitalocean",
    "huggingface",
    "docker-pat",
    "terraform",
    "databricks",
    "newrelic",
    "grafana",
    "age",
    "gcp-api",
    "tailscale",
    "shopify",
    "doppler",
    "pulumi",
    "postman",
    "telegram",
];

/// What a setting with a telling name may be set to.
pub(super) const ASSIGNED: &[&str] = &["password", "letters", "alnum32", "hex40", "b64-32"];

const NAMES: &[&str] = &[
    "password",
    "passwd",
    "db_password",
    "smtp_password",
    "secret",
    "client_secret",
    "secret_key",
    "api_key",
    "access_token",
    "auth_token",
    "admin_password",
    "api_secret",
];

/// Extension and text of a file with one value of `kind`.
pub(super) fn configuration(world: &mut World, kind: &str) -> (&'static str, String) {
    const FORMATS: &[(&str, &str)] = &[
        (".conf", "# W\nlisten = 8080\nN = {{K}}\nworkers = 4\n"),
        (".ini", "[W]\nhost=db.internal\nN={{K}}\n\n[log]\nlevel=info\n"),
        (".cfg", "[W]\nuser: app\nN: {{K}}\n"),
        (".yaml", "W:\n  host: db.internal\n  N: {{K}}\n  port: 5432\n"),
        (".yml", "- name: W\n  N: \"{{K}}\"\n- name: other\n"),
        (".toml", "[W]\nhost = \"db\"\nN = \"{{K}}\"\n"),
        (".json", "{\n  \"W\": {\"host\": \"db\", \"N\": \"{{K}}\", \"port\": 1}\n}\n"),
        (".properties", "W.host=db\nW.N={{K}}\nW.pool=3\n"),
        (".env", "DEBUG=0\nW_N={{K}}\nPORT=80\n"),
        (".sh", "#!/bin/sh\nset -eu\nexport W_N='{{K}}'\nexec run\n"),
        (".py", "HOST = 'db'\nN = '{{K}}'\nTIMEOUT = 3\n"),
        (".php", "<?php\n$config['host'] = 'db';\n$config['N'] = '{{K}}';\n"),
        (".xml", "<W>\n  <host>db</host>\n  <N>{{K}}</N>\n</W>\n"),
        (".tf", "provider \"W\" {\n  region = \"eu\"\n  N = \"{{K}}\"\n}\n"),
        ("", "W_HOST=db\nW_N={{K}}\n"),
    ];
    let (extension, text) = pick(world, FORMATS);
    let name = pick(world, NAMES);
    let shouted = matches!(extension, ".env" | ".sh" | ".py" | "");
    let (name, word) = (cased(name, shouted), cased(&word(world), shouted));
    let filled = text.replace("{{K}}", "\u{0}").replace('W', &word).replace('N', &name);
    (extension, filled.replace('\u{0}', &format!("{{{{{kind}}}}}")))
}

fn cased(text: &str, shouted: bool) -> String {
    if shouted { text.to_uppercase() } else { text.to_owned() }
}
