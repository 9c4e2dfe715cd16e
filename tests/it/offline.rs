//! `scrub --root` on an unpacked Debian tree: nothing secret stays, nothing else changes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use disinherit_tests::base::{Base, repository};
use disinherit_tests::command::{run, said};
use disinherit_tests::escape::judge;
use disinherit_tests::needs::{Need, trial};
use disinherit_tests::tree::{Difference, Tree};
use disinherit_tests::{Context, Result, dist, expect, failed};
use libtest_mimic::Trial;
use serde_json::Value;

const NEEDS: &[Need] = &[Need::Root, Need::BaseTools, Need::Dist];

const MOUNTS: &[Need] = &[Need::Root, Need::Mount, Need::BaseTools, Need::Dist];

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("offline::scrub_changes_what_the_plan_names", NEEDS, changes_what_the_plan_names),
        trial("offline::a_builders_chroot_seals_itself", MOUNTS, a_chroot_seals_itself),
    ]
}

/// One tree, so one test: look, plan, scrub, compare, scrub again, compare.
fn changes_what_the_plan_names() -> Result {
    let base = Base::bookworm()?;
    let folder = tempfile::Builder::new().prefix("tree-").tempdir_in(repository().join("build"))?;
    let root = folder.path();
    base.unpack_to(root)?;
    let before = Tree::read(root)?;

    let plan = scrub(root, &["--dry-run"])?;
    unchanged(&before, &Tree::read(root)?, "a dry run")?;
    scrub(root, &[])?;
    let after = Tree::read(root)?;

    only_named_paths_changed(&plan, &before.differences(&after))?;
    nothing_planted_stays(&base, root)?;
    every_password_field_is_locked(root)?;
    scrub(root, &[])?;
    unchanged(&after, &Tree::read(root)?, "a second scrub")
}

/// A chroot as debootstrap leaves it: its root is no mount point, and yet the image's own sshd is
/// asked, and nothing is left mounted below it.
fn a_chroot_seals_itself() -> Result {
    let folder =
        tempfile::Builder::new().prefix("chroot-").tempdir_in(repository().join("build"))?;
    let root = folder.path().join("root");
    Base::bookworm()?.unpack_to(&root)?;
    let program = root.join("usr/local/sbin/disinherit-firstboot");
    run(Command::new("install").arg("-D").arg(dist::firstboot()?).arg(&program))?;
    // Builders mount it, and the program reads itself through it.
    run(Command::new("mount").args(["--bind", "/proc"]).arg(root.join("proc")))?;
    let sealed = Command::new("chroot")
        .arg(&root)
        .args(["/usr/local/sbin/disinherit-firstboot", "seal"])
        .output()
        .context(|| "start chroot".to_owned())?;
    run(Command::new("umount").arg(root.join("proc")))?;
    let said = said(&sealed);
    expect(sealed.status.success(), || said.clone())?;
    expect(said.contains("00-disinherit.conf") && !said.contains("not tried"), || said.clone())?;
    let mounts = std::fs::read_to_string("/proc/self/mountinfo")?;
    let inside = root.display().to_string();
    expect(!mounts.contains(&inside), || format!("still mounted below {inside}:\n{mounts}"))
}

/// The report of a run; any exit code but 0 is a failure.
fn scrub(root: &Path, options: &[&str]) -> Result<Value> {
    let outcome = judge::scrub(root, options)?;
    expect(outcome.exit == 0, || format!("scrub {options:?}: exit code {}", outcome.exit))?;
    Ok(outcome.report)
}

fn unchanged(before: &Tree, after: &Tree, what: &str) -> Result {
    let found = before.differences(after);
    expect(found.is_empty(), || format!("{what} changed {}", list(&found)))
}

/// A path may differ when the plan names it, or a folder above it, or when it is a folder on the
/// way to a new file. A folder may get a new time when one of its entries came or went.
fn only_named_paths_changed(plan: &Value, differences: &[Difference]) -> Result {
    let actions = plan["actions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let named: BTreeSet<PathBuf> =
        actions.iter().filter_map(|action| action["path"].as_str()).map(PathBuf::from).collect();
    expect(!named.is_empty(), || "the plan names nothing".to_owned())?;
    let planned = |difference: &&Difference| {
        let path = &difference.path;
        let on_the_way = difference.what == "added" && named.iter().any(|n| n.starts_with(path));
        on_the_way || path.ancestors().any(|path| named.contains(path))
    };
    let touched: BTreeSet<&Path> =
        differences.iter().filter(planned).filter_map(|found| found.path.parent()).collect();
    let unnamed: Vec<Difference> = differences
        .iter()
        .filter(|difference| !planned(difference))
        .filter(|found| found.what != "mtime" || !touched.contains(found.path.as_path()))
        .cloned()
        .collect();
    expect(unnamed.is_empty(), || format!("not in the plan: {}", list(&unnamed)))
}

fn nothing_planted_stays(base: &Base, root: &Path) -> Result {
    let mut left = Vec::new();
    for secret in base.planted()? {
        let output = Command::new("grep")
            .args(["--recursive", "--files-with-matches", "--text", "--fixed-strings", "--regexp"])
            .arg(&secret.value)
            .arg(root)
            .env("LC_ALL", "C")
            .output()
            .context(|| "start grep".to_owned())?;
        match output.status.code() {
            Some(0) => left.push(format!("{}: {}", secret.id, said(&output))),
            Some(1) => {}
            _ => return Err(failed(format!("grep: {}", said(&output)))),
        }
    }
    expect(left.is_empty(), || format!("still in the tree: {}", left.join("; ")))
}

/// Neither a hash nor an empty field, in shadow(5) and its backup.
fn every_password_field_is_locked(root: &Path) -> Result {
    for name in ["etc/shadow", "etc/shadow-"] {
        let Ok(text) = std::fs::read_to_string(root.join(name)) else { continue };
        for line in text.lines() {
            let mut fields = line.split(':');
            let (user, field) = (fields.next().unwrap_or(""), fields.next().unwrap_or(""));
            let locked = matches!(field, "*" | "!" | "!*" | "!!");
            expect(locked, || format!("{name}: the field of {user} is not locked"))?;
        }
    }
    Ok(())
}

fn list(differences: &[Difference]) -> String {
    let shown: Vec<String> = differences.iter().take(40).map(ToString::to_string).collect();
    format!("{} paths: {}", differences.len(), shown.join("; "))
}
