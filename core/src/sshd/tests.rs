//! The configuration of a tree on disk: includes, blocks, and what follows for logins.

use std::fs;
use std::path::Path;

use super::*;
use crate::{ImagePath, Root};

fn tree(files: &[(&str, &str)]) -> (tempfile::TempDir, Root) {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("etc/ssh")).unwrap();
    for (path, text) in files {
        let path = dir.path().join(path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let root = Root::offline(dir.path()).unwrap();
    (dir, root)
}

fn load(files: &[(&str, &str)]) -> (Config, Vec<String>) {
    let (_dir, root) = tree(files);
    let (config, problems) = Config::load(&root).unwrap();
    (config, problems.iter().map(ToString::to_string).collect())
}

fn main_file(text: &str) -> Config {
    load(&[("/etc/ssh/sshd_config", text)]).0
}

fn user(name: &str, groups: &[&str]) -> User {
    User {
        name: name.into(),
        uid: 1000,
        home: format!("/home/{name}").into(),
        groups: groups.iter().map(|g| (*g).into()).collect(),
    }
}

fn value(config: &Config, keyword: &str, who: &Who) -> Option<String> {
    config.effective(keyword, who).map(|args| text(&args.join(&b' ')))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn possible(config: &Config, keyword: &str) -> Vec<String> {
    config.possible(keyword).iter().map(|value| text(value)).collect()
}

fn login_files(config: &Config, user: &User) -> Vec<String> {
    config.login_files(user).iter().map(|file| file.path.to_string()).collect()
}

/// Everything at once: nesting, blocks, an undecidable condition, `none`, quotes, `=`, case.
#[test]
fn key_files_of_includes_and_blocks() {
    let (config, problems) = load(&[
        (
            "/etc/ssh/sshd_config",
            "INCLUDE sshd_config.d/*.conf\nauthorizedkeysFILE = none\n\
             Match User ann\n AuthorizedKeysFile /etc/keys/%u \"%h/my keys\"\n\
             Match Group ops exec \"test -e /x\"\n AuthorizedKeysFile=/ops/%%/%U\n",
        ),
        ("/etc/ssh/sshd_config.d/1.conf", "Include /etc/ssh/two/[a-c].conf\n"),
        ("/etc/ssh/two/b.conf", "Include three.conf\n"),
        ("/etc/ssh/three.conf", "Match User bob\nAuthorizedKeysFile .deep\n"),
        ("/etc/ssh/two/d.conf", "AuthorizedKeysFile /not/included\n"),
    ]);
    assert_eq!(problems, ["/etc/ssh/sshd_config:5: Match condition that sshd does not accept"]);
    let ann = user("ann", &["ann"]);
    assert_eq!(
        login_files(&config, &ann),
        ["/home/ann/.deep", "/etc/keys/ann", "/home/ann/my keys", "/ops/%/1000"]
    );
    let paths = |who: &Who| -> Vec<_> {
        config.effective_login_files(who).iter().map(ToString::to_string).collect()
    };
    assert_eq!(paths(&Who::new(ann)), ["/etc/keys/ann", "/home/ann/my keys"]);
    assert_eq!(paths(&Who::new(user("bob", &[]))), ["/home/bob/.deep"]);
    assert!(paths(&Who::new(user("eve", &[]))).is_empty());
    let ops = Who::new(user("eve", &["ops"]));
    let candidates = config.candidates("AuthorizedKeysFile", &ops);
    assert_eq!(
        candidates,
        [Some(vec![b"/ops/%%/%U".to_vec()]), Some(vec![b"none".to_vec()])],
        "exec is not run: both ways"
    );
}

#[test]
fn defaults_when_nothing_is_set() {
    let ann = user("ann", &[]);
    let files = ["/home/ann/.ssh/authorized_keys", "/home/ann/.ssh/authorized_keys2"];
    let (config, problems) = load(&[]);
    assert!(problems.is_empty() && config.main_file().is_none());
    assert_eq!(login_files(&config, &ann), files);
    let config = main_file("Match User x\nAuthorizedKeysFile /x\n");
    assert_eq!(login_files(&config, &ann), ["/x", files[0], files[1]]);
}

#[test]
fn the_vendor_file_counts_only_alone() {
    let vendor = ("/usr/etc/ssh/sshd_config", "Port 1\n");
    let (config, _) = load(&[vendor]);
    assert_eq!(possible(&config, "Port"), ["1"]);
    let (config, _) = load(&[vendor, ("/etc/ssh/sshd_config", "Port 2\n")]);
    assert_eq!(possible(&config, "Port"), ["2"]);
}

#[test]
fn first_value_wins_and_match_beats_global() {
    let config = main_file(
        "PasswordAuthentication no\nPasswordAuthentication yes\n\
         Match User ann\nPasswordAuthentication yes\nPasswordAuthentication no\n\
         Match all\nPasswordAuthentication no\nUsePAM no\n",
    );
    let who = |name| Who::new(user(name, &[]));
    assert_eq!(value(&config, "passwordauthentication", &who("ann")).unwrap(), "yes");
    assert_eq!(value(&config, "PasswordAuthentication", &who("bob")).unwrap(), "no");
    assert_eq!(value(&config, "UsePAM", &who("bob")).unwrap(), "no", "Match all is global too");
    assert_eq!(possible(&config, "PasswordAuthentication"), ["yes", "no"]);
    assert!(!config.may_be_default("PasswordAuthentication"));
    assert!(config.may_be_default("PermitRootLogin"));
}

#[test]
fn a_leading_match_all_closes_for_everybody() {
    let (config, _) = load(&[
        (
            "/etc/ssh/sshd_config",
            "Include sshd_config.d/*.conf\nMatch User root\nPasswordAuthentication yes\n",
        ),
        (
            "/etc/ssh/sshd_config.d/00-x.conf",
            "PasswordAuthentication no\nMatch all\nPasswordAuthentication no\n",
        ),
        ("/etc/ssh/sshd_config.d/99-x.conf", "Match User root\nPasswordAuthentication yes\n"),
    ]);
    assert_eq!(possible(&config, "PasswordAuthentication"), ["no"]);
    let root = Who::new(user("root", &["root"]));
    assert_eq!(value(&config, "PasswordAuthentication", &root).unwrap(), "no");
    assert!(config.has_dropin_include());
}

#[test]
fn the_drop_in_include_must_come_first() {
    for (text, expected) in [
        ("Include /etc/ssh/sshd_config.d/*.conf\nPort 1\n", true),
        ("# c\n\nInclude sshd_config.d/*.conf\n", true),
        ("Include \"/etc/ssh/sshd_config.d/*\"\n", true),
        ("Include /etc/crypto.conf /etc/ssh/sshd_config.d/*.conf\n", true),
        ("Port 1\nInclude /etc/ssh/sshd_config.d/*.conf\n", false),
        ("Match all\nInclude /etc/ssh/sshd_config.d/*.conf\n", false),
        ("Include /etc/ssh/sshd_config.d/50-*.conf\n", false),
        ("#Include /etc/ssh/sshd_config.d/*.conf\n", false),
    ] {
        assert_eq!(main_file(text).has_dropin_include(), expected, "{text}");
    }
    let files = [
        ("/etc/ssh/sshd_config", "Include /etc/ssh/a.conf /etc/ssh/sshd_config.d/*.conf\n"),
        ("/etc/ssh/a.conf", "Port 1\n"),
    ];
    assert!(!load(&files).0.has_dropin_include(), "an earlier include sets something");
}

#[test]
fn circles_and_oddities_are_problems() {
    let (config, problems) = load(&[
        (
            "/etc/ssh/sshd_config",
            "Include a\nInclude ~/x\nPort\nBanner \"x\nInclude folder\nPort 1\n",
        ),
        ("/etc/ssh/a", "Include a\nInclude sshd_config\nAuthorizedKeysFile /%x ~bob/k\n"),
        ("/etc/ssh/folder/x", ""),
    ]);
    assert_eq!(
        problems,
        [
            "/etc/ssh/sshd_config:3: keyword without arguments",
            "/etc/ssh/sshd_config:4: quote is not closed",
            "/etc/ssh/a:1: includes nested too deeply, or in a circle",
            "/etc/ssh/a:2: includes nested too deeply, or in a circle",
            "/etc/ssh/sshd_config:2: include that begins with ~",
            "/etc/ssh/sshd_config:5: included file cannot be read",
            "/etc/ssh/a:3: path with an unknown token",
        ]
    );
    assert_eq!(possible(&config, "port"), ["1"]);
}

#[test]
fn nesting_stops_where_sshd_stops() {
    let names: Vec<_> = (0..20).map(|n| format!("/etc/ssh/{n}")).collect();
    let texts: Vec<_> = (0..20).map(|n| format!("Port {n}\nInclude {}\n", n + 1)).collect();
    let mut files: Vec<_> =
        names.iter().map(String::as_str).zip(texts.iter().map(String::as_str)).collect();
    files.push(("/etc/ssh/sshd_config", "Include 1\n"));
    let (config, problems) = load(&files);
    assert_eq!(possible(&config, "port").len(), 16);
    assert_eq!(problems, ["/etc/ssh/16:2: includes nested too deeply, or in a circle"]);
}

#[test]
fn includes_inside_blocks_need_both_conditions() {
    let (config, _) = load(&[
        ("/etc/ssh/sshd_config", "Match User ann\nInclude a\nMaxSessions 3\n"),
        ("/etc/ssh/a", "MaxAuthTries 1\nMatch Group ops\nMaxAuthTries 2\nMaxSessions 2\n"),
    ]);
    let ask = |keyword, name, group| value(&config, keyword, &Who::new(user(name, &[group])));
    assert_eq!(ask("MaxSessions", "ann", "ops").unwrap(), "2");
    assert_eq!(
        ask("MaxSessions", "ann", "x").unwrap(),
        "3",
        "the block goes on behind the include"
    );
    assert_eq!(ask("MaxAuthTries", "ann", "ops").unwrap(), "1");
    assert_eq!(ask("MaxAuthTries", "bob", "ops"), None);
}

#[test]
fn keys_and_other_sources() {
    let config = main_file(
        "HostKey /a\nHostKey /b\nHostKey none\nHostCertificate /a-cert.pub\n\
         AuthorizedKeysCommand none\nTrustedUserCAKeys /etc/ssh/ca.pub\nGSSAPIAuthentication YES\n\
         HostbasedAuthentication no\nMatch User ann\nHostbasedAuthentication yes\n\
         AuthorizedKeysCommand /usr/bin/keys %u\n",
    );
    let paths = |paths: Vec<ImagePath>| paths.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(paths(config.host_keys()), ["/a", "/b"]);
    assert_eq!(paths(config.host_certificates()), ["/a-cert.pub"]);
    let sources: Vec<_> = config
        .other_login_sources()
        .iter()
        .map(|s| format!("{}:{} {}", s.source.line, s.keyword, text(&s.value)))
        .collect();
    assert_eq!(
        sources,
        [
            "11:authorizedkeyscommand /usr/bin/keys %u",
            "6:trustedusercakeys /etc/ssh/ca.pub",
            "7:gssapiauthentication YES",
            "10:hostbasedauthentication yes",
        ]
    );
    let (config, _) = load(&[("/etc/ssh/ssh_host_ed25519_key", "")]);
    assert_eq!(paths(config.host_keys()), ["/etc/ssh/ssh_host_ed25519_key"]);
}

#[test]
fn links_in_includes_stay_inside_the_image() {
    let (dir, root) =
        tree(&[("/etc/ssh/sshd_config", "Include /conf/*\n"), ("/real/a", "Port 7\n")]);
    std::os::unix::fs::symlink("/real", dir.path().join("conf")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", dir.path().join("real/b")).unwrap();
    assert!(Path::new("/etc/passwd").exists());
    let (config, problems) = Config::load(&root).unwrap();
    assert_eq!(possible(&config, "port"), ["7"]);
    assert!(problems.is_empty(), "a dangling link includes nothing: {problems:?}");
    assert_eq!(config.settings().len(), 1);
}

#[test]
fn an_include_through_a_circle_is_a_problem() {
    let (dir, root) = tree(&[
        ("/etc/ssh/sshd_config", "Include */*.conf\nPort 7\n"),
        ("/etc/ssh/z/a.conf", "Port 8\n"),
    ]);
    std::os::unix::fs::symlink("loop", dir.path().join("etc/ssh/loop")).unwrap();
    let (config, problems) = Config::load(&root).unwrap();
    assert_eq!(possible(&config, "port"), ["8", "7"]);
    let what: Vec<_> = problems.iter().map(|problem| problem.what).collect();
    assert_eq!(what, [What::Unreadable]);
}
