//! Swap areas: everything but the header becomes zero, so UUID and label stay.
//!
//! A swap area holds raw pages of memory, and mkswap(8) rewrites only the first one. Layout of the
//! header: include/linux/swap.h (`union swap_header`) and kernel/power/swap.c
//! (`struct swsusp_header`) of Linux.

use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileExt as _, FileTypeExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::device::is_zero;
use super::run::{Listener, Progress, Step};
use crate::path::escape;
use crate::sys;
use crate::sys::erase as sys_erase;
use crate::{Error, Result};

const PIECE: usize = 1 << 20;
const GRAIN: usize = 4096;
const SIGNATURE: &[u8; 10] = b"SWAPSPACE2";
/// What hibernation writes over the signature; the one before stands ten bytes earlier.
const HIBERNATED: &[u8; 10] = b"S1SUSPEND\0";
/// Sizes of a page on the architectures that Linux runs on.
const PAGES: [usize; 4] = [4096, 8192, 16384, 65536];
/// The end of the boot block, and of what version 1 of the header uses in front of bad pages.
const INFO_END: usize = 1024 + 4 + 4 + 4 + 16 + 16;

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
    /// True when it was in use; it is in use again.
    pub was_active: bool,
}

/// Overwrites a swap partition or file. One in use is taken out of use for the time.
///
/// # Errors
/// `Refused`: it has no swap header. `Failed`: memory is too small to take it out of use, or it
/// cannot be read or written.
pub fn erase(path: &Path, listener: Listener<'_>) -> Result<SwapReport> {
    let failed = |e| Error::failed("erase the swap area", path.display()).because(e);
    let header = Header::read(path)?;
    let name = CString::new(path.as_os_str().as_bytes())
        .map_err(|e| Error::failed("erase the swap area", path.display()).because(e))?;
    let was_active = active()?.contains(&path.canonicalize().map_err(failed)?);
    if was_active {
        sys_erase::swap_off(&name).map_err(|e| failed(e).remedy("free memory and run again"))?;
    }
    let erased = overwrite(path, &header, listener);
    if was_active {
        sys_erase::swap_on(&name).map_err(failed)?;
    }
    let (size, written) = erased?;
    let path = escape(path.as_os_str().as_bytes()).into_owned();
    Ok(SwapReport { path, size, written, hibernated: header.hibernated, was_active })
}

/// The swap areas in use that live in files or on devices. Source: proc_swaps(5).
///
/// # Errors
/// /proc/swaps cannot be read.
pub fn active() -> Result<Vec<PathBuf>> {
    let text = match std::fs::read_to_string("/proc/swaps") {
        // A kernel without swap.
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        text => text.map_err(|e| Error::failed("read", "/proc/swaps").because(e))?,
    };
    let names = text.lines().skip(1).filter_map(|line| line.split_whitespace().next());
    Ok(names.map(|name| PathBuf::from(name.replace("\\040", " "))).collect())
}

/// The first page of a swap area.
struct Header {
    page: Zeroizing<Vec<u8>>,
    hibernated: bool,
}

impl Header {
    fn read(path: &Path) -> Result<Self> {
        let failed = |e| Error::failed("read the swap header of", path.display()).because(e);
        let kind = std::fs::symlink_metadata(path).map_err(failed)?.file_type();
        let file = if kind.is_block_device() || kind.is_file() {
            Some(File::open(path).map_err(failed)?)
        } else {
            None
        };
        let found = file.and_then(|file| PAGES.iter().find_map(|size| Self::of_page(&file, *size)));
        found.ok_or_else(|| {
            Error::refused("erase the swap area", path.display())
                .because("it has no swap header")
                .remedy("name a swap area that mkswap has made")
        })
    }

    fn of_page(file: &File, size: usize) -> Option<Self> {
        let mut page = Zeroizing::new(vec![0; size]);
        file.read_exact_at(&mut page, 0).ok()?;
        let signature = page.last_chunk::<10>()?;
        if signature == SIGNATURE {
            return Some(Self { page, hibernated: false });
        }
        let (body, _) = page.split_last_chunk::<10>()?;
        if signature != HIBERNATED || body.last_chunk::<10>() != Some(SIGNATURE) {
            return None;
        }
        Some(Self { page, hibernated: true })
    }

    /// The page with everything gone but boot block, UUID, label and the list of bad pages.
    fn clean(&self) -> Zeroizing<Vec<u8>> {
        let mut clean = self.page.clone();
        let bad = clean.get(1024 + 8..1024 + 12).and_then(|n| n.first_chunk::<4>());
        let bad = usize::try_from(bad.map_or(0, |n| u32::from_ne_bytes(*n))).unwrap_or(0);
        // 117 words of padding stand between the label and the list (1536 bytes from the start).
        let keep = if bad == 0 { INFO_END } else { 1536 + bad.saturating_mul(4) };
        let tail = clean.len().saturating_sub(SIGNATURE.len());
        if let Some(unused) = clean.get_mut(keep.min(tail)..tail) {
            unused.fill(0);
        }
        if let Some(signature) = clean.last_chunk_mut::<10>() {
            signature.copy_from_slice(SIGNATURE);
        }
        clean
    }
}

/// Size and bytes written. What is zero already is left alone, unless it only reads as zero: swap
/// goes to the blocks of a file past the file system, which may take them for unwritten.
fn overwrite(path: &Path, header: &Header, listener: Listener<'_>) -> Result<(u64, u64)> {
    let failed = |e| Error::failed("erase the swap area", path.display()).because(e);
    let file = OpenOptions::new().read(true).write(true).open(path).map_err(failed)?;
    let size = std::io::Seek::seek(&mut &file, std::io::SeekFrom::End(0)).map_err(failed)?;
    let device = file.metadata().map_err(failed)?.file_type().is_block_device();
    let mut buffer = Zeroizing::new(vec![0; PIECE]);
    let zeros = vec![0; GRAIN];
    let (mut at, mut written) = (header.page.len() as u64, 0);
    while at < size {
        let length = usize::try_from((size - at).min(PIECE as u64)).unwrap_or(PIECE);
        let piece = buffer.get_mut(..length).unwrap_or_default();
        let unwritten = !device && is_unwritten(&file, at, length as u64);
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
