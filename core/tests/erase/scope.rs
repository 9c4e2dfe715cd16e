//! Whole scrubs of a mounted image: how far its raw disk is searched, and what that says.

use std::fs;

use disinherit_core::ImagePath;
use libtest_mimic::Trial;

use crate::image::{BTRFS, EXT4, Image, Recipe, XFS};
use crate::plant::token;
use crate::scrub::scrub;
use crate::{Outcome, trial};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("touched_blocks_are_a_part_of_the_disk_on_ext4", &["mkfs.ext4"], || touched(EXT4)),
        trial("touched_blocks_are_a_part_of_the_disk_on_xfs", &["mkfs.xfs"], || touched(XFS)),
        trial("touched_is_everything_on_btrfs", &["mkfs.btrfs"], touched_on_btrfs),
        trial("a_proof_out_of_time_says_so", &["mkfs.ext4"], out_of_time),
        trial("a_survivor_deep_in_a_long_file_is_found", &["mkfs.ext4"], deep),
        trial("a_token_in_an_attribute_is_searched_for", &["mkfs.ext4"], attribute),
    ]
}

/// An image with one account, whose history is `history`.
pub(crate) fn image(recipe: Recipe, history: &[u8]) -> Result<Image, Box<dyn std::error::Error>> {
    let image = Image::new(recipe)?;
    for folder in ["etc", "root", "home/ann"] {
        fs::create_dir_all(image.point.join(folder))?;
    }
    let passwd = "root:x:0:0::/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\n";
    fs::write(image.point.join("etc/passwd"), passwd)?;
    let shadow = format!("root:*:1::::::\nann:$6${}:1::::::\n", token()?);
    fs::write(image.point.join("etc/shadow"), shadow)?;
    fs::write(image.point.join("home/ann/.bash_history"), history)?;
    std::os::unix::fs::chown(image.point.join("home/ann"), Some(1000), Some(1000))?;
    rustix::fs::sync();
    Ok(image)
}

fn touched(recipe: Recipe) -> Outcome {
    let secret = token()?;
    let image = image(recipe, format!("export TOKEN={secret}\n").as_bytes())?;
    let report = scrub(&image.point, "proof: touched", &mut |_| ())?;
    let proof = report.proof.as_ref().unwrap();
    let device = &proof.devices[0];
    assert!(proof.secrets >= 2, "{proof:?}");
    assert_eq!(device.searched, device.wanted);
    assert!(device.wanted >= 4096 && device.wanted < device.size / 2, "{device:?}");
    assert!(report.residual.iter().any(|r| r.why.contains("proof: touched")));
    assert_eq!(report.exit_code, 0, "{:?}", report.findings);
    // Less than full is no success of a strict run.
    fs::write(image.point.join("home/ann/.bash_history"), token()?)?;
    let strict = scrub(&image.point, "proof: touched\nstrict: true", &mut |_| ())?;
    assert_eq!(strict.exit_code, 1);
    Ok(())
}

fn touched_on_btrfs() -> Outcome {
    let image = image(BTRFS, format!("export TOKEN={}\n", token()?).as_bytes())?;
    let report = scrub(&image.point, "proof: touched", &mut |_| ())?;
    let device = &report.proof.as_ref().unwrap().devices[0];
    assert_eq!((device.wanted, device.searched), (device.size, device.size));
    assert!(!report.residual.iter().any(|r| r.why.contains("proof: touched")));
    Ok(())
}

fn out_of_time() -> Outcome {
    let image = image(EXT4, format!("export TOKEN={}\n", token()?).as_bytes())?;
    let report = scrub(&image.point, "proof_limit: 1ms", &mut |_| ())?;
    let device = &report.proof.as_ref().unwrap().devices[0];
    assert!(device.searched < device.size, "{device:?}");
    assert!(report.residual.iter().any(|r| r.why.contains("time limit")), "{:?}", report.residual);
    Ok(())
}

/// Three mebibytes into the file; somebody writes a copy of it behind our back.
fn deep() -> Outcome {
    let secret = token()?;
    let mut history = vec![b'\n'; 3 << 20];
    history.extend_from_slice(format!("export TOKEN={secret}\n").as_bytes());
    let image = image(EXT4, &history)?;
    let mut planted = false;
    let report = scrub(&image.point, "", &mut |phase| {
        if phase == "Search" && !planted {
            planted = true;
            let text = format!("export TOKEN={secret}\n");
            fs::write(image.point.join("home/ann/other"), text).unwrap();
            rustix::fs::sync();
        }
    })?;
    let hits = &report.proof.as_ref().unwrap().hits;
    let place = disinherit_core::proof::Where::File(ImagePath::new("/home/ann/other").unwrap());
    assert!(hits.iter().any(|hit| hit.place == place), "{hits:?}");
    Ok(())
}

fn attribute() -> Outcome {
    let secret = format!("aA0{}", token()?);
    let image = image(EXT4, b"ls\n")?;
    let path = image.point.join("home/ann/.bash_history");
    let flags = rustix::fs::XattrFlags::empty();
    rustix::fs::setxattr(&path, "user.token", secret.as_bytes(), flags)?;
    let mut planted = false;
    let report = scrub(&image.point, "rules: {his-shell: on}", &mut |phase| {
        if phase == "Search" && !planted {
            planted = true;
            fs::write(image.point.join("copy"), format!("{secret}\n")).unwrap();
            rustix::fs::sync();
        }
    })?;
    let hits = &report.proof.as_ref().unwrap().hits;
    let place = disinherit_core::proof::Where::File(ImagePath::new("/copy").unwrap());
    assert!(hits.iter().any(|hit| hit.place == place), "{report:?}");
    Ok(())
}
