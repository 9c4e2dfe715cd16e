//! An image of three file systems: the root, a separate /boot, and the EFI system partition in it.
//! One scrub treats and searches all of them. Where the kernel has no vfat the partition is one of
//! ext4; `tests/it/dirty.rs` has a guest with the real thing.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use disinherit_core::erase::{FsReport, Place, Way};
use libtest_mimic::Trial;

use crate::image::{EXT4, Image, Recipe, run};
use crate::plant::{sync, token};
use crate::scope::image;
use crate::scrub::scrub;
use crate::whole::{check_file_system, findings};
use crate::{Outcome, trial};

const BOOT: Recipe = Recipe { size: 96 << 20, ..EXT4 };
const ESP: Recipe = Recipe { size: 64 << 20, mkfs: &["mkfs.vfat"], ..EXT4 };

pub(crate) fn trials() -> Vec<Trial> {
    let tools = &["mkfs.ext4", "e2fsck", "mkfs.vfat"];
    vec![trial("scrub::a_separate_boot_and_an_esp", tools, boot_and_esp)]
}

/// Mounted below the root of an image, until it is dropped.
struct Below(PathBuf);

impl Below {
    fn mount(image: &Image, at: PathBuf) -> Result<Self, Box<dyn Error>> {
        image.unmount()?;
        fs::create_dir_all(&at)?;
        run(Command::new("mount").args([&image.device, &at]))?;
        Ok(Self(at))
    }
}

impl Drop for Below {
    fn drop(&mut self) {
        if let Err(error) = run(Command::new("umount").arg(&self.0)) {
            eprintln!("{error}");
        }
    }
}

fn boot_and_esp() -> Outcome {
    let root = image(EXT4, b"ls\n")?;
    let fat = knows_vfat()?;
    let (boot, esp) = (Image::new(BOOT)?, Image::new(if fat { ESP } else { BOOT })?);
    let boot_at = Below::mount(&boot, root.point.join("boot"))?;
    let esp_at = Below::mount(&esp, root.point.join("boot/efi"))?;
    let tops = [root.point.as_path(), boot_at.0.as_path(), esp_at.0.as_path()];
    let mut secrets = Vec::new();
    for top in tops {
        secrets.extend(deleted(top)?);
    }
    // systemd-boot's seed is there, on either: it goes.
    for top in [&boot_at.0, &esp_at.0] {
        secrets.push(token()?);
        fs::create_dir(top.join("loader"))?;
        fs::write(top.join("loader/random-seed"), secrets.last().unwrap())?;
        sync(top)?;
    }
    let report = scrub(&root.point, "", &mut |_| ())?;
    assert_eq!(report.exit_code, 0, "{:#?}", findings(&report));
    let points: Vec<&str> = report.erased.iter().map(|e| e.fstype.as_str()).collect();
    assert_eq!(points, ["ext4", "ext4", if fat { "vfat" } else { "ext4" }]);
    assert_eq!(report.proof.as_ref().unwrap().devices.len(), 3);
    drop(esp_at);
    drop(boot_at);
    root.unmount()?;
    check_file_system(&root, "ext4")?;
    check_file_system(&boot, "ext4")?;
    for (image, erased) in [&root, &boot, &esp].into_iter().zip(&report.erased) {
        let left = image.grep(&secrets);
        println!("{}: {:?}, {} of {} left", erased.fstype, erased.way, left.len(), secrets.len());
        assert!(left.is_empty(), "{left:?}; {erased:#?}");
    }
    let esp = &report.erased[2];
    // What zeros in files do not reach is said.
    let said = announces(esp, Place::FreeSpace) && announces(esp, Place::Metadata);
    assert_eq!((said, esp.way == Way::ThroughFiles), (fat, fat), "{esp:#?}");
    Ok(())
}

/// Asked after the module had its chance to be loaded.
fn knows_vfat() -> Result<bool, Box<dyn Error>> {
    // Without modules there is nothing to load, and the list tells.
    drop(Command::new("modprobe").args(["--quiet", "vfat"]).output());
    let known = fs::read_to_string("/proc/filesystems")?;
    Ok(known.lines().any(|line| line.trim() == "vfat"))
}

fn announces(erased: &FsReport, place: Place) -> bool {
    erased.residual.iter().any(|residual| residual.place == place)
}

/// Secrets in deleted files, small and large, that reached the medium.
fn deleted(top: &Path) -> Result<Vec<String>, Box<dyn Error>> {
    let mut secrets = Vec::new();
    let path = |number| top.join(format!("old-{number}"));
    for number in 0..60 {
        let text = token()?;
        fs::write(path(number), format!("{text}\n").repeat(1 + number % 3 * 900))?;
        secrets.push(text);
    }
    sync(top)?;
    (0..60).try_for_each(|number| fs::remove_file(path(number)))?;
    sync(top)?;
    Ok(secrets)
}
