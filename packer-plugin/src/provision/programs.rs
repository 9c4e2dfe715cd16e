//! Which programs go into a guest.

use std::io::Read as _;
use std::path::Path;

use disinherit_core::{Error, ImagePath, Result, Root};

use crate::config::Settings;
use crate::elf::{self, Arch, Kind};
use crate::payload::{Blob, Bundle, FIRSTBOOT, PLUGIN};

/// What this plugin can bring into a guest.
#[derive(Debug)]
pub struct Programs {
    bundle: Bundle,
}

impl Programs {
    /// This process's own file and what it carries.
    ///
    /// # Errors
    /// When it cannot be read, or what it carries is damaged.
    pub fn of_this_process() -> Result<Self> {
        let path = std::env::current_exe()
            .map_err(|e| Error::failed("find", "the plugin's own file").because(e))?;
        Ok(Self { bundle: Bundle::open(&path)? })
    }

    /// What is wrong with the settings, as far as it can be known before a guest is there: the
    /// problem's option and its text.
    #[must_use]
    pub fn check(&self, settings: &Settings) -> Option<(&'static str, String)> {
        let unknown = settings.unknown.contains(&"firstboot_binary");
        let given = settings.firstboot_binary.is_some() || unknown;
        if !settings.firstboot || given || self.bundle.architectures(FIRSTBOOT).next().is_some() {
            return None;
        }
        let text = format!(
            "this plugin does not carry {FIRSTBOOT}; build it with \"make dist\", name one in \
             firstboot_binary, or set firstboot = false"
        );
        Some(("firstboot", text))
    }

    /// The program that scrubs, for a guest of this architecture.
    ///
    /// # Errors
    /// When there is none, or the one that was named is for another architecture.
    pub(super) fn guest(&self, settings: &Settings, arch: Arch) -> Result<Blob> {
        if let Some(path) = &settings.guest_binary {
            return named("guest_binary", path, arch);
        }
        // A plugin on Linux runs in a guest of its own architecture as it is.
        if cfg!(target_os = "linux") && elf::arch(std::env::consts::ARCH) == Some(arch) {
            return self.bundle.own();
        }
        self.bundle.find(PLUGIN, arch)?.ok_or_else(|| {
            Error::refused("scrub", format!("a guest of the architecture {arch}"))
                .because(format!("this plugin is for {}", std::env::consts::ARCH))
                .remedy(format!("set guest_binary to a {PLUGIN} for Linux on {arch}"))
        })
    }

    /// The first-boot program for the image below `root`, whose own programs tell its architecture.
    ///
    /// # Errors
    /// When the image's architecture cannot be told, or this program does not carry one for it.
    pub fn firstboot_for(&self, root: &Root) -> Result<Vec<u8>> {
        let arch = architecture(root)?;
        let blob = self.bundle.find(FIRSTBOOT, arch)?.ok_or_else(|| {
            Error::refused("install", format!("{FIRSTBOOT} in an image of the architecture {arch}"))
                .because("this program does not carry one for it")
                .remedy("name one with --firstboot PATH, build with \"make dist\", or pass --firstboot none")
        })?;
        blob.read()
    }

    /// The first-boot program, where the settings ask for it.
    ///
    /// # Errors
    /// When there is none, or the one that was named is for another architecture.
    pub(super) fn firstboot(&self, settings: &Settings, arch: Arch) -> Result<Option<Blob>> {
        if !settings.firstboot {
            return Ok(None);
        }
        if let Some(path) = &settings.firstboot_binary {
            return named("firstboot_binary", path, arch).map(Some);
        }
        self.bundle.find(FIRSTBOOT, arch)?.map(Some).ok_or_else(|| {
            let carried: Vec<&str> = self.bundle.architectures(FIRSTBOOT).collect();
            Error::refused("install", format!("{FIRSTBOOT} in a guest of the architecture {arch}"))
                .because(format!("this plugin carries it for: {}", carried.join(", ")))
                .remedy("name one in firstboot_binary, or set firstboot = false")
        })
    }
}

/// What the image's shell or init is built for.
fn architecture(root: &Root) -> Result<Arch> {
    for program in ["/bin/sh", "/sbin/init", "/usr/bin/env"] {
        let Some((file, _)) = root.open(&ImagePath::literal(program))? else { continue };
        let mut head = Vec::new();
        file.take(20)
            .read_to_end(&mut head)
            .map_err(|e| Error::failed("read", program).because(e))?;
        if let Kind::Elf(arch) = elf::judge(&head) {
            return Ok(arch);
        }
    }
    Err(Error::refused("tell the architecture of", root.host_path().display())
        .because("neither /bin/sh nor /sbin/init is a program that is known here")
        .remedy("name the first-boot program with --firstboot PATH, or pass --firstboot none"))
}

fn named(option: &'static str, path: &Path, arch: Arch) -> Result<Blob> {
    let kind = elf::kind(path).map_err(|e| Error::failed("read", path.display()).because(e))?;
    let wrong = match kind {
        Kind::Elf(other) if other != arch => format!("it is for {other}, the guest is {arch}"),
        Kind::Elf(_) | Kind::Script => return Blob::of_file(path),
        Kind::Unknown => format!("it is for an unknown architecture, the guest is {arch}"),
        Kind::Other => "it is neither a program nor a script".to_owned(),
    };
    Err(Error::refused("upload", format!("{} ({option})", path.display()))
        .because(wrong)
        .remedy(format!("set {option} to a static Linux program for {arch}")))
}
