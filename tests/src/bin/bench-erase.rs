//! Erasing free space and searching a device, beside the programs that people use for it.
//!
//! Prints Markdown; `tests/bench.sh erase` keeps it in `docs/benchmarks/erase.txt`. Each line starts
//! from a fresh copy of the same image: 4 GiB of ext4 with 2000 deleted files of 20 kB, 40 MB of
//! secrets, between 2000 that live.
//!
//! Arguments name the parts to run (`machine`, `raw`, `qcow2`, `qcow2-discard`, `search`), all of
//! them without: what one table compares is always measured in one run, so that a machine can be
//! kept quiet for one table at a time.

use std::fs;
use std::io::{Write, stdout};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use disinherit_core::erase::{EraseMode, FileSystem, Way, erase};
use disinherit_core::proof::{Needles, search};
use disinherit_tests::base::repository;
use disinherit_tests::command::run;
use disinherit_tests::volume::{Format, Volume};
use disinherit_tests::{Context, Result, expect, failed};
use rand::distr::{Alphanumeric, SampleString as _};

const SIZE: u64 = 4 << 30;
const FILES: usize = 2000;
const SEARCHED: u64 = 2 << 30;

/// A way to make deleted files unreadable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    Fill,
    Auto,
    Zeros,
    Trim,
    Zerofree,
}

impl Method {
    fn name(self) -> &'static str {
        match self {
            Self::Fill => "disinherit --erase fill, online",
            Self::Auto => "disinherit --erase auto, online",
            Self::Zeros => "dd of zeros, sync, rm, online",
            Self::Trim => "fstrim, online",
            Self::Zerofree => "zerofree, offline",
        }
    }

    /// Treats the mounted `volume` and leaves it unmounted.
    fn run(self, volume: &Volume) -> Result {
        match self {
            Self::Fill => ours(volume, EraseMode::Fill)?,
            Self::Auto => ours(volume, EraseMode::Auto)?,
            Self::Zeros => zeros(volume.point())?,
            Self::Trim => {
                run(Command::new("fstrim").arg(volume.point()))?;
                sync(volume.point())?;
            }
            Self::Zerofree => {
                volume.unmount()?;
                return run(Command::new("zerofree").arg(volume.device())).map(drop);
            }
        }
        Ok(())
    }
}

/// The tables, by the name of their part.
const TABLES: [(&str, Format); 3] =
    [("raw", Format::Raw), ("qcow2", Format::Qcow2Ignoring), ("qcow2-discard", Format::Qcow2)];

const METHODS: [Method; 5] =
    [Method::Fill, Method::Auto, Method::Zeros, Method::Trim, Method::Zerofree];

/// What one method did.
struct Row {
    method: Method,
    seconds: f64,
    written: u64,
    grown: i128,
    left: u64,
}

fn main() -> Result {
    let parent =
        tempfile::Builder::new().prefix("bench-").tempdir_in(repository().join("build"))?;
    let mut out = stdout();
    let parts = wanted()?;
    let wants = |part: &str| parts.is_empty() || parts.iter().any(|wanted| wanted == part);
    if wants("machine") {
        writeln!(out, "# Erasing and searching, beside others\n\n{}\n", machine()?)?;
    }
    let secret = word(32);
    let mut tables = Vec::new();
    for (part, format) in TABLES.into_iter().filter(|(part, _)| wants(part)) {
        let (image, planted) = prepare(format, parent.path(), &secret)?;
        let load = load()?;
        let rows = METHODS
            .iter()
            .map(|method| measure(*method, format, image.image(), parent.path(), &secret))
            .collect::<Result<Vec<Row>>>()?;
        print_table(&mut out, format, planted, &rows)?;
        writeln!(out, "`{part}`, load {load} before the first line.\n")?;
        tables.push((format, rows));
    }
    let searched = if wants("search") { searches(&mut out, parent.path()) } else { Ok(()) };
    judge(&tables).and(searched)
}

/// The parts that were named; every name is one.
fn wanted() -> Result<Vec<String>> {
    let parts: Vec<String> = std::env::args().skip(1).collect();
    let known = |part: &String| {
        matches!(part.as_str(), "machine" | "search") || TABLES.iter().any(|(name, _)| name == part)
    };
    expect(parts.iter().all(known), || format!("no such part: {}", parts.join(" ")))?;
    Ok(parts)
}

fn word(length: usize) -> String {
    Alphanumeric.sample_string(&mut rand::rng(), length)
}

fn machine() -> Result<String> {
    let kernel = run(Command::new("uname").arg("-r"))?;
    let processors = run(&mut Command::new("nproc"))?;
    Ok(format!("Kernel {}, {} processors.", kernel.trim(), processors.trim()))
}

/// The load of the last minute.
fn load() -> Result<String> {
    let load = fs::read_to_string("/proc/loadavg")?;
    Ok(load.split(' ').next().unwrap_or_default().to_owned())
}

/// A mounted and then unmounted image, and how many copies of the secret its device holds.
fn prepare(format: Format, parent: &Path, secret: &str) -> Result<(Volume, u64)> {
    let volume = Volume::new(format, SIZE, parent)?;
    // Otherwise the kernel itself makes the image grow while we look.
    run(Command::new("mkfs.ext4")
        .args(["-q", "-E", "lazy_itable_init=0,lazy_journal_init=0"])
        .arg(volume.device()))?;
    volume.mount()?;
    let text = format!("{secret}\n").repeat(20_000 / (secret.len() + 1));
    let at = |name: &str, number| volume.point().join(format!("{name}-{number}"));
    for number in 0..FILES {
        fs::write(at("secret", number), &text)?;
        fs::write(at("live", number), vec![b'l'; 3000])?;
    }
    sync(volume.point())?;
    for number in 0..FILES {
        fs::remove_file(at("secret", number))?;
    }
    sync(volume.point())?;
    volume.unmount()?;
    let planted = volume.count(secret)?;
    expect(planted > 1_000_000, || format!("only {planted} copies of the secret"))?;
    volume.taken()?;
    Ok((volume, planted))
}

fn measure(
    method: Method,
    format: Format,
    image: &Path,
    parent: &Path,
    secret: &str,
) -> Result<Row> {
    let volume = Volume::copy_of(image, format, parent)?;
    volume.mount()?;
    let (taken, written) = (volume.taken()?, volume.written()?);
    let began = Instant::now();
    method.run(&volume).context(|| method.name().to_owned())?;
    let seconds = began.elapsed().as_secs_f64();
    let written = volume.written()? - written;
    if method != Method::Zerofree {
        volume.unmount()?;
    }
    let grown = i128::from(volume.taken()?) - i128::from(taken);
    Ok(Row { method, seconds, written, grown, left: volume.count(secret)? })
}

fn ours(volume: &Volume, mode: EraseMode) -> Result {
    let fs = FileSystem::of(volume.point()).map_err(|error| failed(error.report()))?;
    let report = erase(&fs, mode, &mut |_| ()).map_err(|error| failed(error.report()))?;
    expect(report.way != Way::None && report.left == 0, || format!("{report:?}"))
}

/// As recipes have it.
fn zeros(top: &Path) -> Result {
    let file = top.join("zeros");
    let to = format!("of={}", file.display());
    // Ends with an error when the disk is full: that is what it is for.
    Command::new("dd").args(["if=/dev/zero", &to, "bs=1M"]).output()?;
    sync(top)?;
    fs::remove_file(file)?;
    sync(top)
}

fn sync(top: &Path) -> Result {
    Ok(rustix::fs::syncfs(fs::File::open(top)?)?)
}

fn print_table(out: &mut impl Write, format: Format, planted: u64, rows: &[Row]) -> Result {
    let title = match format {
        Format::Raw => "Sparse raw file, direct I/O, discard punches holes",
        Format::Qcow2Ignoring => "qcow2 as QEMU has it by default (discard=ignore)",
        Format::Qcow2 => "qcow2 with discard=unmap",
    };
    writeln!(out, "## {title}: {planted} copies of a deleted secret\n")?;
    writeln!(out, "| method | seconds | of dd's time | MiB written | image grew, MiB | left |")?;
    writeln!(out, "|---|---|---|---|---|---|")?;
    let dd = seconds(rows, Method::Zeros);
    for row in rows {
        writeln!(
            out,
            "| {} | {:.2} | {:.2} | {} | {:+} | {} |",
            row.method.name(),
            row.seconds,
            row.seconds / dd,
            row.written >> 20,
            row.grown / (1 << 20),
            row.left
        )?;
    }
    Ok(writeln!(out)?)
}

fn seconds(rows: &[Row], method: Method) -> f64 {
    rows.iter().find(|row| row.method == method).map_or(f64::NAN, |row| row.seconds)
}

/// The search of a device of random bytes, beside dd right before it.
fn searches(out: &mut impl Write, parent: &Path) -> Result {
    let volume = Volume::new(Format::Raw, SEARCHED, parent)?;
    let device = volume.device().display();
    let dd = |arguments: &[String]| run(Command::new("dd").args(arguments)).map(drop);
    dd(&[
        "if=/dev/urandom".into(),
        format!("of={device}"),
        "bs=1M".into(),
        "oflag=direct".into(),
        format!("count={}", SEARCHED >> 20),
    ])?;
    let read =
        [format!("if={device}"), "of=/dev/null".into(), "bs=1M".into(), "iflag=direct".into()];
    dd(&read)?;
    let (load, mut slow) = (load()?, Vec::new());
    writeln!(out, "## Search of {} MiB of random bytes\n", SEARCHED >> 20)?;
    writeln!(
        out,
        "| secrets | seconds | dd iflag=direct, seconds | of dd's speed |\n|---|---|---|---|"
    )?;
    for count in [1, 100, 10_000] {
        let mut needles = Needles::new();
        for number in 0..count {
            needles.add(number, word(32).as_bytes());
        }
        let mut ratios: Vec<(f64, f64)> = Vec::new();
        for _ in 0..3 {
            let began = Instant::now();
            dd(&read)?;
            let theirs = began.elapsed().as_secs_f64();
            let began = Instant::now();
            let report = search(&[volume.device().to_owned()], &needles, None, &mut |_| ())
                .map_err(|error| failed(error.report()))?;
            ratios.push((began.elapsed().as_secs_f64(), theirs));
            expect(report.is_proof(), || format!("{report:?}"))?;
        }
        // The median of three pairs.
        ratios.sort_by(|a, b| (a.1 / a.0).total_cmp(&(b.1 / b.0)));
        let (ours, theirs) = ratios.get(1).copied().unwrap_or_default();
        writeln!(out, "| {count} | {ours:.2} | {theirs:.2} | {:.2} |", theirs / ours)?;
        if theirs / ours < 0.5 {
            slow.push(count);
        }
    }
    writeln!(out, "\n`search`, load {load} before the first line; medians of three pairs.")?;
    expect(slow.is_empty(), || format!("too slow: the search of {slow:?}"))
}

/// What is promised: nothing left, the image grows by less than 1 %, and it takes less time than
/// zeros do.
fn judge(tables: &[(Format, Vec<Row>)]) -> Result {
    for (format, rows) in tables {
        let dd = seconds(rows, Method::Zeros);
        for row in rows.iter().filter(|row| matches!(row.method, Method::Fill | Method::Auto)) {
            let holds = row.left == 0 && row.grown < i128::from(SIZE / 100) && row.seconds < dd;
            expect(holds, || format!("{format:?}: {} does not hold", row.method.name()))?;
        }
    }
    Ok(())
}
