//! Logs, temporary files, mail, state of cloud-init and agents: what nobody looks at before a capture.

use super::formats::{ASSIGNED, TOKENS};
use super::{choose, pick, word};
use crate::Result;
use crate::escape::form::Form;
use crate::escape::world::{Item, World};

/// Places for whole files; a word takes the place of `@`.
const PLACES: &[&str] = &[
    "/tmp/@",
    "/tmp/.@/@.txt",
    "/var/tmp/@.sql",
    "/var/log/@.log",
    "/var/log/@/@.log.1",
    "/var/log/@-20260101",
    "/var/mail/@",
    "/var/spool/cron/atjobs/@",
    "/var/crash/@.crash",
    "/var/lib/cloud/instances/@/user-data.txt",
    "/var/lib/cloud/instances/@/scripts/part-001",
    "/var/log/installer/@",
    "/var/lib/waagent/@.xml",
    "/var/lib/amazon/ssm/@/document/@",
    "/var/lib/kubelet/pods/@/token",
    "/dev/shm/@",
    "/lost+found/@",
    "/home/@/.bash_history",
    "/root/@.log",
    "/var/lib/systemd/coredump/core.@.0",
];

pub(super) fn plant(world: &mut World) -> Result {
    for place in choose(world, PLACES, 14) {
        let path = named(world, place);
        let text = line(world);
        world.plant("left-behind", &Item::new(path, text))?;
    }
    let packed: &[(&str, Form)] = &[
        ("/var/log/@.log.3.gz", Form::Gzip),
        ("/var/log/@/@.gz", Form::Gzip),
        ("/root/@/export.txt", Form::Utf16),
        ("/tmp/@.core", Form::Core),
        ("/root/@.b64", Form::Base64),
    ];
    for (place, form) in packed {
        let path = named(world, place);
        let text = match form {
            Form::Base64 => format!("{{{{{}}}}}\n", pick(world, &["openssh", "pem-rsa"])),
            _ => line(world),
        };
        world.plant("left-behind", &Item { form: *form, ..Item::new(path, text) })?;
    }
    Ok(())
}

fn named(world: &mut World, place: &str) -> String {
    let mut path = String::new();
    for (index, part) in place.split('@').enumerate() {
        if index > 0 {
            path.push_str(&word(world));
        }
        path.push_str(part);
    }
    path
}

fn line(world: &mut World) -> String {
    let (token, value) = (pick(world, TOKENS), pick(world, ASSIGNED));
    let text = pick(
        world,
        &[
            "connected with token {{T}}\n",
            "password={{V}}\n",
            "export API_TOKEN={{T}}\n",
            "DB_PASSWORD={{V}}\n",
            "connect to postgres://app:{{password}}@db/x\n",
            "Authorization: Bearer {{jwt}}\n",
        ],
    );
    text.replace("{{T}}", &format!("{{{{{token}}}}}")).replace("{{V}}", &format!("{{{{{value}}}}}"))
}
