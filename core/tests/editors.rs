//! Editors on whole trees: every rule that edits has a golden case, and what no golden case can hold.

#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

use std::fs;
use std::path::Path;

use disinherit_core::catalogue::Catalogue;
use disinherit_core::pipeline::{self, Job};
use disinherit_core::policy::{Fragment, Settings};
use disinherit_core::report::{Mode, Report};
use disinherit_core::root::Root;

/// A folder of this name cannot be checked in; it is planted here instead.
const PLANTED: &[&str] = &["vcs-git-worktree"];

fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn base(root: &Path) {
    write(root, "etc/passwd", "root:x:0:0::/root:/bin/sh\nann:x:1000:1000::/srv/ann:/bin/sh\n");
    write(root, "etc/shadow", "root:*:1::::::\nann:*:1::::::\n");
    write(root, "etc/group", "root:x:0:\nann:x:1000:\n");
    write(root, "etc/ssh/sshd_config", "PasswordAuthentication no\n");
}

fn scrub(root: &Path, policy: &str) -> Report {
    let settings = Settings::new(Fragment::parse("policy.yaml", policy).unwrap()).unwrap();
    let job = Job { settings: &settings, firstboot: None, mode: Mode::Scrub };
    pipeline::run(&Root::offline(root).unwrap(), &job, &mut ()).unwrap().1
}

#[test]
fn every_rule_that_edits_has_a_golden_case() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let plans: String = fs::read_dir(cases)
        .unwrap()
        .map(|case| fs::read_to_string(case.unwrap().path().join("plan.txt")).unwrap())
        .collect();
    let shown = |id: &str| {
        let names = |list: &str| list.split([',', ' ', ']', '\n']).any(|word| word == id);
        plans.split('[').skip(1).any(names)
    };
    for rule in Catalogue::builtin().unwrap().rules() {
        let tested =
            !rule.find.is_editor() || PLANTED.contains(&rule.id.as_str()) || shown(&rule.id);
        assert!(tested, "{}: no case in tests/cases shows it", rule.id);
    }
}

#[test]
fn clones_of_repositories_lose_their_tokens() {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path();
    base(root);
    let config = "[remote \"origin\"]\n\turl = https://bot:tok-1@git.example/a\n\tfetch = +refs/*:refs/*\n\
                  [http]\n\textraheader = AUTHORIZATION: basic Ym90\n[remote \"b\"]\n\turl = ssh://git@git.example/b\n";
    for path in ["srv/ann/src/deep/a/.git/config", "opt/app/.git/config"] {
        write(root, path, config);
    }
    scrub(root, "firstboot: false");
    let kept =
        config.replace("bot:tok-1@", "").replace("\textraheader = AUTHORIZATION: basic Ym90\n", "");
    for path in ["srv/ann/src/deep/a/.git/config", "opt/app/.git/config"] {
        assert_eq!(fs::read_to_string(root.join(path)).unwrap(), kept, "{path}");
    }
}

#[test]
fn a_policy_may_name_settings_of_its_own() {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path();
    base(root);
    write(root, "etc/app/app.ini", "[db]\npin = 1234\nhost = a\n[web]\npin = 5\n");
    let report = scrub(
        root,
        "firstboot: false\nextra_rules:\n- {id: app-pin, what: pin, where: [/etc/app/*.ini], \
         find: settings, keys: [db/pin], action: edit, severity: high, why: w, source: s}\n",
    );
    let new = fs::read_to_string(root.join("etc/app/app.ini")).unwrap();
    assert_eq!(new, "[db]\nhost = a\n[web]\npin = 5\n");
    assert!(report.actions.iter().any(|a| a.action.contains("line 2: pin removed")), "{report:?}");
}

#[test]
fn what_a_home_links_to_is_edited_where_it_lies() {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path();
    base(root);
    write(root, "srv/ann/dotfiles/npmrc", "a=b\n//npm.example/:_authToken=npx_1\n");
    std::os::unix::fs::symlink("dotfiles/npmrc", root.join("srv/ann/.npmrc")).unwrap();
    scrub(root, "firstboot: false");
    assert_eq!(fs::read_to_string(root.join("srv/ann/dotfiles/npmrc")).unwrap(), "a=b\n");
    assert!(fs::symlink_metadata(root.join("srv/ann/.npmrc")).unwrap().is_symlink());
}

#[test]
fn no_report_shows_a_secret() {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path();
    base(root);
    let secret = "zq81-unlikely-text";
    write(root, "etc/environment", &format!("A_TOKEN={secret}\nB=https://u:{secret}@h/\n"));
    write(root, "etc/cloud/cloud.cfg.d/9.cfg", &format!("x: &a {secret}\npassword: *a\n"));
    write(root, "etc/default/agent", &format!("AGENT_SECRET={secret}\n"));
    let report = scrub(root, "firstboot: false");
    assert!(report.findings.len() > 1 && !report.json().contains(secret));
}
