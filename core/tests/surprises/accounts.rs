//! Accounts, homes and key lists in odd places and odd forms.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use disinherit_core::Kind;
use disinherit_core::catalogue::Severity;
use disinherit_core::report::Report;

use super::image::{Image, KEY, found, locked};

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
    let report = image.try_seal(policy, Some(b"program")).unwrap();
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
