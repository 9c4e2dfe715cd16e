//! What the content scan leaves alone: a tree without anything wrong in it, and what policy keeps.
//!
//! The package database is taken away, so that nothing is spared because a package owns it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use disinherit_tests::base::{Base, repository};
use disinherit_tests::command::run;
use disinherit_tests::escape::dice::Dice;
use disinherit_tests::escape::generate;
use disinherit_tests::escape::judge::{self, Outcome};
use disinherit_tests::escape::world::{Item, World};
use disinherit_tests::layer::Layer;
use disinherit_tests::needs::{Need, full, trial};
use disinherit_tests::tree::Tree;
use disinherit_tests::{Context, Result, expect};
use libtest_mimic::Trial;

const NEEDS: &[Need] = &[Need::Root, Need::Mount, Need::BaseTools, Need::Ssh, Need::Dist];

/// Rules of the content scan have this in front.
const CONTENT: &str = "con-";

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = vec![
        trial("precision::nothing_goes_from_a_clean_tree_by_content", NEEDS, clean_tree),
        trial("precision::policy_keeps_whatever_goes_by_content", NEEDS, kept_by_policy),
    ];
    if full() {
        trials.push(trial("precision::nginx_and_postgresql_keep_their_keys", NEEDS, services));
    }
    trials
}

/// Where services keep keys of their own, and who owns them.
const KEYS: &[(&str, &str, &str)] = &[
    ("/etc/nginx/tls/shop.example.key", "root", "pem-rsa"),
    ("/etc/nginx/ssl/admin.pem", "root", "pem-pkcs8"),
    ("/etc/postgresql/15/main/server.key", "postgres", "pem-ec"),
    ("/etc/ssl/private/shop.key", "root", "pem-rsa"),
    ("/etc/postfix/tls/smtpd.key", "root", "pem-ed25519"),
    ("/opt/shop/etc/jwt-signing.pem", "root", "pem-pkcs8"),
    ("/var/lib/shop/ca/private/ca.key", "root", "pem-encrypted"),
];

/// The packages of the base, nothing planted, in every run of the tests.
fn clean_tree() -> Result {
    let script = repository().join("examples/debian-qemu/build-base.sh");
    expect(script.exists(), || "no script for the base".to_owned())?;
    Base::bookworm()?;
    let cache = repository().join("build/cache");
    let listed = std::fs::read_dir(&cache).context(|| format!("list {}", cache.display()))?;
    let archives: Vec<PathBuf> = listed.filter_map(|entry| Some(entry.ok()?.path())).collect();
    let is_it = |path: &&PathBuf| {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        name.is_some_and(|name| name.starts_with("debian-bookworm-") && name.ends_with(".tar"))
    };
    let archive = archives.iter().find(is_it);
    let archive =
        archive.ok_or_else(|| disinherit_tests::failed("the base's packages are gone"))?;
    nothing_goes_by_content(archive, 10_000)
}

/// A tree of many more files, with documentation, test data and two configured servers.
fn services() -> Result {
    run(&mut Command::new(repository().join("tests/services-tree.sh")))?;
    nothing_goes_by_content(&repository().join("build/debian-services.tar"), 15_000)
}

fn nothing_goes_by_content(archive: &Path, at_least: usize) -> Result {
    let layer = Layer::unpacked(archive)?;
    let mut world = World::new(&layer.root(), Dice::new());
    for (path, owner, kind) in KEYS {
        let known = std::fs::read_to_string(layer.root().join("etc/passwd"))?;
        let owner =
            known.lines().any(|row| row.starts_with(&format!("{owner}:"))).then_some(*owner);
        world.control(&Item {
            owner: owner.map(str::to_owned),
            mode: Some("0600".to_owned()),
            ..Item::new(*path, format!("{{{{~{kind}}}}}\n"))
        })?;
    }
    std::fs::remove_dir_all(layer.root().join("var/lib/dpkg"))?;
    let before = Tree::read(&layer.root())?;
    expect(before.files() >= at_least, || format!("only {} files", before.files()))?;

    let outcome = judge::scrub(&layer.root(), &[])?;
    let removed = by_content(&outcome);
    expect(removed.is_empty(), || format!("by content alone: {removed:?}"))?;
    let differences = before.differences(&Tree::read(&layer.root())?);
    let keys: BTreeSet<&PathBuf> = world.controls().iter().collect();
    let changed: Vec<String> = differences
        .iter()
        .filter(|found| keys.contains(&found.path))
        .map(ToString::to_string)
        .collect();
    expect(changed.is_empty(), || format!("keys of services: {changed:?}"))?;
    // They stay, and the build fails over each of them until policy says that they may.
    let named = outcome.named();
    let unnamed: Vec<&&PathBuf> = keys.iter().filter(|key| !named.contains(**key)).collect();
    expect(unnamed.is_empty() && outcome.exit == 1, || format!("not named: {unnamed:?}"))
}

/// Paths of actions that no rule but those of the content scan asks for.
fn by_content(outcome: &Outcome) -> BTreeSet<PathBuf> {
    let only_content = |rules: &[String]| rules.iter().all(|rule| rule.starts_with(CONTENT));
    outcome
        .actions()
        .into_iter()
        .filter(|(_, rules)| only_content(rules))
        .map(|(path, _)| path)
        .collect()
}

/// What goes by content on a dirty tree stays by its path, and by its rule.
fn kept_by_policy() -> Result {
    let layer = Layer::copy_of(&Base::bookworm()?)?;
    let mut world = World::new(&layer.root(), Dice::new());
    generate::plant(&mut world)?;
    let outcome = judge::scrub(&layer.root(), &["--dry-run"])?;
    let removed = by_content(&outcome);
    expect(removed.len() >= 10, || format!("only {} by content", removed.len()))?;
    let paths: Vec<String> = removed.iter().map(|path| pattern(path)).collect();
    let rules: BTreeSet<String> = outcome
        .actions()
        .into_iter()
        .filter(|(path, _)| removed.contains(path))
        .flat_map(|(_, rules)| rules)
        .collect();
    let by_rule: serde_json::Map<String, serde_json::Value> =
        rules.into_iter().map(|rule| (rule, "report".into())).collect();
    for policy in
        [serde_json::json!({"allow": {"paths": paths}}), serde_json::json!({"rules": by_rule})]
    {
        let file = tempfile::NamedTempFile::new()?;
        std::fs::write(file.path(), policy.to_string())?;
        let name = file.path().display().to_string();
        let kept = judge::scrub(&layer.root(), &["--dry-run", "--policy", &name])?;
        let still = by_content(&kept);
        expect(still.is_empty(), || format!("in spite of {policy}: {still:?}"))?;
    }
    Ok(())
}

/// The path as a pattern: what has a meaning in patterns, or is no text, is any character.
fn pattern(path: &Path) -> String {
    let text = path.to_string_lossy();
    text.chars().map(|c| if "*?[]{}\\\u{fffd}".contains(c) { '?' } else { c }).collect()
}
