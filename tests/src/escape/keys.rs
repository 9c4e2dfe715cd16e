//! Keys as the real programs write them.

use std::fs;
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::command::run;
use crate::escape::dice::Dice;
use crate::{Context, Result, failed};

/// A key in the form that a file holds, and the part of it to search for.
#[derive(Debug, Clone)]
pub struct Key {
    /// The whole text, without a newline at its end.
    pub text: String,
    /// One line from its middle, which no other key has.
    pub needle: String,
}

/// Makes a key of `kind`, see [`KINDS`].
///
/// # Errors
/// When the program that makes it fails, or nobody knows the kind.
pub fn make(kind: &str, dice: &mut Dice) -> Result<Key> {
    let (form, kind) = kind.split_once(' ').unwrap_or(("", kind));
    let text = match kind {
        "openssh" => ssh_keygen(&["-t", "ed25519", "-N", ""], false)?,
        "openssh-rsa" => ssh_keygen(&["-t", "rsa", "-b", "2048", "-N", ""], false)?,
        "openssh-encrypted" => ssh_keygen(&["-t", "ed25519", "-N", "a passphrase"], false)?,
        "public" => ssh_keygen(&["-t", "ed25519", "-N", "", "-C", "builder@laptop"], true)?,
        "public-ecdsa" => ssh_keygen(&["-t", "ecdsa", "-N", "", "-C", "ci@runner"], true)?,
        "pem-rsa" => openssl("genrsa -traditional 2048")?,
        "pem-ec" => openssl("ecparam -name prime256v1 -genkey -noout")?,
        "pem-pkcs8" => openssl("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256")?,
        "pem-ed25519" => openssl("genpkey -algorithm ED25519")?,
        "pem-encrypted" => openssl("genpkey -algorithm ED25519 -aes256 -pass pass:long-enough")?,
        "certificate" => certificate()?,
        "putty" => putty(dice),
        "ssh2" => ssh2(dice),
        "pgp" => pgp(dice),
        _ => return Err(failed(format!("nobody knows keys of the kind {kind:?}"))),
    };
    let needle = needle(kind, &text)?;
    let text = match form {
        "" => text,
        // As JSON, YAML in double quotes and .env files hold it.
        "escaped" => text.replace('\n', "\\n"),
        "encoded" => STANDARD.encode(&text),
        _ => return Err(failed(format!("nobody knows the form {form:?}"))),
    };
    Ok(Key { text, needle })
}

/// Every kind; `escaped KIND` is one line with `\n` for newlines, `encoded KIND` base64 of it all.
pub const KINDS: &[&str] = &[
    "openssh",
    "openssh-rsa",
    "openssh-encrypted",
    "public",
    "public-ecdsa",
    "pem-rsa",
    "pem-ec",
    "pem-pkcs8",
    "pem-ed25519",
    "pem-encrypted",
    "certificate",
    "putty",
    "ssh2",
    "pgp",
];

/// The last full line of the body: the first ones say the algorithm, which all keys share.
fn needle(kind: &str, text: &str) -> Result<String> {
    let found = if kind.starts_with("public") {
        text.split(' ').nth(1)
    } else {
        let body = |line: &&str| line.len() >= 40 && !line.contains([' ', ':']);
        let lines: Vec<&str> = text.lines().filter(body).collect();
        lines.get(lines.len() / 2).copied()
    };
    found.map(str::to_owned).ok_or_else(|| failed(format!("a {kind} key without a body")))
}

fn ssh_keygen(options: &[&str], public: bool) -> Result<String> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("key");
    run(Command::new("ssh-keygen").arg("-q").args(options).arg("-f").arg(&file))?;
    let file = if public { file.with_extension("pub") } else { file };
    let text = fs::read_to_string(&file).context(|| "read a new key".to_owned())?;
    Ok(text.trim_end().to_owned())
}

fn openssl(line: &str) -> Result<String> {
    let text = run(Command::new("openssl").args(line.split(' ')))?;
    Ok(text.trim_end().to_owned())
}

fn certificate() -> Result<String> {
    openssl(
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout /dev/null \
         -subj /CN=public.example -days 3650",
    )
}

/// PuTTY's format 2; `puttygen` is not everywhere (PuTTY manual, appendix C).
fn putty(dice: &mut Dice) -> String {
    let lines = |bytes: Vec<u8>| wrap(&STANDARD.encode(bytes), 64);
    let public = lines([b"\0\0\0\x0bssh-ed25519\0\0\0\x20".to_vec(), dice.bytes(32)].concat());
    let private = lines([b"\0\0\0\x40".to_vec(), dice.bytes(64)].concat());
    let mac = dice.value("hex40").unwrap_or_default();
    format!(
        "PuTTY-User-Key-File-2: ssh-ed25519\nEncryption: none\nComment: builder\n\
         Public-Lines: {}\n{}\nPrivate-Lines: {}\n{}\nPrivate-MAC: {mac}",
        public.lines().count(),
        public,
        private.lines().count(),
        private
    )
}

/// Tectia's private format: magic number, length, type name.
fn ssh2(dice: &mut Dice) -> String {
    let bytes = [b"\x3f\x6f\xf9\xeb\0\0\x02\x10".to_vec(), dice.bytes(520)].concat();
    let body = wrap(&STANDARD.encode(bytes), 70);
    format!(
        "---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\nComment: \"2048-bit rsa, builder\"\n{body}\n\
         ---- END SSH2 ENCRYPTED PRIVATE KEY ----"
    )
}

/// A secret key packet of version 4 for Ed25519 (RFC 4880, 5.5.3) with random numbers.
fn pgp(dice: &mut Dice) -> String {
    let mut packet = vec![0x94, 0x58, 4, 0x66, 0x20, 0x11, 0x22, 22, 9];
    packet.extend(b"\x2b\x06\x01\x04\x01\xda\x47\x0f\x01\x01\x07\x40");
    packet.extend(dice.bytes(70));
    packet.extend([0xb4, 16]);
    packet.extend(b"builder <b@base>");
    packet.extend([0x88, 0x90]);
    packet.extend(dice.bytes(144));
    let body = wrap(&STANDARD.encode(packet), 64);
    let sum = STANDARD.encode(dice.bytes(3));
    format!(
        "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\n{body}\n={sum}\n-----END PGP PRIVATE KEY BLOCK-----"
    )
}

fn wrap(text: &str, width: usize) -> String {
    let lines: Vec<&str> =
        text.as_bytes().chunks(width).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    lines.join("\n")
}
