//! Links and files with more than one name.

use std::fs;

use disinherit_core::catalogue::Severity;

use super::image::{FINGERPRINT_POLICY, Image, KEY, found, locked};

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

/// The first name gets a new inode, the second one has the old content until it is edited too.
#[test]
fn two_names_of_one_account_file_are_both_edited() {
    let image = Image::new();
    fs::create_dir_all(image.at("var/lib/extrausers")).unwrap();
    fs::hard_link(image.at("etc/shadow"), image.at("var/lib/extrausers/shadow")).unwrap();
    image.scrub("");
    assert!(locked(&image));
    assert!(image.text("var/lib/extrausers/shadow").starts_with("root:*:"));
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
fn a_shadow_that_leads_nowhere_is_said() {
    let image = Image::new();
    fs::remove_file(image.at("etc/shadow")).unwrap();
    image.link("/data/shadow", "etc/shadow");
    assert!(found(&image.scrub(""), "/etc/shadow", Severity::Medium));
}
