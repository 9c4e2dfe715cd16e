//! A run that is killed or stopped at any step leaves nothing that the next one does not put right.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};

use disinherit_core::erase::{DIRECTORY, EraseMode, FileSystem, Step, erase};
use libtest_mimic::Trial;

use crate::image::{EXT4, Image, Recipe, XFS, run};
use crate::plant::{nearly_fill, plant};
use crate::{Outcome, trial};

const STEPS: [Step; 5] =
    [Step::TakeMost, Step::CleanMost, Step::TakeRest, Step::CleanRest, Step::Release];

/// The steps of one kind of file system.
fn steps(fstype: &str) -> impl Iterator<Item = Step> {
    let last = if fstype == "xfs" { Step::Freeze } else { Step::Inodes };
    STEPS.into_iter().chain([last])
}

pub(crate) fn trials() -> Vec<Trial> {
    let ext4 = &["mkfs.ext4", "e2fsck"];
    vec![
        trial("killed_at_every_step_on_ext4", ext4, || killed("ext4", EXT4)),
        trial("killed_at_every_step_on_xfs", &["mkfs.xfs"], || killed("xfs", XFS)),
        trial("a_signal_leaves_nothing", ext4, stopped),
        trial("a_frozen_file_system_is_thawed", &["mkfs.xfs", "fsfreeze"], thawed),
        trial("two_runs_at_once_are_refused", ext4, two_at_once),
        trial("without_inodes_it_fails_and_leaves_nothing", ext4, no_inodes),
    ]
}

/// The other process: erases, says when it reaches the step, and waits there.
pub(crate) fn child(request: &OsStr) -> ExitCode {
    let (step, point) = request.to_str().unwrap().split_once(' ').unwrap();
    let fs = FileSystem::of(Path::new(point)).unwrap();
    let mut waited = false;
    let outcome = erase(&fs, EraseMode::Fill, &mut |progress| {
        if !waited && format!("{:?}", progress.step) == step {
            waited = true;
            println!("reached");
            // Until the parent kills or writes.
            std::io::stdin().read_line(&mut String::new()).unwrap();
        }
    });
    match outcome {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{}", error.report());
            ExitCode::from(error.kind().exit_code())
        }
    }
}

fn start(image: &Image, step: Step) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .env("DISINHERIT_ERASE_CHILD", format!("{step:?} {}", image.point.display()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "reached\n");
    child
}

/// The settings of ext4 that a run changes.
fn reserve(image: &Image) -> [Option<String>; 2] {
    let folder = format!("/sys/fs/ext4/{}", image.kernel_name());
    ["reserved_clusters", "inode_goal"]
        .map(|name| std::fs::read_to_string(format!("{folder}/{name}")).ok())
}

fn killed(fstype: &str, recipe: Recipe) -> Outcome {
    let image = Image::new(recipe)?;
    let secrets = plant(&image.point)?;
    let before = reserve(&image);
    let free = || rustix::fs::statvfs(&image.point).unwrap().f_bfree;
    let room = free();
    for step in steps(fstype) {
        let mut child = start(&image, step);
        child.kill().unwrap();
        assert_eq!(child.wait()?.signal(), Some(9));
        assert!(image.point.join(DIRECTORY).exists(), "{step:?}");
        let swept = disinherit_core::erase::sweep(&FileSystem::of(&image.point)?)?;
        assert!(swept, "{step:?}");
        assert!(!image.point.join(DIRECTORY).exists(), "{step:?}");
        assert_eq!(reserve(&image), before, "{step:?}");
        assert!(free().abs_diff(room) < 64, "{step:?}: {} and {room}", free());
    }
    let report = erase(&FileSystem::of(&image.point)?, EraseMode::Fill, &mut |_| ())?;
    assert_eq!((report.swept, report.left), (false, 0));
    image.unmount()?;
    let data = secrets.iter().filter(|s| s.class.is_data()).map(|s| s.text.clone());
    assert_eq!(image.grep(&data.collect::<Vec<_>>()), Vec::<String>::new());
    Ok(())
}

fn stopped() -> Outcome {
    let image = Image::new(EXT4)?;
    plant(&image.point)?;
    let before = reserve(&image);
    for step in steps("ext4") {
        let mut child = start(&image, step);
        run(Command::new("kill").arg("-TERM").arg(child.id().to_string())).unwrap();
        drop(child.stdin.take());
        assert_eq!(child.wait()?.code(), Some(3), "{step:?}");
        assert!(!image.point.join(DIRECTORY).exists(), "{step:?}");
        assert_eq!(reserve(&image), before, "{step:?}");
    }
    Ok(())
}

fn thawed() -> Outcome {
    let image = Image::new(XFS)?;
    let folder = image.point.join(DIRECTORY);
    std::fs::create_dir(&folder)?;
    std::fs::write(folder.join("frozen"), "1\n")?;
    run(Command::new("fsfreeze").arg("--freeze").arg(&image.point))?;
    let report = erase(&FileSystem::of(&image.point)?, EraseMode::Fill, &mut |_| ())?;
    assert!(report.swept);
    std::fs::write(image.point.join("writable"), "again")?;
    Ok(())
}

fn two_at_once() -> Outcome {
    let image = Image::new(EXT4)?;
    let mut child = start(&image, Step::CleanMost);
    let fs = FileSystem::of(&image.point).unwrap();
    let error = erase(&fs, EraseMode::Fill, &mut |_| ()).unwrap_err();
    assert_eq!(error.kind(), disinherit_core::Kind::Refused);
    drop(child.stdin.take());
    assert!(child.wait()?.success());
    assert!(!image.point.join(DIRECTORY).exists());
    Ok(())
}

fn no_inodes() -> Outcome {
    let image = Image::new(Recipe { mkfs: &["mkfs.ext4", "-q", "-N", "64"], ..EXT4 })?;
    nearly_fill(&image.point, 8 << 20)?;
    let mut number = 0;
    while std::fs::write(image.point.join(format!("f{number}")), "").is_ok() {
        number += 1;
    }
    let before = reserve(&image);
    assert!(erase(&FileSystem::of(&image.point)?, EraseMode::Fill, &mut |_| ()).is_err());
    assert!(!image.point.join(DIRECTORY).exists());
    assert_eq!(reserve(&image), before);
    Ok(())
}
