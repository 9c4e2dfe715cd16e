//! Plants secrets in every way in which a file system keeps them, and deletes them.

use std::error::Error;
use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{FallocateFlags, XattrFlags};

/// Where a secret stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    Small,
    Large,
    Edited,
    Truncated,
    Attribute,
    Target,
    Name,
    /// In a file that is there, and that the scrub removes or edits.
    Live,
    Password,
    LiveAttribute,
    LiveTarget,
    LiveName,
    /// Deleted, and taken over by a file that is preallocated and there.
    Journal,
    /// A page of memory in a swap file.
    Swap,
}

impl Class {
    /// True when the secret was the content of a file.
    pub(crate) fn is_data(self) -> bool {
        !matches!(
            self,
            Self::Attribute
                | Self::Target
                | Self::Name
                | Self::LiveAttribute
                | Self::LiveTarget
                | Self::LiveName
        )
    }
}

pub(crate) struct Secret {
    pub(crate) class: Class,
    pub(crate) text: String,
}

/// 620 secrets that reached the medium and are deleted, between files that live.
pub(crate) fn plant(top: &Path) -> Result<Vec<Secret>, Box<dyn Error>> {
    let mut secrets = Vec::new();
    let folder = top.join("work");
    fs::create_dir(&folder)?;
    let plan = [
        (Class::Small, 200),
        (Class::Large, 60),
        (Class::Edited, 100),
        (Class::Truncated, 60),
        (Class::Attribute, 60),
        (Class::Target, 60),
        (Class::Name, 80),
    ];
    for (class, count) in plan {
        for number in 0..count {
            let text = token()?;
            write(&folder.join(format!("{class:?}-{number}")), class, &text)?;
            fs::write(folder.join(format!("live-{class:?}-{number}")), vec![b'l'; 3000])?;
            secrets.push(Secret { class, text });
        }
    }
    sync(top)?;
    for (class, count) in plan {
        for number in 0..count {
            remove(&folder.join(format!("{class:?}-{number}")), class)?;
        }
    }
    sync(top)?;
    Ok(secrets)
}

/// Writes back the file system of `path`, and no other one.
pub(crate) fn sync(path: &Path) -> std::io::Result<()> {
    Ok(rustix::fs::syncfs(File::open(path)?)?)
}

fn write(path: &Path, class: Class, text: &str) -> Result<(), Box<dyn Error>> {
    match class {
        Class::Large => fs::write(path, format!("{text}\n").repeat(6000))?,
        Class::Attribute => {
            fs::write(path, "x")?;
            rustix::fs::setxattr(path, "user.secret", text.as_bytes(), XattrFlags::empty())?;
        }
        Class::Target => symlink(format!("/{text}/{}", "long/".repeat(20)), path)?,
        Class::Name => {
            fs::create_dir(path)?;
            fs::write(path.join(text), "x")?;
        }
        _ => fs::write(path, format!("password = {text}\n"))?,
    }
    Ok(())
}

fn remove(path: &Path, class: Class) -> Result<(), Box<dyn Error>> {
    match class {
        Class::Edited => {
            let new = path.with_extension("new");
            fs::write(&new, "password = none\n")?;
            fs::rename(new, path)?;
        }
        Class::Truncated => File::options().write(true).open(path)?.set_len(0)?,
        Class::Name => fs::remove_dir_all(path)?,
        _ => fs::remove_file(path)?,
    }
    Ok(())
}

/// Leaves `room` bytes free.
pub(crate) fn nearly_fill(top: &Path, room: u64) -> Result<(), Box<dyn Error>> {
    let stat = rustix::fs::statvfs(top)?;
    let length = (stat.f_bavail * stat.f_frsize).saturating_sub(room);
    let mut file = File::create(top.join("ballast"))?;
    std::io::copy(&mut std::io::repeat(b'b').take(length), &mut file)?;
    Ok(file.sync_all()?)
}

/// Fills nine tenths of the free space with one secret, and deletes it.
pub(crate) fn bulk(path: &Path, secret: &str) -> Result<(), Box<dyn Error>> {
    let top = path.parent().unwrap();
    let free = rustix::fs::statvfs(top)?;
    let lines = usize::try_from(free.f_bavail * free.f_frsize / 33 * 9 / 10)?;
    fs::write(path, format!("{secret}\n").repeat(lines))?;
    sync(path)?;
    fs::remove_file(path)?;
    sync(top)?;
    // xfs frees the blocks of a deleted file some time later.
    let deadline = Instant::now() + Duration::from_secs(60);
    while rustix::fs::statvfs(top)?.f_bavail < free.f_bavail / 10 * 9 {
        assert!(Instant::now() < deadline, "the deleted file keeps its blocks");
        std::thread::yield_now();
    }
    Ok(())
}

/// Takes most of the free space with a file that is not written.
pub(crate) fn preallocate(top: &Path) -> Result<(), Box<dyn Error>> {
    let stat = rustix::fs::statvfs(top)?;
    let length = stat.f_bavail * stat.f_frsize / 10 * 9;
    let file = File::create(top.join("preallocated"))?;
    Ok(rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, length)?)
}

/// 32 characters that occur nowhere else.
pub(crate) fn token() -> Result<String, Box<dyn Error>> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789XY";
    let mut random = [0; 32];
    loop {
        File::open("/dev/urandom")?.read_exact(&mut random)?;
        let text: String =
            random.iter().map(|b| char::from(LETTERS[usize::from(b % 64)])).collect();
        let mut different: Vec<char> = text.chars().collect();
        different.sort_unstable();
        different.dedup();
        // The rare one that the entropy rule would not take.
        if different.len() > 18 {
            return Ok(text);
        }
    }
}
