//! The released programs as a user meets them: they start anywhere, and say what is wrong.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use disinherit_tests::base::Base;
use disinherit_tests::command::{find, said};
use disinherit_tests::needs::{Need, trial};
use disinherit_tests::{Context, Result, dist, expect};
use libtest_mimic::Trial;

pub(crate) fn trials() -> Vec<Trial> {
    const CHROOT: &[Need] = &[Need::Root, Need::Dist];
    const TREE: &[Need] = &[Need::Root, Need::BaseTools, Need::Dist];
    vec![
        trial("program::starts_without_any_c_library", CHROOT, starts_without_any_c_library),
        trial("program::starts_on_old_kernels", &[Need::Dist], starts_on_old_kernels),
        trial("program::firstboot_stays_small", &[Need::Dist], firstboot_stays_small),
        trial("program::asks_before_it_scrubs_the_running_system", CHROOT, asks_first),
        trial("program::says_what_is_wrong", TREE, says_what_is_wrong),
        trial("program::works_where_no_thread_can_be_made", CHROOT, works_with_one_thread),
    ]
}

/// It lies in every image, and runs before anything else does: what is not in it cannot break there.
fn firstboot_stays_small() -> Result {
    const BYTES: u64 = 1_500_000;
    const CRATES: usize = 25;
    let program = dist::firstboot()?;
    let size = fs::metadata(&program)?.len();
    expect(size < BYTES, || {
        format!("{} has {size} bytes, {BYTES} are allowed", program.display())
    })?;
    let text = fs::read_to_string(program.with_extension("crates"))?;
    let crates: std::collections::BTreeSet<&str> = text.lines().collect();
    expect((2..CRATES).contains(&crates.len()), || format!("{} crates: {crates:?}", crates.len()))
}

/// A chroot that holds nothing but the program.
fn starts_without_any_c_library() -> Result {
    let folder = tempfile::tempdir()?;
    for program in [dist::plugin()?, dist::firstboot()?] {
        let name = program.file_name().unwrap_or_default();
        fs::copy(&program, folder.path().join(name))?;
        // With an empty environment it would be looked for in /bin and /usr/bin only.
        let output = Command::new(find("chroot").unwrap_or_else(|| "chroot".into()))
            .arg(folder.path())
            .arg(Path::new("/").join(name))
            .arg("--help")
            .env_clear()
            .output()
            .context(|| "start chroot".to_owned())?;
        expect(output.status.success(), || said(&output))?;
    }
    Ok(())
}

/// Without `--yes` and without a terminal nothing happens. In an empty chroot, so that a mistake here
/// costs nobody his machine.
fn asks_first() -> Result {
    let folder = tempfile::tempdir()?;
    fs::copy(dist::plugin()?, folder.path().join("program"))?;
    let output = Command::new(find("chroot").unwrap_or_else(|| "chroot".into()))
        .arg(folder.path())
        .args(["/program", "scrub", "--live"])
        .stdin(std::process::Stdio::null())
        .env_clear()
        .output()
        .context(|| "start chroot".to_owned())?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    expect(output.status.code() == Some(4) && text.contains("--yes"), || said(&output))
}

/// The ABI note names the oldest kernel that the C library starts on, see elf(5).
fn starts_on_old_kernels() -> Result {
    for program in [dist::plugin()?, dist::firstboot()?] {
        let output = Command::new("readelf")
            .args(["--notes", "--program-headers", "--wide"])
            .arg(&program)
            .env("LC_ALL", "C")
            .output()
            .context(|| "start readelf".to_owned())?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let kernel = text.split("ABI: ").nth(1).and_then(|rest| rest.split_whitespace().next());
        let version: Vec<u32> =
            kernel.unwrap_or_default().split('.').filter_map(|n| n.parse().ok()).collect();
        let old = version.get(..2).is_some_and(|v| v <= [3, 10].as_slice());
        expect(old, || format!("{} wants kernel {kernel:?}", program.display()))?;
        expect(!text.contains("INTERP"), || format!("{} is not static", program.display()))?;
    }
    Ok(())
}

fn plugin(args: &[&str], root: &Path) -> Result<Output> {
    let program = dist::plugin()?;
    let mut command = Command::new(&program);
    command.args(args).arg("--root").arg(root).env_clear();
    command.output().context(|| format!("start {}", program.display()))
}

/// Exit codes and remedies of docs/exit-codes.md, by the real program on a real tree.
fn says_what_is_wrong() -> Result {
    let folder = tempfile::tempdir()?;
    let root = folder.path().join("root");
    Base::bookworm()?.unpack_to(&root)?;
    let expect_exit = |args: &[&str], root: &Path, exit: i32, word: &str| -> Result {
        let output = plugin(args, root)?;
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        expect(output.status.code() == Some(exit) && text.contains(word), || {
            format!("{args:?}: wanted {exit} and {word:?}: {}", said(&output))
        })
    };
    expect_exit(&["scrub"], Path::new("/"), 4, "--live")?;
    expect_exit(&["scrub"], &folder.path().join("missing"), 4, "image root")?;
    expect_exit(&["scrub"], folder.path(), 4, "/etc")?;
    let other = folder.path().join("local");
    fs::create_dir_all(other.join("etc"))?;
    expect_exit(&["scrub"], &other, 4, "os-release")?;
    let policy = folder.path().join("policy.yaml");
    let policy_text = policy.display().to_string();
    fs::write(&policy, "keep_user: [x]\n")?;
    expect_exit(&["scrub", "--policy", &policy_text], &root, 2, "keep_user")?;
    fs::write(&policy, "rules: {no-such-rule: off}\n")?;
    expect_exit(&["audit", "--policy", &policy_text], &root, 2, "no-such-rule")?;
    let dirty = plugin(&["audit"], &root)?;
    expect(dirty.status.code() == Some(1), || said(&dirty))?;
    fs::remove_file(root.join("etc/passwd"))?;
    let seal = plugin(&["scrub"], &root)?;
    expect(seal.status.code() == Some(4), || said(&seal))
}

/// RLIMIT_NPROC of setrlimit(2) does not bind root, so another user looks.
fn works_with_one_thread() -> Result {
    const NOBODY: u32 = 65534;
    let folder = tempfile::tempdir()?;
    let program = folder.path().join("program");
    fs::copy(dist::plugin()?, &program)?;
    let root = folder.path().join("root");
    fs::create_dir_all(root.join("etc"))?;
    fs::create_dir_all(root.join("root"))?;
    fs::write(root.join("etc/passwd"), "root:x:0:0::/root:/bin/sh\n")?;
    fs::write(root.join("root/.bash_history"), "id\n")?;
    for path in ["root", "root/etc", "root/etc/passwd", "root/root", "root/root/.bash_history"] {
        std::os::unix::fs::chown(folder.path().join(path), Some(NOBODY), Some(NOBODY))?;
    }
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
    let output = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", "prlimit", "--nproc=1"])
        .arg(&program)
        .args(["audit", "--root"])
        .arg(&root)
        .output()
        .context(|| "start setpriv".to_owned())?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let looked = output.status.code() == Some(1) && text.contains(".bash_history");
    expect(looked, || said(&output))
}
