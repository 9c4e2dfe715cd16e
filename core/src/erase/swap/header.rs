//! The first page of a swap area. Layout: include/linux/swap.h (`union swap_header`) and
//! kernel/power/swap.c (`struct swsusp_header`) of Linux.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use zeroize::Zeroizing;

pub(super) const SIGNATURE: &[u8; 10] = b"SWAPSPACE2";
/// What hibernation writes over the signature; the one before stands ten bytes earlier.
pub(super) const HIBERNATED: &[u8; 10] = b"S1SUSPEND\0";
/// Sizes of a page on the architectures that Linux runs on.
const PAGES: [usize; 4] = [4096, 8192, 16384, 65536];
/// The end of the boot block, and of what version 1 of the header uses in front of bad pages.
const INFO_END: usize = 1024 + 4 + 4 + 4 + 16 + 16;
/// Where UUID and label stand.
const UUID: std::ops::Range<usize> = 1036..1052;
const LABEL: std::ops::Range<usize> = 1052..1068;

/// The first page of a swap area.
pub(crate) struct Header {
    pub(super) page: Zeroizing<Vec<u8>>,
    pub(crate) hibernated: bool,
}

impl Header {
    /// `None` for a file or device that is no swap area, or too short for one.
    pub(crate) fn read(file: &File) -> Option<Self> {
        PAGES.iter().find_map(|size| Self::of_page(file, *size))
    }

    /// The UUID as blkid(8) prints it.
    pub(crate) fn uuid(&self) -> String {
        let mut text = String::with_capacity(36);
        for (at, byte) in self.page.get(UUID).unwrap_or_default().iter().enumerate() {
            if matches!(at, 4 | 6 | 8 | 10) {
                text.push('-');
            }
            text.push_str(&format!("{byte:02x}"));
        }
        text
    }

    /// The label, empty where there is none.
    pub(crate) fn label(&self) -> Vec<u8> {
        let field = self.page.get(LABEL).unwrap_or_default();
        field.split(|b| *b == 0).next().unwrap_or_default().to_vec()
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
    pub(super) fn clean(&self) -> Zeroizing<Vec<u8>> {
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
