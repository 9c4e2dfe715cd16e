//! The proof finds what a foreign search finds, and says what it belongs to.

use disinherit_core::ImagePath;
use disinherit_core::erase::{EraseMode, FileSystem, erase};
use disinherit_core::proof::{Form, Needles, Provable, Where, locate, search};
use libtest_mimic::Trial;

use crate::image::{BTRFS, EXT4, Image, Recipe, XFS};
use crate::plant::{plant, token};
use crate::{Outcome, trial};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("the_proof_finds_what_grep_finds_on_ext4", &["mkfs.ext4"], || same_as_grep(EXT4)),
        trial("the_proof_finds_what_grep_finds_on_xfs", &["mkfs.xfs"], || same_as_grep(XFS)),
        trial("a_planted_survivor_is_found_and_named_on_ext4", &["mkfs.ext4"], || survivor(EXT4)),
        trial("a_planted_survivor_is_found_and_named_on_xfs", &["mkfs.xfs"], || survivor(XFS)),
        trial("a_planted_survivor_is_found_and_named_on_btrfs", &["mkfs.btrfs"], || {
            survivor(BTRFS)
        }),
    ]
}

fn same_as_grep(recipe: Recipe) -> Outcome {
    let image = Image::new(recipe)?;
    let secrets = plant(&image.point)?;
    let mut needles = Needles::new();
    for (secret, number) in secrets.iter().zip(0..) {
        assert_eq!(needles.add(number, secret.text.as_bytes()), Provable::Yes);
    }
    image.unmount()?;
    let report = search(std::slice::from_ref(&image.device), &needles, None, &mut |_| ())?;
    let mut ours: Vec<u32> = report.hits.iter().map(|h| h.secret).collect();
    ours.sort_unstable();
    ours.dedup();
    let words: Vec<String> = secrets.iter().map(|s| s.text.clone()).collect();
    let theirs = image.grep(&words);
    assert_eq!(ours.len(), theirs.len());
    assert!(ours.len() >= 500, "only {} of {} reached the device", ours.len(), secrets.len());
    assert_eq!(report.devices[0].searched, recipe.size);
    assert!(!report.is_proof());
    Ok(())
}

fn survivor(recipe: Recipe) -> Outcome {
    let image = Image::new(recipe)?;
    let fs = FileSystem::of(&image.point)?;
    let (plain, wide, coded, gone, held) = (token()?, token()?, token()?, token()?, token()?);
    let mut needles = Needles::new();
    for (text, number) in [&plain, &wide, &coded, &gone, &held].into_iter().zip(0..) {
        needles.add(number, text.as_bytes());
    }
    erase(&fs, EraseMode::Auto, &mut |_| ())?;
    let clean = search(std::slice::from_ref(&image.device), &needles, None, &mut |_| ())?;
    assert!(clean.is_proof(), "{:?}", clean.hits);

    std::fs::create_dir(image.point.join("a"))?;
    let put = |name: &str, text: Vec<u8>| {
        std::fs::write(image.point.join(name), [vec![b'.'; 5000], text].concat())
    };
    put("a/plain", plain.clone().into_bytes())?;
    put("wide", wide.bytes().flat_map(|b| [b, 0]).collect())?;
    put("coded", encode(&format!("x{coded}y")).into_bytes())?;
    put("gone", gone.clone().into_bytes())?;
    rustix::fs::sync();
    std::fs::remove_file(image.point.join("gone"))?;
    rustix::fs::sync();
    let mut report = search(std::slice::from_ref(&image.device), &needles, None, &mut |_| ())?;
    locate(&fs, &mut report)?;
    let place =
        |secret| report.hits.iter().find(|h| h.secret == secret).map(|h| (h.form, h.place.clone()));
    let file = |path: &str| Where::File(ImagePath::new(path).unwrap());
    assert_eq!(place(0), Some((Form::Plain, file("/a/plain"))));
    assert_eq!(place(1), Some((Form::Utf16, file("/wide"))));
    assert_eq!(place(2), Some((Form::Base64, file("/coded"))));
    assert_eq!(place(3), Some((Form::Plain, Where::Free)));
    assert_eq!(place(4), None);
    Ok(())
}

/// base64 by hand, so that the test does not lean on what it tests.
fn encode(text: &str) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits: Vec<u8> = text.bytes().flat_map(|b| (0..8).rev().map(move |i| b >> i & 1)).collect();
    let letter = |six: &[u8]| {
        six.iter().fold(0usize, |value, bit| value << 1 | usize::from(*bit)) << (6 - six.len())
    };
    bits.chunks(6).map(|six| char::from(LETTERS[letter(six)])).collect()
}
