//! What people and programs leave in images that no rule was written for: links, shared inodes,
//! odd names, half-written files. A scrub goes on, touches nobody else's, and says what it saw.

#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use disinherit_core::apply::Progress;
use disinherit_core::catalogue::Severity;
use disinherit_core::pipeline::{self, Job};
use disinherit_core::policy::{Fragment, Settings};
use disinherit_core::report::{Mode, Report};
use disinherit_core::root::Root;
use disinherit_core::{Error, Kind};

struct Quiet;

impl Progress for Quiet {
    fn step(&mut self, _: usize, _: usize, _: &str) {}
    fn phase(&mut self, _: &str, _: u64, _: u64) {}
}

const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHlvbmRlciBzdGFuZHMgYSBrZXkgZm9yIHRlc3RzeHl6 ann\n";
const FINGERPRINT_POLICY: &str = "allow: {keys: ['SHA256:@']}";

/// An image that cloud-init opens, with root and the users ann and bob.
struct Image {
    folder: tempfile::TempDir,
}

impl Image {
    fn new() -> Self {
        let image = Self { folder: tempfile::tempdir().unwrap() };
        image.put(
            "etc/passwd",
            "root:x:0:0:root:/root:/bin/bash\nann:x:1000:1000::/home/ann:/bin/bash\n\
             bob:x:1001:1001::/home/bob:/bin/bash\n",
        );
        image.put("etc/shadow", "root:$6$salt$0123456789abcdef:19700:0:99999:7:::\n");
        image.put("usr/bin/cloud-init", "");
        image.put("usr/bin/sudo", "");
        image.put("usr/lib/systemd/systemd", "");
        image.put("usr/lib/systemd/system/ssh.service", "[Service]\n");
        image.put("etc/ssh/sshd_config", "PasswordAuthentication no\n");
        image.link(
            "/usr/lib/systemd/system/ssh.service",
            "etc/systemd/system/multi-user.target.wants/ssh.service",
        );
        for home in ["root", "home/ann", "home/bob"] {
            fs::create_dir_all(image.at(home)).unwrap();
        }
        image
    }

    fn at(&self, path: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(path)
    }

    fn put(&self, path: impl AsRef<Path>, text: &str) {
        let path = self.at(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn link(&self, to: &str, path: &str) {
        fs::create_dir_all(self.at(path).parent().unwrap()).unwrap();
        symlink(to, self.at(path)).unwrap();
    }

    fn gone(&self, path: &str) -> bool {
        fs::symlink_metadata(self.at(path)).is_err()
    }

    fn text(&self, path: &str) -> String {
        fs::read_to_string(self.at(path)).unwrap()
    }

    fn try_scrub(&self, policy: &str) -> Result<Report, Error> {
        let policy = format!("{policy}\nfirstboot: false\n");
        let settings = Settings::new(Fragment::parse("policy", &policy).unwrap()).unwrap();
        let root = Root::offline(self.folder.path())?;
        let job = Job { settings: &settings, firstboot: None, mode: Mode::Scrub };
        pipeline::run(&root, &job, &mut Quiet).map(|(_, report)| report)
    }

    /// A scrub whose every step succeeds, and after which a second one has nothing to do.
    fn scrub(&self, policy: &str) -> Report {
        let report = self.try_scrub(policy).unwrap();
        let failed: Vec<_> = report.actions.iter().filter(|a| a.error.is_some()).collect();
        assert!(failed.is_empty(), "{failed:#?}");
        let again = self.try_scrub(policy).unwrap();
        assert!(again.actions.is_empty(), "{:#?}", again.actions);
        report
    }
}

fn found(report: &Report, path: &str, severity: Severity) -> bool {
    report.findings.iter().any(|f| f.path.to_string() == path && f.severity == severity)
}

fn locked(image: &Image) -> bool {
    image.text("etc/shadow").starts_with("root:*:")
}

#[test]
fn a_circle_of_links_in_a_home_stops_nobody() {
    let image = Image::new();
    image.link(".ssh", "home/ann/.ssh");
    image.link("b", "home/bob/.aws/a");
    image.link("a", "home/bob/.aws/b");
    image.put("home/bob/.bash_history", "x");
    let report = image.scrub("");
    assert!(locked(&image) && image.gone("home/bob/.bash_history"));
    let circles: Vec<_> =
        report.findings.iter().filter(|f| f.path.to_string() == "/home/ann/.ssh").collect();
    assert_eq!(circles.len(), 1, "{:#?}", report.findings);
}

/// Longer than PATH_MAX, as a program that changes into each folder can make it.
#[test]
fn a_path_that_is_too_long_stops_nobody() {
    let image = Image::new();
    image.put("tmp/other", "x");
    let name = "n".repeat(200);
    let mut dir = fs::File::open(image.at("tmp")).unwrap();
    for _ in 0..30 {
        rustix::fs::mkdirat(&dir, name.as_str(), rustix::fs::Mode::RWXU).unwrap();
        let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::DIRECTORY;
        dir = rustix::fs::openat(&dir, name.as_str(), flags, rustix::fs::Mode::empty())
            .unwrap()
            .into();
    }
    let report = image.scrub("");
    assert!(locked(&image) && image.gone("tmp/other"));
    assert_eq!(report.exit_code, 1);
    assert!(report.findings.iter().any(|f| f.rule == "unreadable"));
    assert!(std::process::Command::new("rm").arg("-rf").arg(image.at("tmp")).status().is_ok());
}

#[test]
fn two_names_of_one_file_both_go() {
    let image = Image::new();
    image.put("home/ann/.ssh/authorized_keys", KEY);
    fs::hard_link(
        image.at("home/ann/.ssh/authorized_keys"),
        image.at("home/ann/.ssh/authorized_keys.bak"),
    )
    .unwrap();
    fs::hard_link(image.at("etc/shadow"), image.at("etc/shadow-")).unwrap();
    image.scrub("");
    assert!(image.gone("home/ann/.ssh/authorized_keys"));
    assert!(image.gone("home/ann/.ssh/authorized_keys.bak"));
    assert!(image.gone("etc/shadow-") && locked(&image));
}

#[test]
fn a_folder_that_two_homes_link_to_is_cleaned_once() {
    let image = Image::new();
    image.put("srv/shared/ssh/authorized_keys", KEY);
    image.put("srv/shared/ssh/id_rsa", "secret");
    image.link("/srv/shared/ssh", "home/ann/.ssh");
    image.link("../../srv/shared/ssh", "home/bob/.ssh");
    image.scrub("");
    assert!(image.gone("srv/shared/ssh/authorized_keys") && image.gone("srv/shared/ssh/id_rsa"));
    assert!(!image.gone("home/ann/.ssh") && !image.gone("home/bob/.ssh"));
}

#[test]
fn a_link_to_an_empty_file_costs_only_the_link() {
    let image = Image::new();
    image.put("etc/cron.deny", "");
    image.link("/etc/cron.deny", "home/ann/.ssh/authorized_keys");
    image.scrub("");
    assert!(image.gone("home/ann/.ssh/authorized_keys") && !image.gone("etc/cron.deny"));
}

#[test]
fn kept_keys_stay_whoever_links_to_them() {
    let image = Image::new();
    image.put("home/bob/.ssh/authorized_keys", KEY);
    image.link("/home/bob/.ssh/authorized_keys", "home/ann/.ssh/authorized_keys");
    image.scrub("keep_users: [bob]");
    assert!(image.gone("home/ann/.ssh/authorized_keys"));
    assert_eq!(image.text("home/bob/.ssh/authorized_keys"), KEY);

    let image = Image::new();
    image.put("srv/keys", &format!("{KEY}{}", KEY.replace("HlvbmRl", "HlvbmRm")));
    image.link("../../../srv/keys", "home/ann/.ssh/authorized_keys");
    let report = image.scrub("rules: {login-authkeys: report}");
    let key = report.logins.iter().find(|l| l.user == "ann").unwrap();
    let policy = FINGERPRINT_POLICY.replace("SHA256:@", &key.fingerprint);
    image.scrub(&policy);
    assert_eq!(image.text("home/ann/.ssh/authorized_keys").lines().count(), 1);
}

#[test]
fn what_policy_allows_is_known_by_its_real_name_and_in_homes() {
    let image = Image::new();
    fs::remove_dir(image.at("home/ann")).unwrap();
    image.put("data/ann/.bash_history", "x");
    image.link("/data/ann", "home/ann");
    image.put("home/bob/.ssh/authorized_keys", KEY);
    image.put("etc/ssh/ssh_host_rsa_key", "key");
    image.scrub(
        "allow: {paths: ['/data/ann/.bash_history', '{home}/.ssh/authorized_keys', '/etc/ssh/*_key']}",
    );
    assert_eq!(image.text("data/ann/.bash_history"), "x");
    assert_eq!(image.text("home/bob/.ssh/authorized_keys"), KEY);
    assert!(!image.gone("etc/ssh/ssh_host_rsa_key"));
}

#[test]
fn a_removed_user_whose_home_is_a_link_leaves_nothing() {
    let image = Image::new();
    fs::remove_dir(image.at("home/ann")).unwrap();
    image.put("data/ann/.bash_history", "x");
    image.put("data/ann/notes", "x");
    image.link("/data/ann", "home/ann");
    image.scrub("remove_users: [ann]");
    assert!(image.gone("home/ann") && image.gone("data/ann"));
    assert!(!image.text("etc/passwd").contains("ann"));
}

#[test]
fn what_a_killed_run_left_goes_wherever_it_lies() {
    let image = Image::new();
    let old = "root:$6$salt$fedcba9876543210:19700:0:99999:7:::\n";
    for dir in ["etc", "opt/app/conf", "home/ann/.config/x", "."] {
        image.put(format!("{dir}/.disinherit-0123456789abcdef"), old);
    }
    image.put("opt/app/.disinherit-notes", "mine");
    image.scrub("");
    for dir in ["etc", "opt/app/conf", "home/ann/.config/x", "."] {
        assert!(image.gone(&format!("{dir}/.disinherit-0123456789abcdef")), "{dir}");
    }
    assert_eq!(image.text("opt/app/.disinherit-notes"), "mine");
}

#[test]
fn shadow_files_beside_the_usual_one_are_locked_too() {
    let image = Image::new();
    let row = "app:$6$salt$fedcba9876543210:19700:0:99999:7:::\n";
    for file in ["var/lib/extrausers/shadow", "usr/etc/shadow", "etc/tcb/app/shadow"] {
        image.put(file, row);
    }
    image.put("var/lib/extrausers/passwd", "app::1000:1000::/home/app:/bin/sh\n");
    image.scrub("");
    for file in ["var/lib/extrausers/shadow", "usr/etc/shadow", "etc/tcb/app/shadow"] {
        assert_eq!(image.text(file), "app:*:19700:0:99999:7:::\n", "{file}");
    }
    assert!(image.text("var/lib/extrausers/passwd").starts_with("app:x:"));
}

#[test]
fn a_history_that_is_a_link_goes_with_what_it_leads_to() {
    let image = Image::new();
    image.put("home/ann/.state/bash", "export TOKEN=x");
    image.link(".state/bash", "home/ann/.bash_history");
    image.put("etc/motd", "hello");
    image.link("/etc/motd", "home/ann/.zsh_history");
    image.link("/dev/null", "home/bob/.bash_history");
    let report = image.scrub("");
    assert!(image.gone("home/ann/.bash_history") && image.gone("home/ann/.state/bash"));
    assert!(image.gone("home/ann/.zsh_history") && !image.gone("etc/motd"));
    assert!(!image.gone("home/bob/.bash_history"), "nothing is kept there, on purpose");
    assert_eq!(report.exit_code, 0, "{:#?}", report.findings);
}

#[test]
fn a_host_key_that_is_a_link_goes_with_what_it_leads_to() {
    let image = Image::new();
    image.put("data/keys/rsa", "-----BEGIN OPENSSH PRIVATE KEY-----\nx\n");
    image.link("/data/keys/rsa", "etc/ssh/ssh_host_rsa_key");
    image.scrub("");
    assert!(image.gone("data/keys/rsa") && image.gone("etc/ssh/ssh_host_rsa_key"));
}

#[test]
fn host_keys_in_other_places_stay_where_nothing_makes_them_anew() {
    let image = Image::new();
    image.put("etc/ssh/sshd_config", "HostKey /etc/ssh/keys/own\n");
    image.put("etc/ssh/keys/own", "-----BEGIN OPENSSH PRIVATE KEY-----\nx\n");
    let error = image.try_scrub("").unwrap_err();
    assert_eq!(error.kind(), Kind::Refused, "{}", error.report());
    assert!(error.report().contains("/etc/ssh/keys/own"), "{}", error.report());
    assert!(!image.gone("etc/ssh/keys/own") && !locked(&image));
}

#[test]
fn a_shadow_that_leads_nowhere_is_said() {
    let image = Image::new();
    fs::remove_file(image.at("etc/shadow")).unwrap();
    image.link("/data/shadow", "etc/shadow");
    assert!(found(&image.scrub(""), "/etc/shadow", Severity::Medium));
}

#[test]
fn an_account_that_lives_in_a_system_folder_has_a_history_too() {
    let image = Image::new();
    let passwd = image.text("etc/passwd") + "app:x:1002:1002::/:/bin/sh\n";
    image.put("etc/passwd", &passwd);
    for name in [".bash_history", ".ssh/id_rsa", ".ssh/authorized_keys", "typescript", "a.key"] {
        image.put(name, "x");
    }
    image.scrub("allow: {paths: ['{home}/.ssh/id_rsa']}");
    assert!(image.gone(".bash_history") && image.gone(".ssh/authorized_keys"));
    for stays in [".ssh/id_rsa", "typescript", "a.key"] {
        assert!(!image.gone(stays), "{stays}");
    }
}

#[test]
fn a_user_who_is_kept_and_does_not_exist_is_said() {
    let report = Image::new().scrub("keep_users: [anne]");
    assert!(found(&report, "/etc/passwd", Severity::Medium), "{:#?}", report.findings);
}

/// A rule of the policy takes the server away: whatever is said about it, it is said in a report.
#[test]
fn what_was_changed_is_reported_even_when_the_second_look_fails() {
    let image = Image::new();
    let policy = "extra_rules: [{id: wants, what: w, where: ['/etc/systemd/system/*.wants/*'], \
                  action: delete, severity: low, why: y, source: s}]";
    let fragment = Fragment::parse("policy", policy).unwrap();
    let settings = Settings::new(fragment).unwrap();
    let root = Root::offline(image.folder.path()).unwrap();
    let job = Job { settings: &settings, firstboot: Some(b"program"), mode: Mode::Scrub };
    let (_, report) = pipeline::run(&root, &job, &mut Quiet).unwrap();
    assert!(locked(&image));
    assert_eq!(report.exit_code, 3, "{:#?}", report.findings);
}

#[test]
fn homes_may_have_any_name() {
    let image = Image::new();
    let names: [&[u8]; 3] = ["žofie-日本".as_bytes(), b"\xffx", b"a\tb\\c"];
    let mut passwd = image.text("etc/passwd").into_bytes();
    for (i, name) in names.iter().enumerate() {
        passwd.extend_from_slice(format!("u{i}:x:200{i}:200{i}::/srv/h/").as_bytes());
        passwd.extend_from_slice(name);
        passwd.extend_from_slice(b":/bin/sh\n");
        let home = Path::new("srv/h").join(OsStr::from_bytes(name));
        image.put(home.join(".ssh/authorized_keys"), KEY);
        image.put(home.join(".bash_history"), "x");
    }
    fs::write(image.at("etc/passwd"), passwd).unwrap();
    let report = image.scrub("");
    for name in names {
        let home = image.at("srv/h").join(OsStr::from_bytes(name));
        assert!(!home.join(".bash_history").exists());
        assert!(!home.join(".ssh/authorized_keys").exists());
    }
    let json = report.json();
    let read: Report = serde_json::from_str(&json).unwrap();
    let paths: Vec<String> = read.actions.iter().map(|a| a.path.to_string()).collect();
    assert!(paths.contains(&r"/srv/h/\xffx/.bash_history".to_owned()), "{paths:#?}");
    assert!(read.actions.iter().any(|a| a.path.as_bytes() == b"/srv/h/\xffx/.bash_history"));
}

/// T26 to T28: rows that are none, rows of NIS, a second uid 0.
#[test]
fn odd_rows_stay_and_are_said() {
    let image = Image::new();
    let passwd = "root:x:0:0:root:/root:/bin/bash\ntoor::0:0::/srv/toor:/bin/sh\n#note\n\n \n:\n\
                  +@admins:::::\n-bob\n+::::::\n";
    let shadow = "root:!$6$s$0123456789abcdef0:1::::::\ntoor::1::::::\nbroken $6$s$abcdefghijklmnop\n\
                  +::::::::\n# $y$j9T$abcdefghijklmnop$abcdefghijklmnopqrstuvwx\n";
    image.put("etc/passwd", passwd);
    image.put("etc/shadow", shadow);
    image.put("srv/toor/.bash_history", "x");
    let report = image.scrub("");
    assert_eq!(image.text("etc/passwd"), passwd.replace("toor::", "toor:x:"));
    let expected = shadow.replace("root:!$6$s$0123456789abcdef0:", "root:*:");
    assert_eq!(image.text("etc/shadow"), expected.replace("toor::", "toor:*:"));
    assert!(image.gone("srv/toor/.bash_history"));
    let high = |f: &&disinherit_core::report::Finding| f.severity == Severity::High;
    let broken = report.findings.iter().filter(high).filter(|f| f.rule == "unreadable").count();
    assert!(broken >= 1, "{:#?}", report.findings);
    assert!(report.findings.iter().any(|f| f.rule == "acc-uid-zero"));
    let text = report.json();
    assert!(!text.contains("abcdefghijklmnop"), "the report shows what it found");
}

/// T29: no shadow at all, the hash in passwd.
#[test]
fn a_hash_in_passwd_without_shadow_becomes_a_star() {
    let image = Image::new();
    fs::remove_file(image.at("etc/shadow")).unwrap();
    image.put("etc/passwd", "root:$6$s$0123456789abcdef0:0:0:root:/root:/bin/bash\n");
    image.scrub("");
    assert_eq!(image.text("etc/passwd"), "root:*:0:0:root:/root:/bin/bash\n");
}

/// T32 and T33: includes, conditions, several paths, quotes; the older key list and host trust.
#[test]
fn every_list_that_sshd_could_read_goes() {
    let image = Image::new();
    image.put("etc/ssh/sshd_config", "include=/etc/ssh/a/*.conf\nTrustedUserCAKeys /etc/ssh/ca\n");
    image.put("etc/ssh/a/1.conf", "INCLUDE b/*.conf\n");
    image.put(
        "etc/ssh/b/1.conf",
        "AuthorizedKeysFile \"/srv/keys of/%u\" .ssh/authorized_keys2 /srv/100%%/%u\n\
         Match User ann\n AuthorizedKeysFile none\n\
         Match Group ops exec \"touch /tmp/ran\"\n AuthorizedKeysFile /srv/ops/%u\n",
    );
    image.put("etc/ssh/ca", KEY);
    let lists = [
        "srv/keys of/bob",
        "home/bob/.ssh/authorized_keys2",
        "srv/100%/bob",
        "srv/ops/bob",
        "home/ann/.ssh/authorized_keys",
    ];
    for list in lists {
        image.put(list, KEY);
    }
    image.put("home/bob/.shosts", "host");
    let report = image.scrub("evidence: [trustedusercakeys]");
    for list in lists {
        assert!(image.gone(list), "{list}");
    }
    assert!(image.gone("home/bob/.shosts") && !image.gone("etc/ssh/ca"));
    assert!(image.gone("tmp/ran"));
    assert!(report.logins.iter().any(|l| l.path.to_string() == "/srv/100%/bob"));
}

/// T36: the copy becomes a link, so that no clone adopts the old ID.
#[test]
fn both_machine_ids_are_reset() {
    let image = Image::new();
    image.put("etc/machine-id", "0123456789abcdef0123456789abcdef\n");
    image.put("var/lib/dbus/machine-id", "0123456789abcdef0123456789abcdef\n");
    image.scrub("");
    assert_eq!(image.text("etc/machine-id"), "");
    assert_eq!(
        fs::read_link(image.at("var/lib/dbus/machine-id")).unwrap(),
        Path::new("/etc/machine-id")
    );
    image.put("etc/machine-id", "uninitialized\n");
    image.scrub("");
    assert_eq!(image.text("etc/machine-id"), "uninitialized\n");
}
