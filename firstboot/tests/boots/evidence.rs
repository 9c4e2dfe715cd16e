//! Which keys open, and why the others do not.

use disinherit_core::manifest::SealedKeys;
use disinherit_firstboot::decision::{Decision, Reason};
use disinherit_firstboot::evidence::Verdict;

use crate::disk::{A, Disk, Platform, hash, key};

fn refused(decision: &Decision, why: &str) {
    assert!(!decision.open);
    assert_eq!(decision.reason, Reason::NoKeyCounts);
    let text = decision.text();
    assert!(text.contains(why), "{why:?} is not in:\n{text}");
    assert!(text.contains("SHA256:"), "{text}");
}

#[test]
fn a_sealed_key_counts_only_when_the_metadata_declares_it() {
    let disk = Disk::sealed();
    let decision = disk.boot(&Platform::new(A, &[key(1)])).unwrap();
    assert!(decision.open);
    assert_eq!(decision.keys[0].verdict, Verdict::CountsThoughSealed);
    assert!(decision.text().contains("warning:"), "{}", decision.text());

    let disk = Disk::sealed();
    disk.power_on(&Platform::silent(A));
    disinherit_firstboot::early::run(&disk.root(), &mut |_| Ok(())).unwrap();
    disk.write_mode("home/debian/.ssh/authorized_keys", &key(1), 0o600);
    let decision = disinherit_firstboot::gate::run(&disk.root(), &mut |_| Ok(())).unwrap();
    refused(&decision, "sealed in the image, and not declared");

    let disk = Disk::new();
    disk.seal(|m| m.policy.sealed_keys = SealedKeys::Refuse);
    refused(&disk.boot(&Platform::new(A, &[key(1)])).unwrap(), "policy refuses those");
}

#[test]
fn a_kept_key_stays_and_opens_only_by_policy() {
    let keep = |evidence: bool| {
        let disk = Disk::new();
        disk.seal(|m| {
            m.kept_keys.insert(hash(&key(1)));
            m.policy.evidence.extend(evidence.then(|| "kept".to_owned()));
        });
        let decision = disk.boot(&Platform::silent(A)).unwrap();
        assert!(disk.login_keys("builder").contains(&key(1)));
        decision
    };
    refused(&keep(false), "kept in the image by policy");
    assert!(keep(true).open);
}

#[test]
fn a_seed_that_came_with_the_disk_declares_nothing() {
    let disk = Disk::new();
    disk.write(
        "var/lib/cloud/seed/nocloud/user-data",
        &format!("#cloud-config\nssh_authorized_keys:\n  - \"{}\"\n", key(5)),
    );
    disk.write("var/lib/cloud/seed/nocloud/meta-data", "instance-id: baked\n");
    disk.seal(|_| {});
    let platform = Platform {
        subplatform: "seed-dir (/var/lib/cloud/seed/nocloud)",
        ..Platform::new(A, &[key(5)])
    };
    let decision = disk.boot(&platform).unwrap();
    refused(&decision, "sealed in the image, and not declared");
    assert!(decision.text().contains("came with the disk"));
    // The same folder, filled after sealing, is a platform's (LXD, virt-customize).
    disk.write("var/lib/cloud/seed/nocloud/meta-data", "instance-id: fresh\n");
    assert!(disk.boot(&Platform { instance: "fresh", ..platform }).unwrap().open);
}

#[test]
fn keys_that_anybody_has_never_count() {
    let vagrant = "ssh-rsa AAAAB3NzaC1yc2EAAAABIwAAAQEA6NF8iallvQVp22WDkTkyrtvp9eWW6A8YVr+kz4TjGYe7gHzIw+niNltGEFHzD8+v1I2YJ6oXevct1YeS0o9HZyN1Q9qgCgzUFtdOKLv6IedplqoPkcmF0aYet2PkEDo3MlTBckFXPITAMzF8dJSIFo9D8HfdOV0IAdx4O7PtixWKn5y2hMNG0zQPyUecp4pzC6kivAIhyfHilFR61RGL+GPXQ2MWZWFYbAGjyiYJnAmCP3NOTd0jMZEnDkbUvxhMmBYSdETk1rRgm+R4LOzFUGaHqHDLKLX+FIPKcF96hrucXzcWyLbIbEgE98OHlnVYCzRdK8jlqm8tehUc9c9WhQ== vagrant";
    let zero = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    for (line, why) in [
        (vagrant.to_owned(), "published"),
        (format!("no-pty {vagrant}\r"), "published"),
        (zero.to_owned(), "anybody could use it"),
        (format!("cert-authority {}", key(2)), "certificate authority"),
        (
            format!("command=\"echo 'Please login as the user \\\"debian\\\"'\" {}", key(2)),
            "forced command",
        ),
        (format!("expiry-time=\"20200101\" {}", key(2)), "expiry-time"),
        (format!("no-such-option {}", key(2)), "does not accept its options"),
    ] {
        let disk = Disk::sealed();
        refused(&disk.boot(&Platform::new(A, &[line])).unwrap(), why);
    }
}

#[test]
fn an_account_that_sshd_would_not_let_in_is_no_account() {
    let case = |why: &str, change: &dyn Fn(&Disk)| {
        let disk = Disk::sealed();
        change(&disk);
        refused(&disk.boot(&Platform::new(A, &[key(2)])).unwrap(), why);
    };
    let passwd = |disk: &Disk, from: &str, to: &str| {
        disk.write("etc/passwd", &disk.read("etc/passwd").replace(from, to));
    };
    case("lets nobody in", &|d| passwd(d, "debian:/bin/sh", "debian:/usr/sbin/nologin"));
    case("cannot be run", &|d| passwd(d, "debian:/bin/sh", "debian:/bin/missing"));
    case("has expired", &|d| {
        d.write_mode(
            "etc/shadow",
            &d.read("etc/shadow")
                .replace("debian:!:0:0:99999:7::", "debian:!:19000:0:99999:7::19500"),
            0o600,
        );
    });
    case("locked with `!`", &|d| d.write("etc/ssh/sshd_config", "UsePAM no\n"));
    case("DenyUsers", &|d| d.write("etc/ssh/sshd_config", "UsePAM yes\nDenyUsers deb*\n"));
    case("AllowUsers", &|d| d.write("etc/ssh/sshd_config", "UsePAM yes\nAllowUsers ann !debian\n"));
    case("AllowGroups", &|d| d.write("etc/ssh/sshd_config", "UsePAM yes\nAllowGroups wheel\n"));
    case("PubkeyAuthentication", &|d| {
        d.write("etc/ssh/sshd_config", "UsePAM yes\nPubkeyAuthentication no\n");
    });
    case("others can write", &|d| {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(d.path("home/debian"), std::fs::Permissions::from_mode(0o777))
            .unwrap();
    });
}

#[test]
fn a_file_that_sshd_does_not_read_holds_no_evidence() {
    let disk = Disk::sealed();
    disk.write("etc/ssh/sshd_config", "UsePAM yes\nAuthorizedKeysFile /etc/ssh/keys/%u\n");
    assert_eq!(disk.boot(&Platform::new(A, &[key(2)])).unwrap().reason, Reason::NoKey);
}

#[test]
fn a_credential_for_root_reaches_the_login_file() {
    let disk = Disk::sealed();
    disk.write_mode("root/.ssh/authorized_keys", "# kept\n", 0o600);
    let platform = Platform { credential: Some(key(6)), ..Platform::silent(A) };
    assert!(disk.boot(&platform).unwrap().open);
    assert!(disk.read("root/.ssh/authorized_keys").contains(&key(6)));
    let disk = Disk::sealed();
    assert!(disk.boot(&platform).unwrap().open, "and the folder is made");
}
