//! Where the tests work: an image root on a file system made for one test.

use std::fs::{self, File};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use disinherit_core::ImagePath;
use disinherit_core::root::{Links, Meta, Root, Target};
use tempfile::TempDir;

/// The user whose home it is.
pub(crate) const ANN: u32 = 1000;

/// An image root, mounted or plain.
pub(crate) struct Place {
    dir: TempDir,
    mounted: bool,
}

impl Place {
    /// A directory of the file system that holds the temporary files.
    pub(crate) fn plain() -> Self {
        let place = Self { dir: TempDir::new().unwrap(), mounted: false };
        fs::create_dir_all(place.at("etc")).unwrap();
        place
    }

    /// A tmpfs.
    pub(crate) fn tmpfs(options: &str) -> Self {
        let mut place = Self::plain();
        run("mount", &["-t", "tmpfs", "-o", options, "none", text(&place.at(""))]);
        place.mounted = true;
        fs::create_dir_all(place.at("etc")).unwrap();
        place
    }

    /// A file system in a sparse image: `mkfs` is the program with its options.
    pub(crate) fn made_by(mkfs: &[&str], mebibytes: u64, options: &str) -> Self {
        let mut place = Self::plain();
        let image = place.device();
        File::create(&image).unwrap().set_len(mebibytes << 20).unwrap();
        let mut arguments = mkfs[1..].to_vec();
        arguments.push(text(&image));
        run(mkfs[0], &arguments);
        let options = format!("loop,{options}");
        run("mount", &["-o", &options, text(&image), text(&place.at(""))]);
        place.mounted = true;
        fs::create_dir_all(place.at("etc")).unwrap();
        place
    }

    /// The sparse image below the file system.
    pub(crate) fn device(&self) -> PathBuf {
        self.dir.path().join("device")
    }

    pub(crate) fn at(&self, path: &str) -> PathBuf {
        self.dir.path().join("image").join(path)
    }

    pub(crate) fn file(&self, path: &str, content: &[u8]) -> PathBuf {
        let path = self.at(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    pub(crate) fn owned_dir(&self, path: &str, uid: u32) {
        fs::create_dir_all(self.at(path)).unwrap();
        chown(self.at(path), Some(uid), Some(uid)).unwrap();
    }

    pub(crate) fn owned_file(&self, path: &str, content: &[u8], uid: u32) {
        chown(self.file(path, content), Some(uid), Some(uid)).unwrap();
    }

    pub(crate) fn root(&self) -> Root {
        Root::offline(&self.at("")).unwrap()
    }

    pub(crate) fn roots(&self) -> [Root; 2] {
        [self.root(), self.root().without_openat2()]
    }

    pub(crate) fn target(&self, path: &str) -> (Target, Meta) {
        let target = self.root().target(&image_path(path), Links::InRoot).unwrap().unwrap();
        let meta = target.meta().unwrap().unwrap();
        (target, meta)
    }

    /// Calls `act` with a target, and lets go of its directory.
    pub(crate) fn change<T>(&self, path: &str, act: impl FnOnce(&Target, &Meta) -> T) -> T {
        let (target, meta) = self.target(path);
        act(&target, &meta)
    }

    pub(crate) fn names(&self, path: &str) -> Vec<String> {
        let names = fs::read_dir(self.at(path)).unwrap();
        let mut names: Vec<_> =
            names.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Unmounts, so that the device holds everything. A child that another test has forked and that
    /// has not reached its exec yet holds our descriptors too: busy is tried again for a while.
    pub(crate) fn unmount(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let point = self.at("");
            let output = Command::new("umount").arg("--detach-loop").arg(&point).output().unwrap();
            if output.status.success() {
                break;
            }
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(errors.contains("busy") && Instant::now() < deadline, "umount: {errors}");
            std::thread::yield_now();
        }
        self.mounted = false;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.mounted {
            let unmounted = Command::new("umount").args(["-R", "-l", text(&self.at(""))]).status();
            assert!(unmounted.unwrap().success());
        }
    }
}

pub(crate) fn image_path(text: &str) -> ImagePath {
    ImagePath::new(text).unwrap()
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Runs a program that must succeed.
pub(crate) fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {errors}");
}
