//! Key files of encrypted disks: those in the usual places, and those that crypttab(5) names,
//! wherever they lie.

use std::collections::{BTreeMap, BTreeSet};

use memchr::memmem;

use super::expand::{Except, Found};
use super::{Scene, editors};
use crate::catalogue::{Finder, Rule, Severity};
use crate::facts::Note;
use crate::path::escape;
use crate::root::{FileKind, Links};
use crate::{ImagePath, Result};

const CRYPTTAB: &str = "/etc/crypttab";
const FSTAB: &str = "/etc/fstab";

/// What is larger is no table of disks.
const LIMIT: u64 = 1 << 20;

/// A line of crypttab(5) that a key file opens.
#[derive(Debug, PartialEq, Eq)]
struct Volume {
    line: usize,
    name: Vec<u8>,
    key: ImagePath,
    /// The line names the key; otherwise it goes by the volume's name.
    written: bool,
    /// Without it the machine still starts.
    spare: bool,
}

/// A key is found, unless the disk that it opens may be the one that the system starts from: then
/// it is only noted.
pub(super) fn look(scene: &mut Scene<'_>, rule: &Rule) -> Result<()> {
    let except = Except::new(&rule.except, &scene.settings.allow.paths);
    let volumes = volumes(&text(scene, CRYPTTAB), &text(scene, FSTAB));
    let opened = opened(scene, rule, volumes);
    let started_with = words_with_keys(scene, rule, &except)?;
    for found in files(scene, rule, &except, &opened)? {
        let opens = || opened.iter().filter(|(key, _)| *key == found.path).map(|(_, v)| v);
        let name = found.path.file_name().unwrap_or_default();
        let on_command_line = started_with.iter().any(|word| memmem::find(word, name).is_some());
        let mut subjects: Vec<String> = opens().map(said).collect();
        if on_command_line {
            subjects.push("the kernel command line names it".to_owned());
        }
        let subject = (!subjects.is_empty()).then(|| subjects.join(", "));
        if opens().all(|volume| volume.spare) && !on_command_line {
            scene.hit_inode(rule, &found, subject);
        } else {
            scene.note(rule, found.path, subject);
        }
    }
    Ok(())
}

fn said(volume: &Volume) -> String {
    let (name, line) = (escape(&volume.name), volume.line);
    let needed = if volume.spare { "" } else { ", which the system may start from" };
    format!("opens {name}, line {line} of {CRYPTTAB}{needed}")
}

/// Each volume with its key's path behind all links. A line whose key is gone is noted: its disk
/// asks for a passphrase.
fn opened(scene: &mut Scene<'_>, rule: &Rule, volumes: Vec<Volume>) -> Vec<(ImagePath, Volume)> {
    let mut opened = Vec::new();
    for volume in volumes {
        match scene.root.canonical(&volume.key) {
            Ok(Some(key)) => opened.push((key, volume)),
            Ok(None) if volume.written => {
                let (name, line) = (escape(&volume.name), volume.line);
                let subject = format!("line {line}: no key file for {name}, {}", volume.key);
                scene.facts.notes.push(Note {
                    rule: rule.id.clone(),
                    path: ImagePath::literal(CRYPTTAB),
                    subject: Some(subject),
                    severity: Some(Severity::Low),
                });
            }
            Ok(None) => {}
            Err(error) => scene.problem(&volume.key, &error),
        }
    }
    opened
}

/// The key files in the usual places and those that volumes name, each once.
fn files(
    scene: &mut Scene<'_>,
    rule: &Rule,
    except: &Except<'_>,
    opened: &[(ImagePath, Volume)],
) -> Result<Vec<Found>> {
    let mut files = BTreeMap::new();
    for place in &rule.places {
        for found in scene.expander.expand(place, except) {
            for below in scene.expander.tree(&found, except) {
                if let Some(file) = editors::file(scene, rule, below, except)? {
                    files.entry(file.path.clone()).or_insert(file);
                }
            }
        }
    }
    for (path, _) in opened {
        let meta = scene.expander.entry(path, except);
        if let Some(meta) = meta.filter(|meta| meta.kind == FileKind::Regular) {
            let found = Found { path: path.clone(), meta, links: Links::InRoot };
            files.entry(path.clone()).or_insert(found);
        }
    }
    Ok(files.into_values().collect())
}

/// The words of kernel command lines that name a key file, see dracut.cmdline(7) and cryptsetup's
/// notes on the initial RAM disk. Its path counts from another disk, so that only its name is known.
fn words_with_keys(
    scene: &mut Scene<'_>,
    rule: &Rule,
    except: &Except<'_>,
) -> Result<BTreeSet<Vec<u8>>> {
    let settings = scene.settings;
    let rules = settings.catalogue.rules().iter().filter(|r| r.find == Finder::CommandLine);
    let mut words = BTreeSet::new();
    for place in rules.flat_map(|r| &r.places) {
        for found in scene.expander.expand(place, except) {
            let Some(file) = editors::file(scene, rule, found, except)? else { continue };
            let Some(text) = editors::text(scene, &file)? else { continue };
            let names_key =
                |w: &&[u8]| w.starts_with(b"rd.luks.key=") || w.starts_with(b"cryptkey=");
            let all = text.split(|b| b.is_ascii_whitespace() || matches!(b, b'"' | b'\''));
            words.extend(all.filter(names_key).map(<[u8]>::to_vec));
        }
    }
    Ok(words)
}

fn text(scene: &mut Scene<'_>, path: &'static str) -> Vec<u8> {
    let path = ImagePath::literal(path);
    match scene.root.read(&path, LIMIT) {
        Ok(text) => text.map(|text| text.to_vec()).unwrap_or_default(),
        Err(error) => {
            scene.problem(&path, &error);
            Vec::new()
        }
    }
}

/// The lines of `crypttab` with a key file. A volume is spare when `fstab` mounts it, though not as
/// part of the system, or when crypttab says that it may be missing. Of any other nobody can tell:
/// the root file system may lie in a volume group on it.
fn volumes(crypttab: &[u8], fstab: &[u8]) -> Vec<Volume> {
    let volume = |(index, words): (usize, Vec<&[u8]>)| {
        let name = *words.first()?;
        let options = words.get(3).copied().unwrap_or_default();
        let has = |option: &str| options.split(|b| *b == b',').any(|o| o == option.as_bytes());
        let early = has("x-initrd.attach") || has("initramfs");
        let missing = has("nofail") || has("noauto");
        let places = mounted_at(fstab, name);
        let system = |place: &&[u8]| [&b"/"[..], b"/usr", b"/boot"].contains(place);
        let spare = !early && !places.iter().any(system) && (missing || !places.is_empty());
        let written = words.get(2).is_some_and(|key| key.starts_with(b"/"));
        let key = key_file(name, words.get(2).copied())?;
        Some(Volume { line: index + 1, name: name.to_vec(), key, written, spare })
    };
    rows(crypttab).filter_map(volume).collect()
}

/// Without a key in its line, systemd looks for one by the volume's name, see crypttab(5).
fn key_file(name: &[u8], key: Option<&[u8]>) -> Option<ImagePath> {
    match key {
        Some(key) if key.starts_with(b"/dev/") || key.starts_with(b"/run/") => None,
        // `key:device` lies on another disk, which is not below this root.
        Some(key) if key.starts_with(b"/") => {
            ImagePath::new(key.split(|byte| *byte == b':').next()?)
        }
        Some(key) if !matches!(key, b"none" | b"-") => None,
        _ => ImagePath::new([b"/etc/cryptsetup-keys.d/", name, b".key"].concat()),
    }
}

fn mounted_at<'a>(fstab: &'a [u8], volume: &[u8]) -> Vec<&'a [u8]> {
    let devices =
        [[b"/dev/mapper/", volume].concat(), [b"/dev/disk/by-id/dm-name-", volume].concat()];
    rows(fstab)
        .filter(|(_, words)| words.first().is_some_and(|d| devices.iter().any(|own| own == d)))
        .filter_map(|(_, words)| words.get(1).copied())
        .collect()
}

/// The words of each line that is no comment, with the number of the line.
fn rows(text: &[u8]) -> impl Iterator<Item = (usize, Vec<&[u8]>)> {
    text.split(|byte| *byte == b'\n').enumerate().filter_map(|(index, line)| {
        let words: Vec<&[u8]> =
            line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).collect();
        words.first().is_some_and(|word| !word.starts_with(b"#")).then_some((index, words))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Name, key and whether the machine starts without it.
    fn read(crypttab: &str, fstab: &str) -> Vec<(String, String, bool)> {
        let volumes = volumes(crypttab.as_bytes(), fstab.as_bytes());
        let shown = |v: Volume| (escape(&v.name).into_owned(), v.key.to_string(), v.spare);
        volumes.into_iter().map(shown).collect()
    }

    fn one(name: &str, key: &str, spare: bool) -> Vec<(String, String, bool)> {
        vec![(name.to_owned(), key.to_owned(), spare)]
    }

    #[test]
    fn a_volume_that_is_mounted_beside_the_system_is_spare() {
        let fstab = "/dev/mapper/data /srv ext4 defaults 0 2\n";
        let key = "/etc/keys/d.key";
        assert_eq!(read("# c\ndata UUID=x /etc/keys/d.key luks\n", fstab), one("data", key, true));
        assert_eq!(
            read("data UUID=x /etc/keys/d.key luks,initramfs\n", fstab),
            one("data", key, false)
        );
    }

    #[test]
    fn nobody_can_tell_what_lies_on_another_volume() {
        let key = "/crypto_keyfile.bin";
        assert_eq!(read("pv UUID=x /crypto_keyfile.bin luks\n", ""), one("pv", key, false));
        assert_eq!(read("pv UUID=x /crypto_keyfile.bin luks,nofail\n", ""), one("pv", key, true));
        let root = "/dev/mapper/pv / ext4 defaults 0 1\n";
        assert_eq!(read("pv UUID=x /crypto_keyfile.bin nofail\n", root), one("pv", key, false));
    }

    #[test]
    fn a_key_goes_by_the_name_of_its_volume() {
        let key = "/etc/cryptsetup-keys.d/data.key";
        assert_eq!(read("data UUID=x\n", ""), one("data", key, false));
        assert_eq!(read("data UUID=x none nofail\n", ""), one("data", key, true));
        assert!(read("swap /dev/sda2 /dev/urandom swap\n", "").is_empty());
    }
}
