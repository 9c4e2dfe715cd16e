//! What a file of an initial RAM disk is, by its name and its content.

use super::Inside;
use crate::catalogue::Severity;
use crate::path::escape;
use crate::text::authorized_keys::{self, Line};
use crate::text::{Field, Passwd, Shadow};

/// Adds what is wrong with the file `name`; `content` is missing for a large one.
pub(super) fn judge(name: &[u8], content: Option<&[u8]>, found: &mut Vec<Inside>) {
    let name = name.strip_prefix(b"./").unwrap_or(name);
    let name = name.strip_prefix(b"/").unwrap_or(name);
    let Some(content) = content else { return };
    // Microcode, modules and programs are the bulk; nothing below is about an empty file.
    let Some((what, severity)) = verdict(name, content) else { return };
    found.push(Inside { path: escape(name).into_owned(), what, severity });
}

fn verdict(name: &[u8], content: &[u8]) -> Option<(String, Severity)> {
    let base = name.rsplit(|b| *b == b'/').next().unwrap_or_default();
    let said = |what: &str, severity| Some((what.to_owned(), severity));
    match base {
        _ if content.trim_ascii().is_empty() => None,
        b"shadow" | b"passwd" => password(base, content),
        b"authorized_keys" | b"authorized_keys2" => keys(content),
        _ if is_host_key(base) => said("host key of an SSH server", Severity::High),
        _ if has(content, b"PRIVATE KEY-----") || content.starts_with(b"PuTTY-User-Key-File-") => {
            said("private key", Severity::Critical)
        }
        _ if is_key_file(name) => said("key of an encrypted disk", Severity::Critical),
        _ => None,
    }
}

/// Accounts with a hash, or with an empty password.
fn password(base: &[u8], content: &[u8]) -> Option<(String, Severity)> {
    let open = |field| matches!(field, Field::Hash | Field::LockedHash | Field::Empty);
    let names: Vec<String> = if base == b"shadow" {
        let file = Shadow::parse(content);
        file.entries().filter(|e| open(e.field)).map(|e| escape(e.name).into_owned()).collect()
    } else {
        let file = Passwd::parse(content);
        file.entries().filter(|e| open(e.password)).map(|e| escape(e.name).into_owned()).collect()
    };
    let what = format!("password of {}", names.join(", "));
    (!names.is_empty()).then_some((what, Severity::Critical))
}

fn keys(content: &[u8]) -> Option<(String, Severity)> {
    let count = authorized_keys::lines(content).filter(|l| matches!(l, Line::Key(_))).count();
    let what = format!("public keys that let somebody in ({count})");
    (count > 0).then_some((what, Severity::High))
}

/// OpenSSH's, dropbear's and tinysshd's.
fn is_host_key(base: &[u8]) -> bool {
    base.ends_with(b"_host_key")
        || base.starts_with(b"ssh_host_") && base.ends_with(b"_key")
        || base == b".ed25519.sk"
}

/// Where initramfs-tools' and dracut's hooks for cryptsetup put key files.
fn is_key_file(name: &[u8]) -> bool {
    const FOLDERS: [&[u8]; 3] =
        [b"cryptroot/keyfiles/", b"etc/cryptsetup-keys.d/", b"run/cryptsetup-keys.d/"];
    FOLDERS.iter().any(|folder| name.starts_with(folder))
}

fn has(content: &[u8], needle: &[u8]) -> bool {
    memchr::memmem::find(content, needle).is_some()
}
