//! Speed, measured against the programs that people use. Only in release builds.
//!
//! `cargo test --release -p disinherit-core --test erase -- bench --nocapture` prints the ratios.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use disinherit_core::erase::{EraseMode, FileSystem, erase};
use disinherit_core::proof::{Needles, search};
use libtest_mimic::{Completion, Trial};

use crate::Outcome;
use crate::image::{EXT4, Image, Recipe, run};
use crate::plant::token;

pub(crate) fn trials() -> Vec<Trial> {
    let optimised = |name, test: fn() -> Outcome| {
        if cfg!(debug_assertions) {
            let ignored = || Ok(Completion::ignored_with("needs a release build"));
            return Trial::ignorable_test(name, ignored);
        }
        crate::trial(name, &["mkfs.ext4", "dd"], test)
    };
    vec![optimised("bench_search", search_beside_dd), optimised("bench_fill", fill_beside_zeros)]
}

/// Against what dd reads in the same run, with 1, 100 and 10,000 secrets. Times are printed and
/// not asserted: on a machine with other work they say little.
fn search_beside_dd() -> Outcome {
    let image = full(2 << 30)?;
    let device = format!("if={}", image.device.display());
    let read =
        || timed(Command::new("dd").args([&device, "of=/dev/null", "bs=1M", "iflag=direct"]));
    read()?;
    for count in [1, 100, 10_000] {
        let mut needles = Needles::new();
        for number in 0..count {
            needles.add(number, token()?.as_bytes());
        }
        let dd = read()?;
        let began = Instant::now();
        let report = search(std::slice::from_ref(&image.device), &needles, None, &mut |_| ())?;
        let ours = began.elapsed();
        let ratio = dd.as_secs_f64() / ours.as_secs_f64();
        println!("search, {count} secrets: {ours:.2?}, dd {dd:.2?}, {ratio:.2} of its speed");
        assert!(report.is_proof());
    }
    Ok(())
}

/// Against zeros until the disk is full: nothing is left, and the image does not grow.
fn fill_beside_zeros() -> Outcome {
    const SIZE: u64 = 4 << 30;
    // Otherwise the kernel itself makes the image grow while we look.
    const MKFS: &[&str] = &["mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0"];
    let mut times = Vec::new();
    for ours in [true, false] {
        let image = Image::new(Recipe { size: SIZE, discard: true, mkfs: MKFS, ..EXT4 })?;
        let secret = token()?;
        scatter(&image.point, &secret)?;
        let before = image.taken();
        let began = Instant::now();
        if ours {
            erase(&FileSystem::of(&image.point)?, EraseMode::Fill, &mut |progress| {
                if progress.done == 0 {
                    println!("{:?} begins after {:.2?}", progress.step, began.elapsed());
                }
            })?;
        } else {
            let file = image.point.join("zeros");
            let to = format!("of={}", file.display());
            drop(Command::new("dd").args(["if=/dev/zero", &to, "bs=1M"]).output()?);
            rustix::fs::sync();
            std::fs::remove_file(file)?;
            rustix::fs::sync();
        }
        let time = began.elapsed();
        image.unmount()?;
        let left = image.grep(std::slice::from_ref(&secret)).len();
        let grown = image.taken().saturating_sub(before) >> 20;
        let name = if ours { "ours" } else { "dd of zeros" };
        println!("{name}: {time:.2?}, grown by {grown} MiB, secret left: {}", left > 0);
        assert!(!ours || (left == 0 && grown < (SIZE / 100) >> 20));
        times.push(time);
    }
    println!("ours takes {:.2} of the time of dd", times[0].as_secs_f64() / times[1].as_secs_f64());
    Ok(())
}

/// 2000 deleted files of 20 kB between live ones.
fn scatter(top: &Path, secret: &str) -> Outcome {
    let text = format!("{secret}\n").repeat(20_000 / 33);
    for number in 0..2000 {
        std::fs::write(top.join(format!("secret-{number}")), &text)?;
        std::fs::write(top.join(format!("live-{number}")), vec![b'l'; 3000])?;
    }
    rustix::fs::sync();
    for number in 0..2000 {
        std::fs::remove_file(top.join(format!("secret-{number}")))?;
    }
    rustix::fs::sync();
    Ok(())
}

/// A device of random bytes, which no reader can skip.
fn full(size: u64) -> Result<Image, Box<dyn std::error::Error>> {
    let image = Image::unformatted(size, true)?;
    let (to, count) = (format!("of={}", image.device.display()), format!("count={}", size >> 20));
    run(Command::new("dd").args(["if=/dev/urandom", &to, "bs=1M", &count, "oflag=direct"]))?;
    Ok(image)
}

fn timed(command: &mut Command) -> Result<Duration, Box<dyn std::error::Error>> {
    let began = Instant::now();
    run(command)?;
    Ok(began.elapsed())
}
