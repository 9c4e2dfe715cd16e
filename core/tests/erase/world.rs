//! A small system with secrets where the catalogue knows them, in every way in which a file system
//! keeps them. A scrub removes all of them by itself.

use std::error::Error;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::os::unix::fs::{FileExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use rustix::fs::{FallocateFlags, XattrFlags, fallocate};

use crate::image::run;
use crate::plant::{Class, Secret, sync, token};

const USERS: usize = 40;
const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHlvbmRlciBzdGFuZHMgYSBrZXkgZm9yIHRlc3RzeHl6";
/// A word that occurs in each file that has to survive byte for byte.
const CONFIGURATION: &str = "listen = 127.0.0.1\nuser = www-data\n";
const SWAP: u64 = 4 << 20;

/// Makes the system at the top of a mounted file system; what it planted.
pub(crate) fn settle(top: &Path) -> Result<Vec<Secret>, Box<dyn Error>> {
    let mut secrets = Vec::new();
    for folder in ["etc/ssh", "root", "home", "srv/people", "tmp", "var/tmp", "var/log/journal"] {
        fs::create_dir_all(top.join(folder))?;
    }
    fs::write(top.join("etc/service.conf"), CONFIGURATION)?;
    fs::write(top.join("etc/os-release"), "ID=debian\n")?;
    accounts(top, &mut secrets)?;
    for number in 0..USERS {
        at_home(&home(top, number), &mut secrets)?;
    }
    temporary(top, &mut secrets)?;
    journal(top, &mut secrets)?;
    swap_file(top, &mut secrets)?;
    sync(top)?;
    Ok(secrets)
}

fn home(top: &Path, number: usize) -> std::path::PathBuf {
    // Not all homes lie in /home.
    top.join(if number % 4 == 0 { "srv/people" } else { "home" }).join(format!("u{number}"))
}

fn planted(secrets: &mut Vec<Secret>, class: Class) -> Result<String, Box<dyn Error>> {
    let text = token()?;
    secrets.push(Secret { class, text: text.clone() });
    Ok(text)
}

fn accounts(top: &Path, secrets: &mut Vec<Secret>) -> Result<(), Box<dyn Error>> {
    let mut passwd = "root:x:0:0::/root:/bin/sh\n".to_owned();
    let mut shadow =
        format!("root:$6$rounds$a{}:19700:0:99999:7:::\n", planted(secrets, Class::Password)?);
    for number in 0..USERS {
        let home = home(Path::new("/"), number);
        let id = 1000 + number;
        writeln!(passwd, "u{number}:x:{id}:{id}::{}:/bin/sh", home.display())?;
        let hash = planted(secrets, Class::Password)?;
        writeln!(shadow, "u{number}:$6$saltsalt${hash}abcdefgh:19700:0:99999:7:::")?;
    }
    fs::write(top.join("etc/passwd"), passwd)?;
    fs::write(top.join("etc/shadow"), shadow)?;
    fs::set_permissions(top.join("etc/shadow"), fs::Permissions::from_mode(0o640))?;
    Ok(())
}

fn at_home(home: &Path, secrets: &mut Vec<Secret>) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(home.join(".ssh"))?;
    fs::create_dir_all(home.join(".aws"))?;
    let history = planted(secrets, Class::Live)?;
    fs::write(home.join(".bash_history"), format!("ls\nmysql -uroot -p{history}\nexit\n"))?;
    let key = planted(secrets, Class::Live)?;
    let text = format!("-----BEGIN OPENSSH PRIVATE KEY-----\n{key}\n-----END\n");
    fs::write(home.join(".ssh/id_ed25519"), text)?;
    let login = planted(secrets, Class::Live)?;
    fs::write(home.join(".ssh/authorized_keys"), format!("{KEY} {login}\n"))?;
    let (cloud, attribute) =
        (planted(secrets, Class::Live)?, planted(secrets, Class::LiveAttribute)?);
    let path = home.join(".aws/credentials");
    fs::write(&path, format!("[default]\naws_secret_access_key = {cloud}\n"))?;
    rustix::fs::setxattr(&path, "user.note", attribute.as_bytes(), XattrFlags::empty())?;
    // What an editor leaves when it saves by renaming.
    let old = planted(secrets, Class::Edited)?;
    fs::write(home.join(".netrc"), format!("machine x login y password {old}\n"))?;
    sync(home)?;
    let new = planted(secrets, Class::Live)?;
    fs::write(home.join(".netrc.new"), format!("machine x login y password {new}\n"))?;
    fs::rename(home.join(".netrc.new"), home.join(".netrc"))?;
    Ok(())
}

/// Files large and small, a name, a link's target, attributes on a folder.
fn temporary(top: &Path, secrets: &mut Vec<Secret>) -> Result<(), Box<dyn Error>> {
    for number in 0..20 {
        let small = planted(secrets, Class::Live)?;
        fs::write(top.join(format!("tmp/small-{number}")), small)?;
        let large = planted(secrets, Class::Live)?;
        fs::write(top.join(format!("var/tmp/large-{number}")), format!("{large}\n").repeat(9000))?;
        let name = planted(secrets, Class::LiveName)?;
        fs::write(top.join("tmp").join(name), "x")?;
        let target = planted(secrets, Class::LiveTarget)?;
        symlink(format!("/{target}"), top.join(format!("tmp/short-{number}")))?;
        let target = planted(secrets, Class::LiveTarget)?;
        symlink(
            format!("/{target}/{}", "far/".repeat(30)),
            top.join(format!("tmp/long-{number}")),
        )?;
        let attribute = planted(secrets, Class::LiveAttribute)?;
        let folder = top.join(format!("var/tmp/folder-{number}"));
        fs::create_dir(&folder)?;
        rustix::fs::setxattr(&folder, "user.note", attribute.as_bytes(), XattrFlags::empty())?;
    }
    Ok(())
}

/// journald preallocates: its file takes over what deleted files have left, and never shows it.
fn journal(top: &Path, secrets: &mut Vec<Secret>) -> Result<(), Box<dyn Error>> {
    let folder = top.join("var/log/journal/0123456789abcdef0123456789abcdef");
    fs::create_dir(&folder)?;
    for number in 0..20 {
        let old = planted(secrets, Class::Journal)?;
        let path = folder.join(format!("old-{number}"));
        fs::write(path, format!("{old}\n").repeat(3000))?;
    }
    sync(top)?;
    for number in 0..20 {
        fs::remove_file(folder.join(format!("old-{number}")))?;
    }
    sync(top)?;
    let file = File::create(folder.join("system.journal"))?;
    fallocate(&file, FallocateFlags::empty(), 0, 8 << 20)?;
    let said = planted(secrets, Class::Live)?;
    file.write_all_at(format!("LPKSHHRH password is {said}").as_bytes(), 0)?;
    Ok(())
}

/// A swap file with pages of memory in it, named in fstab(5).
fn swap_file(top: &Path, secrets: &mut Vec<Secret>) -> Result<(), Box<dyn Error>> {
    let path = top.join("swapfile");
    fs::write(&path, vec![0; usize::try_from(SWAP)?])?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
    run(Command::new("mkswap").arg(&path))?;
    let file = File::options().write(true).open(&path)?;
    for page in 0..20 {
        let text = planted(secrets, Class::Swap)?;
        file.write_all_at(text.as_bytes(), 8192 + page * 65536 + 100)?;
    }
    fs::write(top.join("etc/fstab"), "/swapfile none swap sw 0 0\n")?;
    Ok(())
}

/// What the system needs is there: accounts, each with a locked or an old password, never an empty
/// file; configuration byte for byte. `locked`: no old password any more.
pub(crate) fn check_system(top: &Path, locked: bool) -> Result<(), Box<dyn Error>> {
    let passwd = fs::read_to_string(top.join("etc/passwd"))?;
    let shadow = fs::read_to_string(top.join("etc/shadow"))?;
    assert_eq!((passwd.lines().count(), shadow.lines().count()), (USERS + 1, USERS + 1));
    for line in shadow.lines() {
        let field = line.split(':').nth(1).unwrap();
        assert!(field == "*" || !locked && field.starts_with("$6$"), "{line}");
    }
    assert_eq!(fs::read_to_string(top.join("etc/service.conf"))?, CONFIGURATION);
    assert!((0..USERS).all(|number| home(top, number).is_dir()));
    Ok(())
}
