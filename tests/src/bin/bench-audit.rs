//! The whole audit of a Debian tree against secret scanners and grep on the same tree, in one run:
//! time, memory, and how many files with a planted credential each of them names. Then the audit
//! of trees of 15, 60 and 240 thousand files.
#![allow(clippy::print_stdout)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use disinherit_tests::base::{Base, repository};
use disinherit_tests::escape::corpus;
use disinherit_tests::escape::dice::Dice;
use disinherit_tests::escape::world::World;
use disinherit_tests::{Context, Result, failed};

/// Each is run this often; the median counts. A scanner that takes a minute is run once.
const ROUNDS: usize = 5;

/// One run: how long, and how much memory at most in KiB.
#[derive(Clone, Copy)]
struct Cost {
    time: Duration,
    memory: u64,
}

fn main() -> Result {
    let folder = tempfile::Builder::new().prefix("bench-audit-").tempdir_in("/var/tmp")?;
    let tree = folder.path().join("tree");
    Base::bookworm()?.unpack_to(&tree)?;
    let mut world = World::new(&tree, Dice::new());
    corpus::plant(&mut world)?;
    let planted: BTreeSet<PathBuf> = world.secrets().iter().map(|s| s.path.clone()).collect();
    println!(
        "{} threads; {} files; {} with a planted credential\n",
        threads(),
        files(&tree)?.len(),
        planted.len()
    );

    let report = folder.path().join("report");
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("load of the machine before: {}\n", load.trim());
    // The first one warms the cache.
    measure(&mut grep(&tree), 2)?;
    let grep_cost = measure(&mut grep(&tree), ROUNDS)?;
    let ours = measure(&mut audit(&tree, &report), ROUNDS)?;
    let found_ours = named(&report, &tree, &planted)?;
    let kingfisher = measure(&mut kingfisher(&tree, &report)?, 3)?;
    let mut found_both = named(&report, &tree, &planted)?;
    let found_kingfisher = found_both.len();
    let gitleaks = measure(&mut gitleaks(&tree, &report)?, 1)?;
    let found_gitleaks = named(&report, &tree, &planted)?;
    found_both.extend(found_gitleaks.clone());

    println!("{:<34} {:>8} {:>9} {:>7} {:>10}", "", "time", "memory", "named", "ours is");
    row("grep -rFa for one string", grep_cost, None, ours);
    row("kingfisher 2.14", kingfisher, Some(found_kingfisher), ours);
    row("gitleaks", gitleaks, Some(found_gitleaks.len()), ours);
    row("disinherit audit", ours, Some(found_ours.len()), ours);
    println!("\nnamed by kingfisher and gitleaks together: {}", found_both.len());
    let missed: Vec<_> = found_both.difference(&found_ours).collect();
    println!("named by one of them and not by ours: {missed:?}\n");
    goal("4 times faster than kingfisher", ratio(kingfisher, ours) >= 4.0);
    goal("40 times faster than gitleaks", ratio(gitleaks, ours) >= 40.0);
    goal("at most 3 times the time of grep", ratio(ours, grep_cost) <= 3.0);
    goal("more found than both together", found_ours.len() > found_both.len());
    goal("below 100 MiB", ours.memory < 100 << 10);
    drop(world);
    grown(folder.path(), &tree, &report)
}

/// Trees of 15, 60 and 240 thousand files: the time for a file stays the same.
fn grown(folder: &Path, tree: &Path, report: &Path) -> Result {
    println!("\n{:>8} {:>8} {:>9} {:>14}", "files", "time", "memory", "for one file");
    let image = folder.join("image");
    for part in ["etc", "srv"] {
        fs::create_dir_all(image.join(part)).context(|| format!("create {part}"))?;
    }
    fs::copy(tree.join("etc/passwd"), image.join("etc/passwd"))
        .context(|| "copy passwd".to_owned())?;
    let files = files(tree)?;
    let mut costs = Vec::new();
    // The file of accounts is there already.
    let mut there = 1;
    for wanted in [15_000, 60_000, 240_000] {
        while there < wanted {
            let (copy, at) = ((there - 1) / files.len(), (there - 1) % files.len());
            let copy = image.join(format!("srv/{copy}"));
            for file in files.iter().skip(at).take(wanted - there) {
                link(&tree.join(file), &copy.join(file))?;
                there += 1;
            }
        }
        let cost = measure(&mut audit(&image, report), 3)?;
        let each =
            cost.time.as_secs_f64() * 1e6 / f64::from(u32::try_from(there).unwrap_or(u32::MAX));
        println!(
            "{there:>8} {:>6.2} s {:>5} MiB {each:>11.1} µs",
            cost.time.as_secs_f64(),
            cost.memory >> 10
        );
        costs.push((each, cost.memory));
    }
    if let (Some((few, _)), Some((many, memory))) = (costs.first(), costs.last()) {
        println!();
        goal("linear: the last file costs at most 1.3 times the first", many / few <= 1.3);
        goal("below 100 MiB for any tree", *memory < 100 << 10);
    }
    Ok(())
}

/// A hard link: the same bytes under another name, read again for it.
fn link(from: &Path, to: &Path) -> Result {
    if let Some(above) = to.parent() {
        fs::create_dir_all(above).context(|| format!("create {}", above.display()))?;
    }
    fs::hard_link(from, to).context(|| format!("link {}", to.display()))
}

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn goal(what: &str, reached: bool) {
    println!("{}  {what}", if reached { "reached" } else { "MISSED " });
}

fn ratio(one: Cost, other: Cost) -> f64 {
    one.time.as_secs_f64() / other.time.as_secs_f64()
}

fn row(what: &str, cost: Cost, named: Option<usize>, ours: Cost) {
    let named = named.map_or(String::new(), |n| n.to_string());
    let times = ratio(cost, ours);
    let faster = if times >= 1.0 {
        format!("{times:.1} x faster")
    } else {
        format!("{:.2} x slower", 1.0 / times)
    };
    println!(
        "{what:<34} {:>6.2} s {:>5} MiB {named:>7}   {faster}",
        cost.time.as_secs_f64(),
        cost.memory >> 10
    );
}

/// The median time of `rounds` runs and the largest memory. What a program exits with is its own
/// business: scanners exit with 1 and more when they find something.
fn measure(command: &mut Command, rounds: usize) -> Result<Cost> {
    let mut costs = Vec::new();
    for _ in 0..rounds {
        let start = Instant::now();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context(|| format!("start {command:?}"))?;
        let memory = peak(&mut child)?;
        costs.push(Cost { time: start.elapsed(), memory });
    }
    costs.sort_by_key(|cost| cost.time);
    let memory = costs.iter().map(|cost| cost.memory).max().unwrap_or_default();
    let middle = costs.get(costs.len() / 2).ok_or_else(|| failed("nothing was run"))?;
    Ok(Cost { memory, ..*middle })
}

/// Waits for the end; the highest resident memory that was seen, in KiB.
fn peak(child: &mut std::process::Child) -> Result<u64> {
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    loop {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let now = line.and_then(|l| l.trim().trim_end_matches(" kB").parse().ok());
        peak = peak.max(now.unwrap_or_default());
        if child.try_wait().context(|| "wait for a scanner".to_owned())?.is_some() {
            return Ok(peak);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn grep(tree: &Path) -> Command {
    let mut command = Command::new("grep");
    command.args(["-rFa", "no file of this tree has this"]).arg(tree);
    command
}

fn audit(tree: &Path, report: &Path) -> Command {
    let mut command = Command::new(repository().join("build/dist/packer-plugin-disinherit"));
    command.args(["audit", "--format", "json", "--root"]).arg(tree).arg("--output").arg(report);
    command
}

fn kingfisher(tree: &Path, report: &Path) -> Result<Command> {
    let program = tool("kingfisher")?;
    let mut command = Command::new(program);
    command.arg("scan").arg(tree).args([
        "--no-validate",
        "--git-history",
        "none",
        "--no-update-check",
    ]);
    command.args(["--format", "json", "--output"]).arg(report);
    Ok(command)
}

fn gitleaks(tree: &Path, report: &Path) -> Result<Command> {
    let mut command = Command::new(tool("gitleaks")?);
    command.arg("dir").arg(tree).args([
        "--no-banner",
        "--exit-code",
        "0",
        "--report-format",
        "json",
    ]);
    command.arg("--report-path").arg(report);
    Ok(command)
}

/// What `tests/setup.sh full` has put beside the build.
fn tool(name: &str) -> Result<PathBuf> {
    let path = repository().join("build/tools/bin").join(name);
    if path.exists() {
        Ok(path)
    } else {
        Err(failed(format!("{name} is missing: run tests/setup.sh full")))
    }
}

/// Which of the planted files a report names, ours by paths in the image, others by paths here.
fn named(report: &Path, tree: &Path, planted: &BTreeSet<PathBuf>) -> Result<BTreeSet<PathBuf>> {
    let text = fs::read_to_string(report).context(|| "read a report".to_owned())?;
    let quoted = |path: &Path| {
        let text = serde_json::to_string(&path.to_string_lossy()).unwrap_or_default();
        text.trim_matches('"').to_owned()
    };
    let is_named = |path: &&PathBuf| {
        let here = tree.join(path.strip_prefix("/").unwrap_or(path));
        text.contains(&format!("\"{}", quoted(path))) || text.contains(&quoted(&here))
    };
    let found = planted.iter().filter(is_named).cloned().collect();
    fs::remove_file(report).context(|| "remove a report".to_owned())?;
    Ok(found)
}

/// The regular files of a tree, relative to it.
fn files(tree: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let failed = || format!("list {}", folder.display());
        for entry in fs::read_dir(tree.join(&folder)).context(failed)? {
            let entry = entry.context(failed)?;
            let (path, kind) = (folder.join(entry.file_name()), entry.file_type().context(failed)?);
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}
