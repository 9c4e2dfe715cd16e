//! The dirty Debian base that `examples/debian-qemu/build-base.sh` makes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::{FlockOperation, flock};
use serde::Deserialize;

use crate::command::run;
use crate::{Context, Result};

/// What `sudo` asks of the user `builder`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sudo {
    /// Nothing.
    #[serde(rename = "nopasswd")]
    NoPassword,
    /// The password, as in `echo pw | sudo -S ...`.
    Password,
}

impl Sudo {
    fn word(self) -> &'static str {
        match self {
            Self::NoPassword => "nopasswd",
            Self::Password => "password",
        }
    }
}

/// One secret inside the base, as `planted.json` lists it.
#[derive(Debug, Clone, Deserialize)]
pub struct Planted {
    /// Stable name, such as `builder-password`.
    pub id: String,
    /// Where in the image.
    pub path: String,
    /// One line of ASCII that stands in that file and nowhere else.
    pub value: String,
}

/// How the author of the image logs in, as `builder.json` says.
#[derive(Clone, Deserialize)]
pub struct Builder {
    /// The account.
    pub user: String,
    /// Its password; random for each build of the base.
    pub password: String,
    /// Private key file, outside of the image.
    pub key: PathBuf,
    /// What sudo asks it for.
    pub sudo: Sudo,
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder").field("user", &self.user).finish_non_exhaustive()
    }
}

/// A built base: a folder with the image, the tree and the lists.
#[derive(Debug, Clone)]
pub struct Base {
    folder: PathBuf,
}

impl Base {
    /// Makes Debian `suite` (`bookworm`, `trixie`, `sid`), or takes the one that an earlier call made.
    ///
    /// # Errors
    /// When the script fails; what it said is in the text.
    pub fn build(suite: &str, sudo: Sudo) -> Result<Self> {
        let script = repository().join("examples/debian-qemu/build-base.sh");
        let folder = repository().join(format!("build/debian-{suite}-{}", sudo.word()));
        run(Command::new(script)
            .args(["--suite", suite, "--sudo", sudo.word()])
            .arg("--output")
            .arg(&folder))?;
        Ok(Self { folder })
    }

    /// Debian 12 whose builder needs no password for sudo.
    ///
    /// # Errors
    /// As [`Self::build`].
    pub fn bookworm() -> Result<Self> {
        Self::build("bookworm", Sudo::NoPassword)
    }

    /// Debian 13, the same.
    ///
    /// # Errors
    /// As [`Self::build`].
    pub fn trixie() -> Result<Self> {
        Self::build("trixie", Sudo::NoPassword)
    }

    /// The bootable disk, qcow2. Never written: boot it through an overlay.
    pub fn image(&self) -> PathBuf {
        self.folder.join("base.qcow2")
    }

    /// The unpacked tree, owners and modes as in the image; root only. Never written: put a
    /// [`crate::layer::Layer`] over it, or [`Self::unpack_to`] a copy.
    ///
    /// # Errors
    /// When it cannot be unpacked.
    pub fn tree(&self) -> Result<PathBuf> {
        // Two tests, or two runs of them, may want it at once; the second finds it made.
        let folder = fs::File::open(&self.folder).context(|| "open the base".to_owned())?;
        flock(&folder, FlockOperation::LockExclusive).context(|| "lock the base".to_owned())?;
        let tree = self.folder.join("tree");
        if !tree.exists() {
            // Unpacked under another name first: an interrupted run leaves no half tree.
            let partial = self.folder.join("tree.part");
            if partial.exists() {
                fs::remove_dir_all(&partial).context(|| "remove a half tree".to_owned())?;
            }
            self.unpack_to(&partial)?;
            fs::rename(&partial, &tree).context(|| "finish the tree".to_owned())?;
        }
        Ok(tree)
    }

    /// The same tree as a tar file.
    pub fn archive(&self) -> PathBuf {
        self.folder.join("tree.tar")
    }

    /// Unpacks a fresh copy of the tree into the new folder `target`; root only.
    ///
    /// # Errors
    /// When it cannot be unpacked.
    pub fn unpack_to(&self, target: &Path) -> Result {
        fs::create_dir_all(target).context(|| format!("create {}", target.display()))?;
        crate::layer::unpack(&self.archive(), target)
    }

    /// The secrets inside.
    ///
    /// # Errors
    /// When the list cannot be read.
    pub fn planted(&self) -> Result<Vec<Planted>> {
        #[derive(Deserialize)]
        struct List {
            secrets: Vec<Planted>,
        }
        let list: List = self.read_json("planted.json")?;
        Ok(list.secrets)
    }

    /// How the author logs in.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn builder(&self) -> Result<Builder> {
        self.read_json("builder.json")
    }

    fn read_json<T: serde::de::DeserializeOwned>(&self, name: &str) -> Result<T> {
        let path = self.folder.join(name);
        let text = fs::read(&path).context(|| format!("read {}", path.display()))?;
        serde_json::from_slice(&text).context(|| format!("parse {}", path.display()))
    }
}

/// The root of this repository.
pub fn repository() -> &'static Path {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests)
}
