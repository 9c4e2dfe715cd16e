//! What a machine's owner would curse about: scripts that run twice, data that is lost, services
//! that start although they were switched off.

use std::collections::BTreeMap;

use disinherit_tests::base::Base;
use disinherit_tests::promise::DEFAULT_USER;
use disinherit_tests::seed::Metadata;
use disinherit_tests::ssh::{KeyPair, Proof};
use disinherit_tests::{Result, expect};

use super::disk::{A, B, Disk, Instance, Platform};
use super::keys::VAGRANT_ED25519;

/// `A` with its first three fields byte by byte the other way round, as other firmware shows it.
const A_SWAPPED: &str = "aaaaaaaa-0000-0040-8000-000000000001";

/// A script of user-data counts its runs; three boots are denied, then a key comes.
pub(crate) fn scripts_run_once() -> Result {
    let disk = Disk::sealed()?;
    let script = serde_json::json!({ "runcmd": [["sh", "-c", "echo run >>/root/runs"]] });
    let said = |keys: Vec<String>| Metadata {
        instance_id: "i-once".to_owned(),
        public_keys: keys,
        user_data: format!("#cloud-config\n{script}\n"),
    };
    for _ in 0..3 {
        let instance = disk.boot(&Platform::metadata(A, &said(Vec::new()))?)?;
        instance.expect_closed("no-key")?;
        instance.off()?;
    }
    let key = KeyPair::generate("late")?;
    let instance = disk.boot(&Platform::metadata(A, &said(vec![key.public()?]))?)?;
    instance.expect_in(DEFAULT_USER, &key)?;
    let runs = instance.file("/root/runs")?;
    expect(runs == "run\n", || format!("user-data ran {} times", runs.lines().count()))?;
    instance.off()
}

pub(crate) fn restored_without_datasource() -> Result {
    restored(Platform::silent(B)?)
}

pub(crate) fn restored_with_datasource() -> Result {
    let metadata = Metadata { instance_id: "i-other".to_owned(), ..Metadata::default() };
    restored(Platform::metadata(B, &metadata)?)
}

/// A backup comes up on other hardware: nothing that its owner has is lost, and on the old hardware
/// everything is as it was.
fn restored(elsewhere: Platform) -> Result {
    let disk = Disk::sealed()?;
    let key = KeyPair::generate("owner")?;
    let here = Platform::nocloud(A, &key)?;
    let instance = disk.boot(&here)?;
    instance.expect_in(DEFAULT_USER, &key)?;
    instance.run(&["sh", "-c", "echo precious >/srv/data; useradd -m -s /bin/bash ann"])?;
    let set = instance.container.exec_with(&["chpasswd"], b"ann:hers-alone\n")?;
    expect(set.status.success(), || "no password for ann".to_owned())?;
    let host_keys = instance.host_keys()?;
    let mine = possessions(&instance)?;
    instance.off()?;

    let other = disk.boot(&elsewhere)?;
    other.expect_closed("identity-changed")?;
    expect(other.file("/srv/data")? == "precious\n", || "data is lost".to_owned())?;
    let login = other.file(&format!("/home/{DEFAULT_USER}/.ssh/authorized_keys"))?;
    expect(login.contains(&key.public()?), || "the owner's key is lost".to_owned())?;
    other.off()?;

    let home = disk.boot(&here)?;
    home.expect_in(DEFAULT_USER, &key)?;
    expect(home.host_keys()? == host_keys, || "other host keys".to_owned())?;
    let now = possessions(&home)?;
    for (path, text) in &mine {
        expect(now.get(path) == Some(text), || format!("{path} is not what it was"))?;
    }
    home.off()
}

fn possessions(instance: &Instance) -> Result<BTreeMap<&'static str, String>> {
    ["/etc/shadow", "/etc/passwd", "/srv/data", "/home/debian/.ssh/authorized_keys"]
        .into_iter()
        .map(|path| Ok((path, instance.file(path)?)))
        .collect()
}

/// The image's author has switched sshd off: a key opens the gate and starts nothing.
pub(crate) fn disabled_service() -> Result {
    let disk = Disk::of(Base::bookworm()?)?;
    disk.sh("systemctl disable ssh.service")?;
    disk.seal()?;
    let instance = disk.boot(&Platform::nocloud(A, &KeyPair::generate("owner")?)?)?;
    instance.expect_silent()?;
    instance.authorize("builder", &KeyPair::generate("assistant")?)?;
    let state = instance.container.exec(&["systemctl", "is-active", "ssh.service"])?;
    expect(state.stdout.starts_with(b"inactive"), || format!("{state:?}"))?;
    instance.expect_silent()?;
    instance.off()
}

/// Copied while it ran and given to somebody else under the same instance-id.
pub(crate) fn same_instance_id() -> Result {
    let disk = Disk::sealed()?;
    let owner = KeyPair::generate("owner")?;
    let said = |key: &KeyPair| -> Result<Metadata> {
        Ok(Metadata {
            instance_id: "i-always-the-same".to_owned(),
            public_keys: vec![key.public()?],
            user_data: "#cloud-config\nssh_pwauth: true\n".to_owned(),
        })
    };
    let first = disk.boot(&Platform::metadata(A, &said(&owner)?)?)?;
    first.expect_in(DEFAULT_USER, &owner)?;
    let password = format!("pw{:x}", rand::random::<u64>());
    let rows = format!("root:{password}\n{DEFAULT_USER}:{password}\n");
    first.container.exec_with(&["chpasswd"], rows.as_bytes())?;
    let host_keys = first.host_keys()?;
    first.off()?;

    let heir = KeyPair::generate("heir")?;
    let new = disk.boot(&Platform::metadata(B, &said(&heir)?)?)?;
    new.expect_in(DEFAULT_USER, &heir)?;
    for user in ["root", DEFAULT_USER] {
        new.expect_refused(user, Proof::Key(&owner.private()))?;
        new.expect_refused(user, Proof::Password(&password))?;
    }
    expect(!new.file("/etc/shadow")?.contains(":$"), || "a hash of the owner stays".to_owned())?;
    expect(new.host_keys()?.is_disjoint(&host_keys), || {
        "a host key of the owner stays".to_owned()
    })?;
    let effective = new.run(&["sshd", "-T"])?;
    expect(effective.contains("\npasswordauthentication no\n"), || effective.clone())?;
    new.off()
}

/// A firmware update shows the UUID in the other byte order; then the owner removes all keys but one
/// that a newer list would refuse. Neither may lock him out.
pub(crate) fn adopted_stays_open() -> Result {
    let disk = Disk::sealed()?;
    let key = KeyPair::generate("owner")?;
    let first = disk.boot(&Platform::nocloud(A, &key)?)?;
    first.expect_in(DEFAULT_USER, &key)?;
    let host_keys = first.host_keys()?;
    first.off()?;
    let swapped = disk.boot(&Platform::silent(A_SWAPPED)?)?;
    swapped.expect_in(DEFAULT_USER, &key)?;
    expect(swapped.host_keys()? == host_keys, || "other host keys".to_owned())?;
    let file = format!("/home/{DEFAULT_USER}/.ssh/authorized_keys");
    let listed = format!("{VAGRANT_ED25519} listed\n");
    swapped.container.exec_with(&["tee", &file], listed.as_bytes())?;
    swapped.off()?;
    for keys_left in [true, false] {
        let instance = disk.boot(&Platform::silent(A)?)?;
        let open = instance.host_keys()? == host_keys;
        expect(open, || format!("closed to its owner, keys left: {keys_left}"))?;
        instance.run(&["rm", "-f", &file])?;
        instance.off()?;
    }
    Ok(())
}

/// fstab mounts /var. Units that need it and units that come before all mounts must not form a
/// circle, which systemd would break by leaving sshd or us out.
pub(crate) fn own_var() -> Result {
    let disk = Disk::of(Base::bookworm()?)?;
    disk.sh("mkdir /srv/var; cp -a /var/. /srv/var/; rm -rf /var/lib/cloud /var/lib/disinherit")?;
    disk.write("/etc/fstab", "/srv/var /var none bind 0 0\n")?;
    disk.write("/etc/cloud/cloud-init.disabled", "")?;
    // Sealing looks at the mounted image, as a builder does.
    disk.layer.bound("/srv/var", "/var", || disk.seal())?;
    let key = KeyPair::generate("owner")?;
    for given in [false, true, true] {
        let mut platform = match given {
            true => Platform::credential(A, &key)?,
            false => Platform::silent(A)?,
        }
        .with_the_disks_seeds();
        platform.boot.fstab = true;
        let instance = disk.boot(&platform)?;
        let mounted = instance.container.exec(&["mountpoint", "-q", "/var"])?.status.success();
        expect(mounted, || "/var is not mounted".to_owned())?;
        let console = instance.container.console();
        expect(!console.contains("ordering cycle"), || console.clone())?;
        if given {
            instance.expect_in("root", &key)?;
            instance.expect_builder_refused(&disk.base)?;
        } else {
            instance.expect_closed("no-key")?;
        }
        instance.off()?;
    }
    Ok(())
}

/// No cloud-init at all: the credential opens, and fingerprints are shown in its stead.
pub(crate) fn without_cloud_init() -> Result {
    let disk = Disk::of(Base::bookworm()?)?;
    disk.sh("dpkg --purge --force-depends cloud-init")?;
    disk.seal()?;
    let key = KeyPair::generate("operator")?;
    let instance = disk.boot(&Platform::credential(A, &key)?)?;
    instance.expect_in("root", &key)?;
    instance.expect_builder_refused(&disk.base)?;
    let console = instance.container.console();
    expect(console.contains("BEGIN SSH HOST KEY FINGERPRINTS"), || console)?;
    instance.off()
}

/// Debian 13's systemd and cloud-init: opens to the key, closed to all others, closed without.
pub(crate) fn debian_13() -> Result {
    let disk = Disk::of(Base::trixie()?)?;
    disk.seal()?;
    let silent = disk.boot(&Platform::silent(A)?)?;
    silent.expect_closed("no-key")?;
    silent.off()?;
    let key = KeyPair::generate("owner")?;
    for _ in ["first", "again"] {
        let instance = disk.boot(&Platform::nocloud(A, &key)?)?;
        instance.expect_in(DEFAULT_USER, &key)?;
        instance.expect_builder_refused(&disk.base)?;
        instance.off()?;
    }
    Ok(())
}
