//! Something writes a removed secret to the device behind our back, after the erase: the search
//! finds it, and the run fails.

use std::error::Error;
use std::fs;
use std::os::unix::fs::FileExt as _;
use std::process::Command;

use disinherit_core::catalogue::Severity;
use disinherit_core::disk::PROOF;
use disinherit_core::report::Report;
use libtest_mimic::Trial;

use crate::image::{EXT4, Image, Recipe, XFS, run};
use crate::plant::{sync, token};
use crate::scrub::scrub;
use crate::world::settle;
use crate::{Outcome, trial};

pub(crate) fn trials() -> Vec<Trial> {
    let ext4: &[&str] = &["mkfs.ext4"];
    let xfs: &[&str] = &["mkfs.xfs"];
    vec![
        trial("survivor::in_a_deleted_file_on_ext4", ext4, || deleted_file(SMALL)),
        trial("survivor::in_a_deleted_file_on_xfs", xfs, || deleted_file(XFS)),
        trial("survivor::past_the_file_system", ext4, past_the_file_system),
        trial("survivor::in_a_file_that_is_there", ext4, file_that_is_there),
        trial("survivor::once_is_treated_once_more", ext4, treated_once_more),
    ]
}

/// Discards, so that the image is a sparse file and not memory.
const SMALL: Recipe = Recipe { size: 96 << 20, discard: true, ..EXT4 };
const HISTORY: &str = "root/.bash_history";

/// An image with one more secret, and a scrub of it; `write` runs before each search.
fn scrubbed(
    image: Image,
    write: impl Fn(&Image, &str, usize) -> Outcome,
) -> Result<(Image, String, Report), Box<dyn Error>> {
    settle(&image.point)?;
    let secret = format!("less /srv/{}", token()?);
    fs::write(image.point.join(HISTORY), format!("{secret}\n"))?;
    sync(&image.point)?;
    let mut searches = 0;
    let report = scrub(&image.point, "", &mut |phase| {
        if phase == "Search" {
            searches += 1;
            write(&image, &secret, searches).unwrap();
        }
    })?;
    assert!(searches > 0);
    Ok((image, secret, report))
}

/// The findings of the search, each with severity and place.
fn found(report: &Report) -> Vec<(Severity, String)> {
    let of_search = report.findings.iter().filter(|finding| finding.rule == PROOF);
    of_search.map(|f| (f.severity, format!("{}: {}", f.path, f.what))).collect()
}

fn rewritten(image: &Image, secret: &str, keep: bool) -> Outcome {
    let path = image.point.join("srv/again");
    fs::write(&path, format!("{secret}\n").repeat(500))?;
    sync(&image.point)?;
    if !keep {
        fs::remove_file(path)?;
        sync(&image.point)?;
    }
    Ok(())
}

/// A program that is still there writes its history again and again.
fn deleted_file(recipe: Recipe) -> Outcome {
    let (image, secret, report) =
        scrubbed(Image::new(recipe)?, |image, secret, _| rewritten(image, secret, false))?;
    let found = found(&report);
    let named = found.iter().any(|(severity, text)| {
        *severity == Severity::Critical && text.contains(HISTORY) && text.contains("free block")
    });
    assert!(named, "{found:?}");
    assert_eq!(report.exit_code, 1);
    assert!(!report.json().contains(&secret));
    image.unmount()?;
    assert_eq!(image.grep(std::slice::from_ref(&secret)), [secret]);
    Ok(())
}

/// The last bytes of the device, of which the file system knows nothing.
fn past_the_file_system() -> Outcome {
    let image = Image::new(SMALL)?;
    fs::File::options().write(true).open(&image.file)?.set_len(SMALL.size + (1 << 20))?;
    run(Command::new("losetup").arg("--set-capacity").arg(&image.device))?;
    let (_, _, report) = scrubbed(image, |image, secret, _| {
        let device = fs::File::options().write(true).open(&image.device)?;
        device.write_all_at(format!("{secret}\n").as_bytes(), SMALL.size + 4096)?;
        Ok(device.sync_all()?)
    })?;
    assert_eq!(report.exit_code, 1, "{:?}", found(&report));
    assert!(found(&report).iter().any(|(severity, _)| *severity >= Severity::High));
    Ok(())
}

/// In a live file the bytes may stand with good reason: the search names it as no failure.
fn file_that_is_there() -> Outcome {
    let (_, _, report) =
        scrubbed(Image::new(SMALL)?, |image, secret, _| rewritten(image, secret, true))?;
    let found = found(&report);
    assert!(found.iter().any(|(_, text)| text.contains("/srv/again")), "{found:?}");
    assert!(found.iter().all(|(severity, _)| *severity == Severity::Medium), "{found:?}");
    Ok(())
}

/// What comes once is overwritten by the second round.
fn treated_once_more() -> Outcome {
    let (image, secret, report) =
        scrubbed(Image::new(SMALL)?, |image, secret, search| match search {
            1 => rewritten(image, secret, false),
            _ => Ok(()),
        })?;
    assert_eq!((report.exit_code, found(&report)), (0, Vec::new()));
    image.unmount()?;
    assert_eq!(image.grep(&[secret]), Vec::<String>::new());
    Ok(())
}
