//! T31 and T35: user records by systemd, grants by sudo.

use std::collections::BTreeMap;

use disinherit_tests::{Result, expect};
use serde_json::{Value, json};

use super::Readers;

const HASH: &str = "$6$Zb7yQm2LkP0sXc4V$kq3JfW1e8uYtRr5oPzNvGmD6hSxAaLc0iBjE2fUyKw9TgHqZ7dXsV4nMbCpOlIu1b8Rw2tYq5vEz7nKx3mJc.1";
const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJx0Zk9QmVn0cXKq0Sx8l0yQ2c0rYk8w0Xl0v0aQw0Zk builder";

/// What `userdbctl` reads of a record, without a running service.
fn record(readers: &Readers, name: &str) -> Result<Value> {
    let options = ["--with-dropin=yes", "--with-varlink=no", "--with-nss=no", "--json=short"];
    let argv: Vec<&str> = ["userdbctl"].into_iter().chain(options).chain(["user", name]).collect();
    Ok(serde_json::from_str(&readers.content(&argv)?)?)
}

/// Hashes, hints and keys go; systemd reads everything else as before, what it does not know too.
pub(super) fn records() -> Result {
    let readers = Readers::new()?;
    let common = json!({
        "userName": "bob", "uid": 5001, "gid": 5001, "realName": "Bob", "homeDirectory": "/home/bob",
        "shell": "/bin/bash", "memberOf": ["adm"], "example.org/custom": {"kept": [1, 2.5, null]},
    });
    let private = json!({"hashedPassword": [HASH], "sshAuthorizedKeys": [KEY]});
    let mut bob = common.clone();
    if let Some(members) = bob.as_object_mut() {
        members.insert("privileged".to_owned(), private.clone());
    }
    let carl = json!({"userName": "carl", "uid": 5002, "gid": 5002, "homeDirectory": "/home/carl"});
    let files = [
        ("etc/userdb/bob.user", 0o644, bob.to_string()),
        // One member a line, as homectl(1) prints it.
        ("etc/userdb/carl.user", 0o644, serde_json::to_string_pretty(&carl)?),
        ("etc/userdb/carl.user-privileged", 0o600, json!({"privileged": private}).to_string()),
        (
            "usr/local/lib/userdb/broken.user",
            0o644,
            "{\"userName\": \"broken\", \"privileged\": {".to_owned(),
        ),
    ];
    for (path, mode, text) in &files {
        readers.layer.write(path, *mode, text)?;
    }
    for name in ["bob", "carl"] {
        let before = record(&readers, name)?;
        let hash = before.pointer("/privileged/hashedPassword/0");
        expect(hash.is_some_and(|hash| hash == HASH), || format!("{before}"))?;
    }
    readers.disinherit("scrub", "firstboot: false\n")?;
    for (name, expected) in [("bob", common), ("carl", carl)] {
        let mut after = record(&readers, name)?;
        // systemd says where it found the record.
        if let Some(members) = after.as_object_mut() {
            members.remove("status");
            members.retain(|name, value| name != "privileged" || value != &json!({}));
        }
        expect(after == expected, || format!("{name}: {after}, not {expected}"))?;
    }
    let broken = readers.read("usr/local/lib/userdb/broken.user");
    expect(broken == files[3].2, || "a record that is none was changed".to_owned())
}

/// The grants that sudo shows of each user.
fn grants(readers: &Readers, users: &[&str]) -> Result<BTreeMap<String, String>> {
    let mut shown = BTreeMap::new();
    for user in users {
        let text = readers.content(&["sudo", "--list", "--other-user", user])?;
        let grants: Vec<&str> =
            text.lines().filter(|line| line.starts_with("    (")).map(str::trim).collect();
        shown.insert((*user).to_owned(), grants.join("; "));
    }
    Ok(shown)
}

/// Grants of accounts that are gone go with them; sudo accepts the rest and shows it unchanged.
pub(super) fn sudo() -> Result {
    let readers = Readers::new()?;
    readers.append("etc/passwd", "eve:x:1002:1002::/home/eve:/bin/bash\n")?;
    readers.append("etc/shadow", "eve:!:19000::::::\n")?;
    let grant = "# what the builder needs\nDefaults:packer !requiretty\npacker ALL=(ALL) NOPASSWD: ALL\n\
                 gone ALL=(ALL) NOPASSWD: ALL\n";
    let shared = "User_Alias TEAM = ann, eve\nTEAM ALL=(root) /usr/bin/apt-get, \\\n    /usr/bin/dpkg\n\
                  packer, eve ALL=(root) /usr/bin/id\n%sudo ALL=(ALL:ALL) ALL\n";
    let broken = "packer ALL=(ALL NOPASSWD: ALL\n";
    readers.layer.write("etc/sudoers.d/90-build", 0o440, grant)?;
    readers.layer.write("etc/sudoers.d/team", 0o440, shared)?;
    // sudo passes over names with a dot or a tilde (sudoers(5)).
    readers.layer.write("etc/sudoers.d/old.conf", 0o440, grant)?;
    readers.layer.write("etc/sudoers.d/team~", 0o440, broken)?;
    let others = grants(&readers, &["ann", "eve"])?;
    let has = |all: &BTreeMap<String, String>, user: &str, grant: &str| {
        all.get(user).is_some_and(|grants| grants.contains(grant))
    };
    expect(has(&others, "ann", "/usr/bin/dpkg"), || format!("{others:?}"))?;
    let before = grants(&readers, &["packer"])?;
    expect(has(&before, "packer", "NOPASSWD: ALL"), || format!("{before:?}"))?;
    readers.disinherit(
        "scrub",
        "firstboot: false\nkeep_users: [ann, eve]\nremove_users: [packer]\n",
    )?;
    readers.content(&["visudo", "--check"])?;
    let after = grants(&readers, &["ann", "eve"])?;
    expect(after == others, || format!("{after:?}, not {others:?}"))?;
    // Whoever makes an account of that name gets nothing by it.
    readers.append("etc/passwd", "packer:x:1000:1000::/home/packer:/bin/bash\n")?;
    readers.append("etc/shadow", "packer:!:19000::::::\n")?;
    let back = readers.content(&["sudo", "--list", "--other-user", "packer"])?;
    expect(back.contains("not allowed to run sudo"), || back.clone())?;
    for name in ["90-build", "old.conf"] {
        let left = readers.read(&format!("etc/sudoers.d/{name}"));
        expect(!left.contains("packer"), || format!("{name}: {left}"))?;
    }
    Ok(())
}
