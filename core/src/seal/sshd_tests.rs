//! Which files make every sshd of an image take no password.

use super::tests::Image;
use super::*;
use crate::manifest::InjectedPassword;

/// What a sealing writes into a file; `None` where it does not write it.
fn written(image: &Image, path: &str) -> Option<String> {
    let all = files(&image.inventory());
    let file = all.into_iter().find(|file| file.path.to_string() == path)?;
    match file.kind {
        Kind::File { content, .. } => Some(String::from_utf8(content.into_owned()).unwrap()),
        Kind::Changed { content } => Some(String::from_utf8(content).unwrap()),
        Kind::Link { .. } => None,
    }
}

const MAIN: &str = "/etc/ssh/sshd_config";
const DROPIN_OF_SSHD: &str = "/etc/ssh/sshd_config.d/00-disinherit.conf";

fn dropin(config: &str) -> String {
    let image = Image::debian();
    let text = format!("Include /etc/ssh/sshd_config.d/*.conf\n{config}");
    image.put("etc/ssh/sshd_config", &text);
    written(&image, DROPIN_OF_SSHD).unwrap()
}

#[test]
fn sshds_dropin_only_tightens() {
    let plain = dropin("UsePAM yes\n");
    assert!(plain.contains("\nPasswordAuthentication no\n"));
    assert!(plain.contains("\nMatch all\n    PasswordAuthentication no\n"));
    assert!(!plain.contains("PermitRootLogin"), "not `yes`, so left alone: {plain}");
    let yes = dropin("PermitRootLogin yes\n");
    assert_eq!(yes.matches("PermitRootLogin prohibit-password").count(), 2);
    let mixed = dropin("PermitRootLogin yes\nMatch Address 10.0.0.0/8\nPermitRootLogin no\n");
    assert_eq!(
        mixed.matches("PermitRootLogin").count(),
        1,
        "a block of ours would loosen: {mixed}"
    );
    let second_factor = dropin("AuthenticationMethods publickey,keyboard-interactive:pam\n");
    assert!(!second_factor.contains("KbdInteractive"), "{second_factor}");
    assert!(second_factor.contains("PasswordAuthentication no"));
}

#[test]
fn a_dropin_that_is_there_already_does_not_change_what_the_next_sealing_writes() {
    let image = Image::debian();
    let config = "Include /etc/ssh/sshd_config.d/*.conf\nPermitRootLogin yes\n";
    image.put("etc/ssh/sshd_config", config);
    let first = written(&image, DROPIN_OF_SSHD).unwrap();
    assert!(first.contains("RevokedKeys /etc/ssh/disinherit_revoked_keys"), "{first}");
    image.put("etc/ssh/sshd_config.d/00-disinherit.conf", &first);
    assert_eq!(written(&image, DROPIN_OF_SSHD).unwrap(), first);
    image.put("etc/ssh/sshd_config.d/50-site.conf", "RevokedKeys /etc/ssh/site.krl\n");
    assert!(!written(&image, DROPIN_OF_SSHD).unwrap().contains("RevokedKeys"), "the site's holds");
}

#[test]
fn policy_may_leave_sshd_alone() {
    let image = Image::debian();
    let mut inventory = image.inventory();
    inventory.passwords = InjectedPassword::Allow;
    let of_sshd = |file: &&Installed| file.path.as_bytes().starts_with(b"/etc/ssh");
    assert_eq!(files(&inventory).iter().filter(of_sshd).count(), 0);
    image.put("etc/ssh/sshd_config", "AuthenticationMethods password\n");
    let mut inventory = image.inventory();
    let error = inventory.check().unwrap_err().report();
    assert!(error.contains("AuthenticationMethods password in /etc/ssh/sshd_config"), "{error}");
    inventory.passwords = InjectedPassword::Allow;
    inventory.check().unwrap();
}

fn service(image: &Image, name: &str, text: &str) {
    image.put(&format!("etc/systemd/system/{name}"), text);
}

#[test]
fn a_main_file_that_includes_nothing_first_gets_a_line_at_its_top() {
    let image = Image::debian();
    image.put("usr/sbin/sshd", "\0OpenSSH_9.2p1 Debian-2\0");
    let text = "PermitRootLogin yes\nInclude /etc/ssh/sshd_config.d/*.conf\n";
    image.put("etc/ssh/sshd_config", text);
    let new = written(&image, MAIN).unwrap();
    let line = format!("# BEGIN disinherit\nInclude {DROPIN_OF_SSHD}\n# END disinherit\n");
    assert_eq!(new, line + text);
    assert!(written(&image, DROPIN_OF_SSHD).unwrap().contains("PermitRootLogin prohibit-password"));
    image.put("etc/ssh/sshd_config", &new);
    assert_eq!(written(&image, MAIN), None, "a second sealing changes nothing");
}

#[test]
fn an_sshd_that_knows_no_include_gets_its_settings_in_the_main_file() {
    for program in ["\0OpenSSH_7.9p1 Debian-10\0", "#!/bin/sh\n"] {
        let image = Image::debian();
        image.put("usr/sbin/sshd", program);
        let text = "Port 22\nPasswordAuthentication yes\nMatch User ann\nX11Forwarding no";
        image.put("etc/ssh/sshd_config", text);
        let new = written(&image, MAIN).unwrap();
        assert!(new.starts_with("# BEGIN disinherit\n\"PasswordAuthentication\" no\n"), "{new}");
        let block = new.find("Match all\n    \"PasswordAuthentication\" no\n").unwrap();
        assert!(new.find("Port 22").unwrap() < block && block < new.find("Match User").unwrap());
        assert_eq!(written(&image, DROPIN_OF_SSHD), None);
        image.put("etc/ssh/sshd_config", &new);
        assert_eq!(written(&image, MAIN), None, "a second sealing changes nothing");
        assert!(has_sshd_settings(&image.root(), &Manifest::default()).unwrap());
    }
}

#[test]
fn files_and_options_of_other_units_are_found_wherever_they_stand() {
    let image = Image::debian();
    image.put("usr/sbin/sshd", "OpenSSH_9.2p1");
    image.put("etc/default/ssh", "SSHD_OPTS='-o PermitRootLogin=yes -f /etc/ssh/by-variable'\n");
    service(
        &image,
        "ssh.service.d/50-site.conf",
        "[Service]\nEnvironmentFile=-/etc/default/ssh\nExecStart=\nExecStart=/usr/sbin/sshd -D $SSHD_OPTS\n",
    );
    service(
        &image,
        "sshd.service.d/alias.conf",
        "[Service]\nExecStart=\nExecStart=/usr/sbin/sshd -f /etc/ssh/by-alias\n",
    );
    service(
        &image,
        "second.service",
        "[Service]\nExecStart=/bin/sh -c 'exec /usr/sbin/sshd -f /opt/s-1/sshd'\n",
    );
    service(&image, "door@.service", "[Service]\nExecStart=-/usr/sbin/sshd -i\n");
    service(
        &image,
        "door@in.service.d/x.conf",
        "[Service]\nExecStart=\nExecStart=/usr/sbin/sshd -i -f /etc/ssh/of-instance\n",
    );
    let mains = ["etc/ssh/by-variable", "etc/ssh/by-alias", "opt/s-1/sshd", "etc/ssh/of-instance"];
    for main in mains {
        image.put(main, "PasswordAuthentication yes\n");
    }
    for main in mains {
        let new = written(&image, &format!("/{main}")).unwrap_or_else(|| panic!("{main}"));
        let file = new.lines().nth(1).unwrap().strip_prefix("Include ").unwrap().to_owned();
        let settings = written(&image, &file).unwrap_or_else(|| panic!("{file}"));
        assert!(settings.contains("Match all\n    PasswordAuthentication no\n"), "{settings}");
        let root = settings.matches("PermitRootLogin prohibit-password").count();
        assert_eq!(root, if main.ends_with("by-variable") { 2 } else { 0 }, "{main}: {settings}");
    }
    assert!(written(&image, "/etc/ssh/disinherit.d/opt-s_2d1-sshd.conf").is_some());
    image.inventory().check().unwrap();
}

#[test]
fn what_cannot_be_closed_is_refused() {
    for (unit, text, why) in [
        (
            "a.service",
            "ExecStart=/usr/sbin/sshd -f /etc/ssh/%H",
            "a.service starts sshd with options",
        ),
        (
            "b.service",
            "ExecStart=/usr/sbin/sshd -f /etc/ssh/away",
            "/etc/ssh/away, which is missing",
        ),
        ("c.service", "ExecStart=/usr/sbin/sshd -f etc/x", "no full path"),
        (
            "d.service",
            "ExecStart=/usr/sbin/sshd -o AuthenticationMethods=keyboard-interactive:pam",
            "asks for no key",
        ),
    ] {
        let image = Image::debian();
        service(&image, unit, &format!("[Service]\n{text}\n"));
        let error = image.inventory().check().unwrap_err();
        assert_eq!(error.kind().exit_code(), 4);
        assert!(error.report().contains(why), "{}", error.report());
    }
}

#[test]
fn a_main_file_with_an_odd_name_is_found_again() {
    let image = Image::debian();
    service(&image, "odd.service", "[Service]\nExecStart=/usr/sbin/sshd -f \"/etc/ssh/a\\\\b\"\n");
    image.put("etc/ssh/a\\b", "AuthorizedKeysFile /etc/ssh/odd/%u\n");
    let manifest = record(&image.root()).unwrap();
    assert_eq!(
        manifest.sshd_main_files().collect::<Vec<_>>(),
        [ImagePath::literal("/etc/ssh/a\\b")]
    );
    assert_eq!(configs(&image.root(), &manifest).unwrap().len(), 2);
}
