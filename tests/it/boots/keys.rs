//! Keys that open nothing, and keys that do although something spoke against it.

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use disinherit_tests::base::Base;
use disinherit_tests::promise::DEFAULT_USER;
use disinherit_tests::seed::Metadata;
use disinherit_tests::ssh::KeyPair;
use disinherit_tests::{Result, expect, failed};

use super::disk::{A, Disk, Platform};

/// Vagrant's two keys, whose private halves everybody has (Vagrant: keys/vagrant.pub,
/// keys/vagrant.pub.ed25519).
const VAGRANT_RSA: &str = "ssh-rsa AAAAB3NzaC1yc2EAAAABIwAAAQEA6NF8iallvQVp22WDkTkyrtvp9eWW6A8YVr+kz4TjGYe7gHzIw+niNltGEFHzD8+v1I2YJ6oXevct1YeS0o9HZyN1Q9qgCgzUFtdOKLv6IedplqoPkcmF0aYet2PkEDo3MlTBckFXPITAMzF8dJSIFo9D8HfdOV0IAdx4O7PtixWKn5y2hMNG0zQPyUecp4pzC6kivAIhyfHilFR61RGL+GPXQ2MWZWFYbAGjyiYJnAmCP3NOTd0jMZEnDkbUvxhMmBYSdETk1rRgm+R4LOzFUGaHqHDLKLX+FIPKcF96hrucXzcWyLbIbEgE98OHlnVYCzRdK8jlqm8tehUc9c9WhQ==";
pub(crate) const VAGRANT_ED25519: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIN1YdxBpNlzxDqfJyw/QKow1F+wvG9hXGoqiysfJOn5Y";

/// Points of Ed25519 whose order divides eight, as hexadecimal text: y = 0, 1, p - 1, p, p + 1 and
/// the two of order eight (RFC 8032, 5.1.2, for the encoding).
const SMALL_ORDER: [&str; 7] = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
];

/// Put on the disk after sealing, which is where nothing but the key itself speaks against it.
pub(crate) fn published_and_weak() -> Result {
    let mut lines = vec![
        format!("{VAGRANT_RSA} vagrant insecure public key"),
        format!("no-pty,no-agent-forwarding {VAGRANT_RSA} other comment"),
        format!("{VAGRANT_ED25519} vagrant\r"),
        format!("cert-authority {VAGRANT_RSA} authority"),
        KeyPair::generate("authority")?.certify(VAGRANT_RSA, "builder")?,
        KeyPair::of_kind(&["-t", "rsa", "-b", "1024"], "short")?.public()?,
    ];
    for point in SMALL_ORDER {
        lines.push(line("ssh-ed25519", &[&from_hex(point)?]));
    }
    let (exponent, modulus) = rsa_numbers(&KeyPair::of_kind(&["-t", "rsa", "-b", "2048"], "")?)?;
    lines.push(line("ssh-rsa", &[&[1], &modulus]));
    let mut even = modulus.clone();
    even.last_mut().map(|low| *low &= 0xfe).ok_or_else(|| failed("no modulus"))?;
    lines.push(line("ssh-rsa", &[&exponent, &even]));

    let disk = Disk::sealed()?;
    disk.layer.write("/home/builder/.ssh/authorized_keys", 0o600, lines.join("\n") + "\n")?;
    let instance = disk.boot(&Platform::silent(A)?)?;
    instance.expect_closed("no-key-counts")?;
    let refusals = instance.refusals()?;
    expect(refusals.len() == lines.len(), || format!("{refusals:#?}"))?;
    for (why, count) in [("private half is published", 5), ("small order", 7), ("RSA", 3)] {
        let found = refusals.iter().filter(|text| text.contains(why)).count();
        expect(found == count, || format!("{why}: {found} of {count}: {refusals:#?}"))?;
    }
    instance.off()
}

/// The image's own key comes back: by an agent it opens nothing, by the platform's word it does.
pub(crate) fn sealed_key() -> Result {
    let disk = Disk::sealed()?;
    let builder = disk.base.builder()?;
    let public = fs::read_to_string(builder.key.with_extension("pub"))?;
    let instance = disk.boot(&Platform::silent(A)?)?;
    let file = "/home/builder/.ssh/authorized_keys";
    instance.container.exec_with(&["tee", file], public.as_bytes())?;
    let start = instance.container.exec(&["systemctl", "start", "ssh.service"])?;
    expect(!start.status.success(), || "sshd started".to_owned())?;
    instance.expect_closed("no-key-counts")?;
    let refusals = instance.refusals()?;
    let sealed = |text: &String| text.contains("sealed in the image");
    expect(refusals.iter().any(sealed), || format!("{refusals:?}"))?;
    instance.off()?;

    let metadata = Metadata {
        instance_id: "i-declared".to_owned(),
        public_keys: vec![public.trim_end().to_owned()],
        ..Metadata::default()
    };
    let instance = disk.boot(&Platform::metadata(A, &metadata)?)?;
    instance.door().wait_login(
        DEFAULT_USER,
        disinherit_tests::ssh::Proof::Key(&builder.key),
        super::disk::SOON,
    )?;
    let console = instance.container.console();
    expect(console.contains("warning:"), || console)?;
    instance.off()
}

/// cloud-init gives root lines that only tell which user to take instead; here is none.
pub(crate) fn only_forced_commands() -> Result {
    let disk = Disk::sealed()?;
    let key = KeyPair::generate("owner")?;
    let document = serde_json::json!({
        "users": [], "disable_root": true, "ssh_authorized_keys": [key.public()?],
    });
    let instance = disk.boot(&Platform::user_data(A, &document)?)?;
    instance.expect_closed("no-key-counts")?;
    let refusals = instance.refusals()?;
    let forced = refusals.iter().all(|text| text.contains("root it is bound to a forced command"));
    expect(forced && !refusals.is_empty(), || format!("{refusals:?}"))?;
    instance.off()
}

/// No shell, expired, denied by sshd, a home that everybody can write to.
pub(crate) fn accounts_that_sshd_refuses() -> Result {
    let disk = Disk::of(Base::bookworm()?)?;
    disk.write("/etc/ssh/sshd_config.d/50-site.conf", "DenyUsers denied\n")?;
    disk.sh("chmod 0777 /home/builder")?;
    disk.seal()?;
    let key = KeyPair::generate("owner")?.public()?;
    let document = serde_json::json!({ "users": [
        { "name": "shell", "shell": "/usr/sbin/nologin", "ssh_authorized_keys": [key] },
        { "name": "gone", "expiredate": "2020-01-01", "ssh_authorized_keys": [key] },
        { "name": "denied", "ssh_authorized_keys": [key] },
        { "name": "builder", "ssh_authorized_keys": [key] },
    ]});
    let instance = disk.boot(&Platform::user_data(A, &document)?)?;
    instance.expect_closed("no-key-counts")?;
    let refusals = instance.refusals()?;
    for (account, why) in [
        ("shell", "nologin"),
        ("gone", "expired"),
        ("denied", "DenyUsers"),
        ("builder", "/home/builder"),
    ] {
        let told = |text: &String| text.starts_with(account) && text.contains(why);
        expect(refusals.iter().any(told), || format!("{account}: {refusals:#?}"))?;
    }
    instance.off()
}

/// A password change that the image demands could be made by nobody.
pub(crate) fn demanded_password_change() -> Result {
    let disk = Disk::of(Base::bookworm()?)?;
    disk.sh(
        "useradd --create-home --shell /bin/bash ann; echo ann:old-word | chpasswd; chage -d 0 ann",
    )?;
    disk.seal()?;
    let key = KeyPair::generate("owner")?;
    let document = serde_json::json!({ "users": [
        { "name": "ann", "ssh_authorized_keys": [key.public()?] },
    ]});
    let instance = disk.boot(&Platform::user_data(A, &document)?)?;
    instance.expect_in("ann", &key)?;
    let shadow = instance.file("/etc/shadow")?;
    let row = shadow.lines().find(|row| row.starts_with("ann:")).unwrap_or_default();
    expect(row.split(':').nth(2) != Some("0"), || row.to_owned())?;
    instance.off()
}

/// cloud-init locks the password of the user that it makes with `!`, and sshd without PAM lets no
/// such account in.
pub(crate) fn locked_without_pam() -> Result {
    let disk = Disk::of(Base::bookworm()?)?;
    disk.write("/etc/ssh/sshd_config.d/50-site.conf", "UsePAM no\n")?;
    disk.seal()?;
    let key = KeyPair::generate("owner")?;
    let instance = disk.boot(&Platform::nocloud(A, &key)?)?;
    instance.expect_closed("no-key-counts")?;
    let refusals = instance.refusals()?;
    let locked = |text: &String| text.contains("locked with `!`");
    expect(refusals.iter().any(locked), || format!("{refusals:?}"))?;
    instance.off()
}

/// user-data unlocks an account of the image: its old password stays dead.
pub(crate) fn unlocked_by_user_data() -> Result {
    unlocked(Base::bookworm()?)
}

/// cloud-init of Debian 13 takes the `!` in front of a hash away.
pub(crate) fn unlocked_by_user_data_of_debian_13() -> Result {
    unlocked(Base::trixie()?)
}

fn unlocked(base: Base) -> Result {
    let disk = Disk::of(base)?;
    disk.seal()?;
    let key = KeyPair::generate("owner")?;
    let document = serde_json::json!({ "ssh_pwauth": true, "users": [
        { "name": "builder", "lock_passwd": false, "ssh_authorized_keys": [key.public()?] },
    ]});
    let instance = disk.boot(&Platform::user_data(A, &document)?)?;
    instance.expect_in("builder", &key)?;
    instance.expect_builder_refused(&disk.base)?;
    let password = format!("{}\n", disk.base.builder()?.password);
    let su = ["setpriv", "--reuid=65534", "--clear-groups", "su", "builder", "-c", "true"];
    let answer = instance.container.exec_with(&su, password.as_bytes())?;
    expect(!answer.status.success(), || "the old password works on the console".to_owned())?;
    instance.off()
}

/// A line of authorized_keys for a key of these parts (RFC 4253, 6.6).
fn line(kind: &str, parts: &[&[u8]]) -> String {
    let mut blob = Vec::new();
    for part in std::iter::once(&kind.as_bytes()).chain(parts) {
        blob.extend(u32::try_from(part.len()).unwrap_or_default().to_be_bytes());
        blob.extend(*part);
    }
    format!("{kind} {} made", STANDARD.encode(blob))
}

/// Exponent and modulus, as they stand in the blob.
fn rsa_numbers(pair: &KeyPair) -> Result<(Vec<u8>, Vec<u8>)> {
    let public = pair.public()?;
    let blob = STANDARD.decode(public.split(' ').nth(1).unwrap_or_default())?;
    let mut rest = blob.as_slice();
    let mut parts = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(*length) as usize;
        let (part, after) = after.split_at_checked(length).ok_or_else(|| failed("a cut key"))?;
        parts.push(part.to_vec());
        rest = after;
    }
    let mut parts = parts.into_iter().skip(1);
    parts.next().zip(parts.next()).ok_or_else(|| failed("no RSA key"))
}

fn from_hex(text: &str) -> Result<Vec<u8>> {
    let digits: Vec<char> = text.chars().collect();
    digits
        .chunks(2)
        .map(|pair| Ok(u8::from_str_radix(&pair.iter().collect::<String>(), 16)?))
        .collect()
}
