//! Which files make each sshd of an image take no password.

use std::collections::{BTreeMap, BTreeSet};

use super::daemons::{Daemon, Daemons};
use super::sshd_settings::{Settings, without_a_key};
use super::{Installed, Kind};
use crate::manifest::Manifest;
use crate::root::Root;
use crate::sshd::{Config, with_blocks, with_include, without};
use crate::{ImagePath, Result};

/// Where the settings lie for sshd's own main file: before any other file of that folder.
pub(super) const DROPIN: &str = "/etc/ssh/sshd_config.d/00-disinherit.conf";
/// The settings of other main files, by their escaped names.
pub(super) const FOLDER: &str = "/etc/ssh/disinherit.d";
/// Larger than any main file, and any sshd.
const LIMIT: u64 = 32 << 20;

/// What closes the daemons of an image.
#[derive(Debug, Clone, Default)]
pub struct SshdFiles {
    /// New files, then changed main files.
    pub(super) files: Vec<Installed>,
    /// Some of them name the list of revoked keys.
    pub(super) names_revoked: bool,
    /// The daemons, each with the keywords that must then be `no` for everybody.
    pub(super) daemons: Vec<(Daemon, Vec<&'static str>)>,
    /// Sentences: why a daemon cannot be closed.
    pub(super) obstacles: Vec<String>,
    /// Sentences for a reader.
    pub(super) notes: Vec<String>,
}

impl SshdFiles {
    pub(super) fn discover(root: &Root) -> Result<Self> {
        let Daemons { found, unclear, other } = Daemons::discover(root)?;
        let mut all = Self { obstacles: unclear, ..Self::default() };
        all.notes.extend(other.into_iter().filter(|(_, program)| program != "tinysshd").map(
            |(service, program)| {
                format!("{service} starts {program}, whose own -s option keeps passwords out")
            },
        ));
        let mut by_main: BTreeMap<ImagePath, Vec<Daemon>> = BTreeMap::new();
        for daemon in found {
            let main = match &daemon.main {
                Some(main) => root.canonical(main)?,
                None => own_main(root)?,
            };
            match main {
                Some(main) => by_main.entry(main).or_default().push(daemon),
                None => all.obstacles.extend(daemon.main.map(|main| {
                    format!("{} starts sshd with {main}, which is missing", daemon.service)
                })),
            }
        }
        for (main, daemons) in by_main {
            all.close(root, &main, daemons)?;
        }
        // A main file names the others, so these come first.
        all.files.sort_by_key(|file| matches!(file.kind, Kind::Changed { .. }));
        Ok(all)
    }

    fn close(&mut self, root: &Root, main: &ImagePath, daemons: Vec<Daemon>) -> Result<()> {
        let now = root.read(main, LIMIT)?.unwrap_or_default();
        let text = without(&now).unwrap_or_else(|| now.to_vec());
        let config = Config::load_without_ours(root, main)?;
        let options: Vec<&str> =
            daemons.iter().flat_map(|d| d.options.iter().map(String::as_str)).collect();
        if let Some(list) = without_a_key(&config, &options) {
            self.obstacles.push(format!("AuthenticationMethods {list} in {main} asks for no key"));
        }
        if text.contains(&0) {
            self.obstacles.push(format!("{main} has a NUL byte"));
        }
        let settings = Settings::of(&config, &options);
        let own = daemons.iter().any(|daemon| daemon.main.is_none());
        let include = config.uses_include() || knows_include(root, &daemons)?;
        let file = settings_file(main, own);
        let new = if own && config.has_dropin_include() {
            text
        } else if include {
            with_include(&text, &file.to_string())
        } else {
            with_blocks(&text, &settings.global(), &settings.matched())
        };
        if include {
            let content = settings.text().into_bytes();
            self.files.push(Installed::file(file, content, 0o600, "no password for SSH"));
        }
        if new != *now {
            let kind = Kind::Changed { content: new };
            let path = main.clone();
            self.files.push(Installed { path, kind, why: "no password for SSH" });
        }
        self.names_revoked |= settings.names_revoked();
        let off = settings.off();
        self.daemons.extend(daemons.into_iter().map(|daemon| (daemon, off.to_vec())));
        Ok(())
    }

    /// The files, in the order in which they are to be written.
    pub fn files(&self) -> &[Installed] {
        &self.files
    }

    /// The daemons, each with the keywords that must then be `no` for everybody.
    pub fn daemons(&self) -> &[(Daemon, Vec<&'static str>)] {
        &self.daemons
    }

    /// Sentences for a reader.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }
}

/// Main files that services give to sshd by `-f`.
pub(super) fn by_option(root: &Root) -> Result<BTreeSet<String>> {
    let mut files = BTreeSet::new();
    for main in Daemons::discover(root)?.found.into_iter().filter_map(|daemon| daemon.main) {
        files.extend(root.canonical(&main)?.map(|path| path.escaped().into_owned()));
    }
    Ok(files)
}

/// Main files that hold what [`SshdFiles`] put in.
pub(super) fn changed(root: &Root, manifest: &Manifest) -> Result<Vec<ImagePath>> {
    let mut changed: Vec<ImagePath> = Vec::new();
    for path in own_main(root)?.into_iter().chain(manifest.sshd_main_files()) {
        let text = root.read(&path, LIMIT)?.unwrap_or_default();
        if without(&text).is_some() && !changed.contains(&path) {
            changed.push(path);
        }
    }
    Ok(changed)
}

/// sshd's own main file, without links.
fn own_main(root: &Root) -> Result<Option<ImagePath>> {
    Ok(Config::main_of(root)?.map(|main| root.canonical(&main)).transpose()?.flatten())
}

fn settings_file(main: &ImagePath, own: bool) -> ImagePath {
    if own {
        return ImagePath::literal(DROPIN);
    }
    let bytes = main.relative().as_encoded_bytes();
    let name: String = bytes.iter().map(|byte| escaped(*byte)).collect();
    ImagePath::literal(FOLDER).join(format!("{name}.conf")).unwrap_or_else(ImagePath::root)
}

/// No two paths become one name.
fn escaped(byte: u8) -> String {
    match byte {
        b'/' => "-".to_owned(),
        b'.' => ".".to_owned(),
        byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        byte => format!("_{byte:02x}"),
    }
}

/// True when a program calls itself OpenSSH 8.2 or newer, which brought `Include`.
fn knows_include(root: &Root, daemons: &[Daemon]) -> Result<bool> {
    for daemon in daemons {
        let program = root.read(&daemon.program, LIMIT)?.unwrap_or_default();
        if version(&program).is_none_or(|version| version < (8, 2)) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// From the name that the program shows: `OpenSSH_9.2p1`.
fn version(program: &[u8]) -> Option<(u32, u32)> {
    const NAME: &[u8] = b"OpenSSH_";
    program.windows(NAME.len()).enumerate().filter(|(_, name)| *name == NAME).find_map(|(at, _)| {
        let rest = program.get(at + NAME.len()..)?;
        let number = rest.split(|b| !b.is_ascii_digit() && *b != b'.').next()?;
        let (major, minor) = std::str::from_utf8(number).ok()?.split_once('.')?;
        Some((major.parse().ok()?, minor.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_from_the_program() {
        assert_eq!(version(b"\0OpenSSH_\0x OpenSSH_9.2p1 Debian\0"), Some((9, 2)));
        assert_eq!(version(b"OpenSSH_10.0p2"), Some((10, 0)));
        assert_eq!(version(b"#!/bin/sh\nexec sshd"), None);
    }
}
