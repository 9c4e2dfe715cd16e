use super::*;
use crate::root::Root;
use crate::sshd::User;

fn people() -> Vec<Who> {
    let user = |name: &str, uid, groups: &[&str]| {
        Who::new(User {
            name: name.into(),
            uid,
            home: format!("/home/{name}").into_bytes(),
            groups: groups.iter().map(|g| g.as_bytes().to_vec()).collect(),
        })
    };
    vec![user("root", 0, &["root"]), user("ann", 1000, &["ops"]), user("bob", 1001, &["dev"])]
}

/// Each risk as `keyword value: users`, with `?` where it depends on the connection.
fn found(text: &str) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("etc/ssh")).unwrap();
    std::fs::write(dir.path().join("etc/ssh/sshd_config"), text).unwrap();
    let (config, problems) = Config::load(&Root::offline(dir.path()).unwrap()).unwrap();
    assert!(problems.is_empty(), "{problems:?}");
    risks(&config, &people())
        .into_iter()
        .map(|risk| {
            let users: Vec<_> = risk.users.iter().map(|name| escape(name)).collect();
            let doubt = if risk.always { "" } else { "?" };
            format!("{} {}: {}{doubt}", risk.keyword, escape(&risk.value), users.join(" "))
        })
        .collect()
}

const TIGHT: &str = "PasswordAuthentication no\n";

#[test]
fn defaults_count_as_what_they_are() {
    assert_eq!(found(""), ["PasswordAuthentication yes: root ann bob"]);
    assert!(found(TIGHT).is_empty());
    // Without PAM there is no conversation that could ask for a password.
    assert_eq!(
        found(&format!("{TIGHT}UsePAM yes\n")),
        ["KbdInteractiveAuthentication yes: root ann bob"]
    );
}

#[test]
fn a_match_block_concerns_those_whom_it_names() {
    let text = format!("{TIGHT}Match User ann\nPasswordAuthentication yes\n");
    assert_eq!(found(&text), ["PasswordAuthentication yes: ann"]);
    let text = format!("{TIGHT}Match Address 10.0.0.0/8\nPasswordAuthentication yes\n");
    assert_eq!(found(&text), ["PasswordAuthentication yes: root ann bob?"]);
    let text = "PasswordAuthentication yes\nMatch Group ops,root\nPasswordAuthentication no\n";
    assert_eq!(found(text), ["PasswordAuthentication yes: bob"]);
    // The first value wins.
    assert!(found(&format!("{TIGHT}PasswordAuthentication yes\n")).is_empty());
}

#[test]
fn whom_sshd_refuses_is_not_concerned() {
    assert_eq!(found("DenyUsers ann\n"), ["PasswordAuthentication yes: root bob"]);
    assert_eq!(found("DenyUsers ann@10.*\n"), ["PasswordAuthentication yes: root ann bob"]);
    assert_eq!(found("AllowGroups o*\n"), ["PasswordAuthentication yes: ann"]);
    assert_eq!(found("AllowUsers bob@10.* root\n"), ["PasswordAuthentication yes: root bob"]);
    assert!(found("AllowUsers nobody\n").is_empty());
}

#[test]
fn root_alone_is_asked_about_root() {
    assert_eq!(found(&format!("{TIGHT}PermitRootLogin yes\n")), ["PermitRootLogin yes: root"]);
    assert!(found(&format!("{TIGHT}PermitRootLogin prohibit-password\n")).is_empty());
}

#[test]
fn lists_of_algorithms() {
    for (line, risky) in [
        ("Ciphers aes256-ctr,3des-cbc", true),
        ("Ciphers -3des-cbc", false),
        ("Ciphers aes256-gcm@openssh.com", false),
        ("MACs +hmac-md5", true),
        ("KexAlgorithms ^diffie-hellman-group1-sha1", true),
        ("PubkeyAcceptedKeyTypes +ssh-rsa", true),
        ("PubkeyAcceptedAlgorithms ssh-ed25519,rsa-sha2-512", false),
    ] {
        assert_eq!(!found(&format!("{TIGHT}{line}\n")).is_empty(), risky, "{line}");
    }
}

#[test]
fn the_rest_of_the_table() {
    for line in [
        "PermitEmptyPasswords yes",
        "AuthenticationMethods none",
        "PubkeyAuthentication no",
        "StrictModes no",
        "PermitUserEnvironment LANG,LD_*",
        "IgnoreRhosts no",
        "GatewayPorts clientspecified",
        "PermitTunnel point-to-point",
        "LogLevel QUIET",
        "AuthorizedKeysFile /tmp/keys/%u",
        "HostKeyAlgorithms +ssh-dss",
    ] {
        assert_eq!(found(&format!("{TIGHT}{line}\n")).len(), 1, "{line}");
    }
}

#[test]
fn the_words_name_line_people_and_doubt() {
    let risk = Risk {
        topic: Topic::Password,
        keyword: "PermitRootLogin",
        value: b"yes".to_vec(),
        severity: Severity::Medium,
        users: (0..7).map(|i| format!("u{i}").into_bytes()).collect(),
        always: false,
        source: Some(Source { file: ImagePath::literal("/etc/ssh/x"), line: 3 }),
    };
    let text =
        "PermitRootLogin yes, line 3, for u0, u1, u2, u3, u4 and 2 more, on some connections";
    assert_eq!(words(&risk, 9), text);
    let everybody = Risk { source: None, always: true, ..risk };
    assert_eq!(words(&everybody, 7), "PermitRootLogin yes, sshd's default");
}
