//! Swap areas become zero and keep their names.

use std::process::Command;

use disinherit_core::erase::{EraseMode, FileSystem, erase, swap};
use libtest_mimic::Trial;

use crate::image::{EXT4, Image, Recipe, XFS, run};
use crate::plant::{bulk, token};
use crate::{Outcome, trial};

const UUID: &str = "0b4f6f0e-5d1c-4c0e-9a6b-3f1f6b1d2c3e";

pub(crate) fn trials() -> Vec<Trial> {
    let tools = &["mkswap", "blkid"];
    vec![
        trial("a_swap_partition_keeps_uuid_and_label", tools, partition),
        trial("a_swap_file_on_ext4", &["mkswap", "mkfs.ext4"], || file(EXT4)),
        trial("a_swap_file_on_xfs", &["mkswap", "mkfs.xfs"], || file(XFS)),
    ]
}

fn partition() -> Outcome {
    let image = Image::unformatted(32 << 20, true)?;
    let secret = token()?;
    std::fs::write(&image.device, format!("{secret}\n").repeat(500_000))?;
    run(Command::new("mkswap").args(["-U", UUID, "-L", "memory"]).arg(&image.device))?;
    let tags =
        |image: &Image| run(Command::new("blkid").args(["-p", "-o", "export"]).arg(&image.device));
    let before = tags(&image)?;
    assert!(before.contains(UUID) && before.contains("memory"));
    let report = swap::erase(&image.device, &mut |_| ())?;
    assert_eq!((report.size, report.hibernated), (32 << 20, false));
    assert_eq!(tags(&image)?, before);
    assert_eq!(image.grep(&[secret]), Vec::<String>::new());
    assert_eq!(swap::erase(&image.device, &mut |_| ())?.written, 0);
    Ok(())
}

/// Swap is written past the file system: the file's blocks are unwritten to it, and hold pages.
fn file(recipe: Recipe) -> Outcome {
    let image = Image::new(recipe)?;
    let path = image.point.join("swapfile");
    // Old bytes in the blocks that the preallocated file takes.
    let secret = token()?;
    bulk(&image.point.join("old"), &secret)?;
    run(Command::new("fallocate").args(["-l", "64M"]).arg(&path))?;
    run(Command::new("chmod").arg("600").arg(&path))?;
    run(Command::new("mkswap").args(["-U", UUID]).arg(&path))?;
    let report = swap::erase(&path, &mut |_| ())?;
    assert!(report.written >= (64 << 20) - 65536, "{report:?}");
    run(Command::new("blkid").args(["-p"]).arg(&path)).map(|tags| assert!(tags.contains(UUID)))?;
    erase(&FileSystem::of(&image.point)?, EraseMode::Fill, &mut |_| ())?;
    image.unmount()?;
    assert_eq!(image.grep(&[secret]), Vec::<String>::new());
    Ok(())
}
