//! Cases of `docs/test-cases.md` that want the released program and a whole tree.

use std::path::Path;
use std::process::{Command, Output};

use disinherit_tests::base::{Base, repository};
use disinherit_tests::command::{run, said};
use disinherit_tests::layer::Layer;
use disinherit_tests::needs::{Need, trial};
use disinherit_tests::nspawn::{Boot, Container};
use disinherit_tests::ssh::{Answer, Door, Proof};
use disinherit_tests::tree::Tree;
use disinherit_tests::{Context, Result, dist, expect};
use libtest_mimic::Trial;

const NEEDS: &[Need] = &[Need::Root, Need::Mount, Need::BaseTools, Need::Dist];
const BOOTED: &[Need] =
    &[Need::Root, Need::Mount, Need::Nspawn, Need::BaseTools, Need::Ssh, Need::Dist];

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("cases::shadow_utils_bring_no_hash_back", NEEDS, shadow_utils),
        trial("cases::a_look_writes_nothing_to_the_disk", NEEDS, a_look_writes_nothing),
        trial("cases::an_old_kernel_and_few_rights_do_not_matter", NEEDS, old_kernel),
        trial("cases::the_session_that_scrubs_survives", BOOTED, the_session_survives),
    ]
}

fn scrub(root: &Path, wrapper: &[&str], options: &[&str]) -> Result<Output> {
    let (first, rest) = wrapper.split_first().unwrap_or((&"env", &[]));
    Command::new(first)
        .args(rest)
        .arg(dist::plugin()?)
        .args(["scrub", "--format", "json", "--firstboot"])
        .arg(dist::firstboot()?)
        .arg("--root")
        .arg(root)
        .args(options)
        .output()
        .context(|| "start the scrub".to_owned())
}

/// T30: every program of shadow-utils keeps the row of before as `/etc/shadow-`.
fn shadow_utils() -> Result {
    let layer = Layer::over(&Base::bookworm()?.tree()?)?;
    let output = scrub(&layer.root(), &[], &[])?;
    expect(output.status.code() == Some(0), || said(&output))?;
    let hashes = |name: &str| -> Result<usize> {
        let file = layer.root().join(name);
        if !file.exists() {
            return Ok(0);
        }
        Ok(std::fs::read_to_string(file)?.matches(":$").count())
    };
    for name in ["etc/shadow", "etc/shadow-", "etc/gshadow-", "etc/passwd-"] {
        let count = hashes(name)?;
        expect(count == 0, || format!("{count} hashes in {name} when the capture begins"))?;
    }
    for line in ["usermod --comment x builder", "passwd --lock builder", "groupadd late"] {
        layer.chroot(&line.split(' ').collect::<Vec<_>>())?;
    }
    let backup = layer.root().join("etc/shadow-");
    expect(backup.exists(), || "shadow-utils kept no copy: the test means nothing".to_owned())?;
    expect(hashes("etc/shadow-")? == 0, || "the old hash is back in /etc/shadow-".to_owned())
}

/// T44: not one block of the file system is written by an audit or a dry run.
fn a_look_writes_nothing() -> Result {
    let folder = tempfile::Builder::new().prefix("look-").tempdir_in(repository().join("build"))?;
    let disk = folder.path().join("disk.raw");
    run(Command::new("mke2fs")
        .args(["-q", "-t", "ext4", "-E", "lazy_itable_init=0,lazy_journal_init=0", "-d"])
        .arg(Base::bookworm()?.tree()?)
        .arg(&disk)
        .arg("900m"))?;
    let point = folder.path().join("mounted");
    std::fs::create_dir(&point)?;
    // Reading would note its time; that is the mount's doing.
    run(Command::new("mount").args(["-o", "loop,noatime"]).args([&disk, &point]))?;
    let looked = looked_at(&disk, &point);
    run(Command::new("umount").arg(&point))?;
    looked
}

fn looked_at(disk: &Path, point: &Path) -> Result {
    let digest = || -> Result<String> {
        run(&mut Command::new("sync"))?;
        run(Command::new("sha256sum").arg(disk))
    };
    // The first open of a file makes ext4 note where it is mounted.
    std::fs::read(point.join("etc/passwd"))?;
    let before = digest()?;
    for options in [&["scrub", "--dry-run"][..], &["audit"]] {
        let output = Command::new(dist::plugin()?)
            .args(options)
            .arg("--root")
            .arg(point)
            .output()
            .context(|| "start the program".to_owned())?;
        expect(output.status.code().is_some_and(|code| code < 2), || said(&output))?;
        expect(digest()? == before, || format!("{options:?} wrote to the disk"))?;
    }
    let output = scrub(point, &[], &["--erase", "files", "--proof", "off"])?;
    expect(output.status.code().is_some_and(|code| code < 2), || said(&output))?;
    expect(digest()? != before, || "a scrub was not seen either".to_owned())
}

/// T45: without openat2(2) and statx(2), and as root without most capabilities, the same files come
/// out, or the report says what could not be done.
fn old_kernel() -> Result {
    let tree = Base::bookworm()?.tree()?;
    let helper = repository().join("tests/without-syscall.py").display().to_string();
    let few = "--bounding-set=-sys_admin,-linux_immutable,-sys_resource,-sys_rawio";
    let inheritable = "--inh-caps=-all";
    let ways: [&[&str]; 3] = [&[], &[&helper, "437"], &["setpriv", few, inheritable]];
    let mut results = Vec::new();
    for way in ways {
        let layer = Layer::over(&tree)?;
        let output = scrub(&layer.root(), way, &["--erase", "files"])?;
        expect(output.status.code() == Some(0), || format!("{way:?}: {}", said(&output)))?;
        let report: serde_json::Value = serde_json::from_slice(&output.stdout)?;
        results.push((way, Tree::read(&layer.root())?, report));
    }
    let Some(((_, expected, _), others)) = results.split_first() else { return Ok(()) };
    for (way, tree, report) in others {
        let differs: Vec<String> = expected
            .differences(tree)
            .iter()
            .filter(|found| found.what != "mtime")
            .map(ToString::to_string)
            .collect();
        expect(differs.is_empty(), || format!("{way:?}: {differs:?}: {report}"))?;
    }
    Ok(())
}

/// T34: the login of the one who scrubs is locked and its key removed under it; the session lives on
/// until the machine switches itself off, and nobody comes in any more.
fn the_session_survives() -> Result {
    let base = Base::bookworm()?;
    let layer = Layer::over(&base.tree()?)?;
    let container = Container::boot(&layer, &Boot::with_programs()?)?;
    container.wait_running()?;
    let builder = base.builder()?;
    let (door, key) = (Door::of_container(&container), Proof::Key(&builder.key));
    let script = "sudo umount /etc/fstab; sudo /opt/programs/packer-plugin-disinherit scrub --live --yes --erase files \
                  --firstboot /opt/programs/disinherit-firstboot --format json 2>&1; echo code=$?; \
                  id -un; cat .ssh/authorized_keys 2>&1; sudo -n true 2>&1 || echo no sudo";
    let answer = door.login(&builder.user, key, script)?;
    let Answer::In(told) = answer else {
        return Err(disinherit_tests::failed(format!("the session ended: {answer:?}")));
    };
    let alive = told.contains("code=0") && told.contains(&format!("\n{}\n", builder.user));
    expect(alive, || format!("{told}\n{}", container.console()))?;
    expect(told.contains("No such file"), || format!("the key is still there: {told}"))?;
    let later = door.login(&builder.user, key, "true")?;
    expect(!matches!(later, Answer::In(_)), || format!("a later login: {later:?}"))?;
    let shadow = container.run(&["cat", "/etc/shadow"])?;
    expect(!shadow.contains(":$"), || "a hash is left".to_owned())?;
    container.power_off()
}
