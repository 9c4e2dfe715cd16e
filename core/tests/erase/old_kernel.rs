//! Kernels before 5.14, which cannot overwrite an ext4 journal in use: a filter answers ENOTTY in
//! their place, in a process of its own because a filter stays.

#![expect(unsafe_code, reason = "prctl(2) takes the filter by pointer")]

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, ExitCode};

use disinherit_core::erase::{EraseMode, FileSystem, FsReport, Journal, erase};
use libtest_mimic::Trial;

use crate::image::{EXT4, Image, Recipe, run};
use crate::plant::plant;
use crate::{Outcome, trial};

pub(crate) fn trials() -> Vec<Trial> {
    let tools = &["mkfs.ext4", "e2fsck"];
    let journal = Recipe { options: "data=journal", ..EXT4 };
    let small =
        Recipe { mkfs: &["mkfs.ext4", "-q", "-b", "1024"], options: "data=journal", ..EXT4 };
    vec![
        trial("an_old_kernel_turns_the_journal_over", tools, move || turned_over(journal)),
        trial("an_old_kernel_with_1k_blocks", tools, move || turned_over(small)),
    ]
}

/// The other process: no checkpoint from here on, then an erase; the report on standard output.
pub(crate) fn child(point: &OsStr) -> ExitCode {
    refuse_checkpoint();
    let fs = FileSystem::of(Path::new(point)).unwrap();
    let report = erase(&fs, EraseMode::Auto, &mut |_| ()).unwrap();
    println!("{}", serde_json::to_string(&report).unwrap());
    ExitCode::SUCCESS
}

/// Every ioctl(2) with EXT4_IOC_CHECKPOINT fails with ENOTTY in this process.
fn refuse_checkpoint() {
    const CHECKPOINT: u32 = 0x4004_662b;
    let load = |at| step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, at, 0, 0);
    let unless = |value, skip| step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, value, 0, skip);
    let end = |value| step(libc::BPF_RET | libc::BPF_K, value, 0, 0);
    // `struct seccomp_data`: the number at 0, the second argument at 24.
    let mut filter = [
        load(0),
        unless(u32::try_from(libc::SYS_ioctl).unwrap(), 3),
        load(24),
        unless(CHECKPOINT, 1),
        end(libc::SECCOMP_RET_ERRNO | u32::try_from(libc::ENOTTY).unwrap()),
        end(libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: 6, filter: filter.as_mut_ptr() };
    // SAFETY: the program and its six steps live until the call returns, which copies them.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        let mode = libc::SECCOMP_MODE_FILTER;
        assert_eq!(libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const program), 0);
    }
}

fn step(code: u32, k: u32, jt: u8, jf: u8) -> libc::sock_filter {
    libc::sock_filter { code: u16::try_from(code).unwrap(), jt, jf, k }
}

fn turned_over(recipe: Recipe) -> Outcome {
    let image = Image::new(recipe)?;
    let secrets = plant(&image.point)?;
    let mut child = Command::new(std::env::current_exe()?);
    child.env("DISINHERIT_OLD_KERNEL", &image.point);
    let report: FsReport = serde_json::from_str(&run(&mut child)?)?;
    assert_eq!((report.left, report.journal), (0, Journal::Overwritten), "{report:?}");
    assert!(!image.point.join(disinherit_core::erase::DIRECTORY).exists());
    image.unmount()?;
    run(Command::new("e2fsck").args(["-fn"]).arg(&image.device))?;
    let data = secrets.iter().filter(|s| s.class.is_data()).map(|s| s.text.clone());
    assert_eq!(image.grep(&data.collect::<Vec<_>>()), Vec::<String>::new());
    Ok(())
}
