//! Swap areas become zero and keep their names.

use std::path::Path;
use std::process::Command;

use disinherit_core::erase::{EraseMode, FileSystem, erase, swap};
use libtest_mimic::Trial;

use crate::image::{EXT4, Image, Recipe, XFS, run};
use crate::plant::{bulk, token};
use crate::scope::image;
use crate::scrub::{plan, scrub};
use crate::{Outcome, trial};

const UUID: &str = "0b4f6f0e-5d1c-4c0e-9a6b-3f1f6b1d2c3e";

pub(crate) fn trials() -> Vec<Trial> {
    let tools = &["mkswap", "blkid"];
    vec![
        trial("a_swap_partition_keeps_uuid_and_label", tools, partition),
        trial("a_swap_file_on_ext4", &["mkswap", "mkfs.ext4"], || file(EXT4)),
        trial("a_swap_file_on_xfs", &["mkswap", "mkfs.xfs"], || file(XFS)),
        trial("a_scrub_overwrites_the_swap_file_that_fstab_names", &["mkfs.ext4", "mkswap"], named),
        trial("a_swap_file_that_this_machine_uses_is_left", &["mkfs.ext4", "mkswap"], in_use),
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

/// An image whose fstab names a swap file of 32 MiB that holds `secret`.
fn with_swap_file(secret: &str) -> Result<Image, Box<dyn std::error::Error>> {
    let image = image(EXT4, b"ls\n")?;
    std::fs::write(image.point.join("etc/fstab"), "# swap\n/var/swap\\040file none swap sw 0 0\n")?;
    std::fs::create_dir(image.point.join("var"))?;
    let path = image.point.join("var/swap file");
    std::fs::write(&path, format!("{secret}\n").repeat((32 << 20) / 33))?;
    run(Command::new("chmod").arg("600").arg(&path))?;
    run(Command::new("mkswap").args(["-U", UUID]).arg(&path))?;
    rustix::fs::sync();
    Ok(image)
}

fn named() -> Outcome {
    let secret = token()?;
    let image = with_swap_file(&secret)?;
    let below = plan(&image.point, "")?.disk;
    let lines: Vec<String> = below.iter().map(ToString::to_string).collect();
    assert_eq!(lines[0], "overwrite the swap area /var/swap file");
    let report = scrub(&image.point, "", &mut |_| ())?;
    let done = &report.swaps[0];
    assert_eq!((done.path.as_str(), done.was_active), ("/var/swap file", false));
    assert!(done.written > 30 << 20, "{done:?}");
    let tags = run(Command::new("blkid").arg("-p").arg(image.point.join("var/swap file")))?;
    assert!(tags.contains(UUID), "{tags}");
    image.unmount()?;
    assert_eq!(image.grep(&[secret]), Vec::<String>::new());
    Ok(())
}

/// This machine swaps to a file, until the test ends, however it does.
struct InUse<'a>(&'a Path);

impl<'a> InUse<'a> {
    fn new(path: &'a Path) -> Result<Self, Box<dyn std::error::Error>> {
        run(Command::new("swapon").arg(path))?;
        Ok(Self(path))
    }
}

impl Drop for InUse<'_> {
    fn drop(&mut self) {
        if let Err(error) = run(Command::new("swapoff").arg(self.0)) {
            eprintln!("{error}");
        }
    }
}

/// The image lies beside a machine that swaps to it, and fstab calls the file by a link: nobody
/// may write there.
fn in_use() -> Outcome {
    let secret = token()?;
    let image = with_swap_file(&secret)?;
    let path = image.point.join("var/swap file");
    std::os::unix::fs::symlink("swap file", image.point.join("var/link"))?;
    std::fs::write(image.point.join("etc/fstab"), "/var/link none swap sw 0 0\n")?;
    let used = InUse::new(&path)?;
    let report = scrub(&image.point, "", &mut |_| ())?;
    drop(used);
    assert!(report.swaps.is_empty() && report.stopped_swaps.is_empty());
    assert!(report.residual.iter().any(|r| r.why.contains("this machine uses it")));
    assert_eq!(image.grep(std::slice::from_ref(&secret)), [secret]);
    Ok(())
}
