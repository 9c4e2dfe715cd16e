//! Swap areas: everything but the header becomes zero, so UUID and label stay.
//!
//! A swap area holds raw pages of memory, and mkswap(8) rewrites only the first one.

mod active;
mod header;
mod identity;

use std::fs::File;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileExt as _, FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::device::is_zero;
use super::run::{Listener, Progress, Step};
use crate::path::escape;
use crate::sys;
use crate::{Error, Result};
pub use active::{Active, active, on};
pub(crate) use active::{in_use, is_zram, off};
pub(crate) use header::Header;
pub(crate) use identity::Identity;

const PIECE: usize = 4 << 20;
const GRAIN: usize = 4096;

/// A swap area that was overwritten.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwapReport {
    /// The device or file.
    pub path: String,
    /// Its size in bytes.
    pub size: u64,
    /// Bytes that were not zero and are now.
    pub written: u64,
    /// True when it held an image of memory from hibernation, which is gone.
    pub hibernated: bool,
    /// True when it was in use; it is not any more, [`on`] changes that.
    pub was_active: bool,
}

/// Overwrites a swap partition or file. One in use is taken out of use, and stays so: what is
/// paged out afterwards would lie in it again.
///
/// # Errors
/// `Refused`: it has no swap header. `Failed`: memory is too small to take it out of use, or it
/// cannot be read or written.
pub fn erase(path: &Path, listener: Listener<'_>) -> Result<SwapReport> {
    let failed = |e| Error::failed("erase the swap area", path.display()).because(e);
    let real = path.canonicalize().map_err(failed)?;
    let identity = Identity::at(&real);
    let used = in_use()?.into_iter().find(|area| identity.is_some_and(|it| area.is(it)));
    if let Some(area) = &used {
        off(area)?;
    }
    // Exclusive: the kernel refuses a device that is swapped to or mounted.
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC | libc::O_EXCL;
    let file = File::options().read(true).write(true).custom_flags(flags).open(&real);
    let erased = erase_opened(path, &file.map_err(failed)?, listener)?;
    Ok(SwapReport { was_active: used.is_some(), ..erased })
}

/// [`erase`] of an area that is not in use, opened for reading and writing.
///
/// # Errors
/// As [`erase`].
pub(crate) fn erase_opened(path: &Path, file: &File, listener: Listener<'_>) -> Result<SwapReport> {
    let header = header(path, file)?;
    let (size, written) = overwrite(path, file, &header, listener)?;
    let path = escape(path.as_os_str().as_bytes()).into_owned();
    Ok(SwapReport { path, size, written, hibernated: header.hibernated, was_active: false })
}

fn header(path: &Path, file: &File) -> Result<Header> {
    let failed = |e| Error::failed("read the swap header of", path.display()).because(e);
    let kind = file.metadata().map_err(failed)?.file_type();
    let found = (kind.is_block_device() || kind.is_file()).then(|| Header::read(file)).flatten();
    found.ok_or_else(|| {
        Error::refused("erase the swap area", path.display())
            .because("it has no swap header")
            .remedy("name a swap area that mkswap has made")
    })
}

/// The size and the bytes written. What is zero already is left alone, unless it only reads as zero: swap
/// goes to the blocks of a file past the file system, which may take them for unwritten.
fn overwrite(
    path: &Path,
    mut file: &File,
    header: &Header,
    listener: Listener<'_>,
) -> Result<(u64, u64)> {
    let failed = |e| Error::failed("erase the swap area", path.display()).because(e);
    let size = std::io::Seek::seek(&mut file, std::io::SeekFrom::End(0)).map_err(failed)?;
    let device = file.metadata().map_err(failed)?.file_type().is_block_device();
    let mut buffer = Zeroizing::new(vec![0; PIECE]);
    let zeros = vec![0; GRAIN];
    let (mut at, mut written) = (header.page.len() as u64, 0);
    while at < size {
        let length = usize::try_from((size - at).min(PIECE as u64)).unwrap_or(PIECE);
        let piece = buffer.get_mut(..length).unwrap_or_default();
        let unwritten = !device && is_unwritten(file, at, length as u64);
        file.read_exact_at(piece, at).map_err(failed)?;
        for (grain, offset) in piece.chunks(GRAIN).zip((at..).step_by(GRAIN)) {
            if unwritten || !is_zero(grain) {
                let nothing = zeros.get(..grain.len()).unwrap_or_default();
                file.write_all_at(nothing, offset).map_err(failed)?;
                written += grain.len() as u64;
            }
        }
        at += length as u64;
        listener(&Progress { subject: path, step: Step::Swap, done: at, total: size });
    }
    file.write_all_at(&header.clean(), 0).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    Ok((size, written))
}

/// True when the file system takes some of these bytes for unwritten, or cannot say.
fn is_unwritten(file: &File, at: u64, length: u64) -> bool {
    sys::fiemap(file, at).map_or(true, |extents| {
        extents.iter().take_while(|e| e.logical < at + length).any(sys::Extent::is_unwritten)
    })
}

#[cfg(test)]
mod tests {
    use super::header::{HIBERNATED, SIGNATURE};
    use super::*;
    use std::io::Write as _;

    fn area(hibernated: bool) -> tempfile::NamedTempFile {
        let mut page = vec![0u8; 4096];
        page[..4].copy_from_slice(b"boot");
        page[1024] = 1;
        page[1036..1052].copy_from_slice(&[7; 16]);
        page[1052..1057].copy_from_slice(b"label");
        page[4086..].copy_from_slice(SIGNATURE);
        if hibernated {
            page[4040..4060].fill(9);
            page[4076..4086].copy_from_slice(SIGNATURE);
            page[4086..].copy_from_slice(HIBERNATED);
        }
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&page).unwrap();
        file.write_all(&[b'p'; 3 * PIECE + 4096]).unwrap();
        file
    }

    #[test]
    fn everything_but_the_header_becomes_zero() {
        for hibernated in [false, true] {
            let file = area(hibernated);
            let report = erase(file.path(), &mut |_| ()).unwrap();
            assert_eq!((report.hibernated, report.was_active), (hibernated, false));
            assert_eq!(report.written, 3 * PIECE as u64 + 4096);
            let now = std::fs::read(file.path()).unwrap();
            assert!(is_zero(&now[4096..]) && is_zero(&now[1068..4086]));
            assert_eq!(
                (&now[..4], &now[1036..1057]),
                (&b"boot"[..], &[&[7; 16][..], b"label"].concat()[..])
            );
            assert_eq!(&now[4086..4096], SIGNATURE);
            let header = Header::read(&file.reopen().unwrap()).unwrap();
            assert_eq!(header.uuid(), "07070707-0707-0707-0707-070707070707");
            assert_eq!((header.label(), header.hibernated), (b"label".to_vec(), false));
        }
    }

    #[test]
    fn what_is_no_swap_area_is_refused() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&[1; 8192]).unwrap();
        let error = erase(file.path(), &mut |_| ()).unwrap_err();
        assert_eq!(error.kind(), crate::Kind::Refused);
        assert_eq!(std::fs::read(file.path()).unwrap(), [1; 8192]);
    }
}
