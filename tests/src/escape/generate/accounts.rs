//! Accounts with homes anywhere, hashes of every kind, and keys where sshd is told to look.

use super::{User, pick, word};
use crate::Result;
use crate::escape::form::Form;
use crate::escape::world::{Item, World};

const HASHES: &[&str] =
    &["yescrypt", "sha512crypt", "sha512crypt-rounds", "sha256crypt", "md5crypt", "bcrypt"];
/// What stands before a hash: nothing, or a lock that leaves it there.
const LOCKS: &[&str] = &["", "", "!", "!!", "*"];

pub(super) fn plant(world: &mut World) -> Result<Vec<User>> {
    let mut users = Vec::new();
    for number in 0..5 {
        let name = word(world);
        let home = home(world, number, &name);
        let id = 3000 + number;
        let row = shadow_row(world, &name);
        world.plant("accounts", &append("/etc/shadow", row))?;
        world.append("/etc/passwd", &format!("{name}:x:{id}:{id}::{home}:/bin/sh\n"))?;
        world.append("/etc/group", &format!("{name}:x:{id}:\n"))?;
        users.push(User { name, home });
    }
    let open = format!("{}::19000:0:99999:7:::\n", word(world));
    world.append("/etc/shadow", &open)?;
    let group = word(world);
    let hash = pick(world, HASHES);
    world.plant("accounts", &append("/etc/gshadow", format!("{group}:{{{{{hash}}}}}::\n")))?;
    older_copies(world)?;
    central_keys(world, &users)?;
    Ok(users)
}

/// Bases outside of `/home`, with a space, with a byte that is no UTF-8.
fn home(world: &mut World, number: usize, name: &str) -> String {
    let folder = word(world);
    match number {
        0 => format!("/home/{name}"),
        1 => format!("/srv/{folder}/{name} {folder}"),
        2 => format!("/export/{folder}/{name}\\xff"),
        3 => format!("/var/lib/{name}"),
        _ => format!("/opt/{folder}/ü{name}"),
    }
}

fn shadow_row(world: &mut World, name: &str) -> String {
    let (hash, lock) = (pick(world, HASHES), pick(world, LOCKS));
    format!("{name}:{lock}{{{{{hash}}}}}:20000:0:99999:7:::\n")
}

fn append(path: &str, text: String) -> Item {
    Item { form: Form::Append, ..Item::new(path, text) }
}

fn older_copies(world: &mut World) -> Result {
    let names = [
        "/etc/shadow.old",
        "/etc/shadow.save",
        "/etc/gshadow-",
        "/etc/shadow~",
        "/var/backups/shadow.bak.1",
        "/etc/passwd.orig",
        "/etc/shadow.dpkg-old",
    ];
    for path in super::choose(world, &names, 3) {
        let name = word(world);
        let row = shadow_row(world, &name);
        world.plant("accounts", &Item::new(path, row))?;
    }
    Ok(())
}

/// A folder for all keys, under a name of its own.
fn central_keys(world: &mut World, users: &[User]) -> Result {
    let (base, folder) = (pick(world, &["/etc/ssh", "/var/lib", "/usr/local/etc"]), word(world));
    let pattern = pick(world, &["%u", "%u/authorized_keys", "%u.pub"]);
    let setting = pick(world, &["AuthorizedKeysFile", "authorizedkeysfile"]);
    let text = format!("{setting} .ssh/authorized_keys {base}/{folder}/{pattern}\n");
    let name = word(world);
    world.control(&Item::new(format!("/etc/ssh/sshd_config.d/30-{name}.conf"), text))?;
    for user in users.iter().take(2) {
        let path = format!("{base}/{folder}/{}", pattern.replace("%u", &user.name));
        world.plant("ssh-login", &Item::new(path, "{{public}}\n"))?;
    }
    Ok(())
}
