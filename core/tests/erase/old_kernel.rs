//! Kernels that lack calls: before 5.14 no journal can be overwritten, before 5.6 there is no
//! openat2(2), and some devices refuse to discard. A filter answers for such a kernel in a process
//! of its own; what stays on the device is what the report announced.

use std::collections::BTreeMap;
use std::error::Error;
use std::ffi::OsStr;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, ExitCode};

use disinherit_core::erase::{Journal, Place};
use disinherit_core::report::Report;
use libtest_mimic::Trial;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};

use crate::image::{EXT4, Image, Recipe, run};
use crate::plant::plant;
use crate::scrub::scrub;
use crate::whole::{check_file_system, left};
use crate::world::{check_system, settle};
use crate::{Outcome, full_trial, trial};

/// Names the mount point to the other process.
pub(crate) const CHILD: &str = "DISINHERIT_OLD_KERNEL_CHILD";

/// `EXT4_IOC_CHECKPOINT`, fs/ext4/ext4.h; `FITRIM`, include/uapi/linux/fs.h.
const CHECKPOINT: u64 = 0x4004_662b;
const FITRIM: u64 = 0xc018_5879;
const ENOTTY: u32 = 25;
const ENOSYS: u32 = 38;

pub(crate) fn trials() -> Vec<Trial> {
    const TOOLS: &[&str] = &["mkfs.ext4", "e2fsck"];
    let inline = Recipe { mkfs: &["mkfs.ext4", "-q", "-O", "inline_data"], ..EXT4 };
    let journal = Recipe { options: "data=journal", ..EXT4 };
    let small = Recipe { mkfs: &["mkfs.ext4", "-q", "-b", "1024"], ..journal };
    vec![
        full_trial("old_kernel::ext4", TOOLS, || on_an_old_kernel(EXT4)),
        full_trial("old_kernel::ext4_data_journal", TOOLS, move || on_an_old_kernel(journal)),
        trial("old_kernel::ext4_1k_data_journal", TOOLS, move || on_an_old_kernel(small)),
        trial("old_kernel::ext4_inline_data", TOOLS, move || on_an_old_kernel(inline)),
    ]
}

fn on_an_old_kernel(recipe: Recipe) -> Outcome {
    let image = Image::new(Recipe { discard: true, size: 128 << 20, ..recipe })?;
    let mut secrets = plant(&image.point)?;
    secrets.extend(settle(&image.point)?);
    let json = run(Command::new(std::env::current_exe()?).env(CHILD, &image.point))?;
    let report: Report = serde_json::from_str(&json)?;
    let erased = &report.erased[0];
    assert_eq!(erased.trimmed, None);
    check_system(&image.point, true)?;
    image.unmount()?;
    check_file_system(&image, "ext4")?;
    let left = left(&image, &secrets);
    println!("{:?}, exit code {}, left {left:?}", erased.journal, report.exit_code);
    let named = erased.residual.iter().any(|residual| residual.place == Place::Journal);
    // Either it was turned over, or it is named with the way to treat it.
    assert_eq!(named, erased.journal == Journal::Left, "{erased:#?}");
    assert!(left.is_empty() || named, "{left:?}; {erased:#?}");
    Ok(())
}

/// The other process.
pub(crate) fn child(request: &OsStr) -> ExitCode {
    old().unwrap();
    let report = scrub(Path::new(request), "", &mut |_| ()).unwrap();
    std::io::stdout().write_all(report.json().as_bytes()).unwrap();
    ExitCode::SUCCESS
}

/// From here on this process stands on an old kernel.
fn old() -> Result<(), Box<dyn Error>> {
    let call = |request| {
        let second = SeccompCondition::new(1, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, request);
        second.and_then(|condition| SeccompRule::new(vec![condition]))
    };
    let requests = vec![call(CHECKPOINT)?, call(FITRIM)?];
    answer(ENOTTY, BTreeMap::from([(libc::SYS_ioctl, requests)]))?;
    answer(ENOSYS, BTreeMap::from([(libc::SYS_openat2, Vec::new())]))
}

fn answer(errno: u32, calls: BTreeMap<i64, Vec<SeccompRule>>) -> Result<(), Box<dyn Error>> {
    let (pass, refuse) = (SeccompAction::Allow, SeccompAction::Errno(errno));
    let filter = SeccompFilter::new(calls, pass, refuse, std::env::consts::ARCH.try_into()?)?;
    let program = BpfProgram::try_from(filter)?;
    Ok(seccompiler::apply_filter(&program)?)
}
