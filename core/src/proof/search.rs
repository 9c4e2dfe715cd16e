//! Reads devices past the page cache and looks for needles.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::index::Index;
use super::needles::{Form, Needles};
use crate::erase::device::{Device, DirectBuffer};
use crate::erase::{Listener, Progress, Step};
use crate::path::escape;
use crate::{Error, ImagePath, Result};

/// Bytes read in one call.
const PIECE: usize = 4 << 20;
/// What O_DIRECT wants of offsets and lengths.
const SECTOR: u64 = 4096;
/// Hits of one secret that are listed; the others are counted.
const LISTED: u32 = 16;

/// What a hit belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Where {
    /// Not looked up, or the file system does not say.
    Unknown,
    /// Nobody: the block is free.
    Free,
    /// The journal or log of the file system.
    Log,
    /// Another part of the file system's own: inodes, directories of some kinds, trees.
    Metadata,
    /// A file or directory; the path is seen from the top of the file system.
    File(ImagePath),
    /// A file that holds the block preallocated: reading the file gives zeros.
    Preallocated(ImagePath),
}

/// A needle on a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hit {
    /// The device.
    pub device: String,
    /// Byte offset on it.
    pub offset: u64,
    /// The number given to [`Needles::add`].
    pub secret: u32,
    /// In which form it stands there.
    pub form: Form,
    /// What it belongs to.
    pub place: Where,
}

/// One device, and how much of it was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Searched {
    /// The device.
    pub device: String,
    /// Its size in bytes.
    pub size: u64,
    /// Bytes that were to be searched; the size for a search of all of it.
    pub wanted: u64,
    /// Bytes searched; less than wanted when the time was over.
    pub searched: u64,
}

/// The result of a search.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SearchReport {
    /// The devices in the order of the call.
    pub devices: Vec<Searched>,
    /// Secrets searched for.
    pub secrets: u32,
    /// Secrets that are too short or too regular to be searched for.
    pub not_provable: u32,
    /// At most 16 hits of each secret on each device, by device and offset.
    pub hits: Vec<Hit>,
    /// Hits that are not listed.
    pub more: u64,
    /// What such a search cannot see.
    pub blind: Vec<String>,
}

impl SearchReport {
    /// True when every device was read to its end and nothing was found.
    pub fn is_proof(&self) -> bool {
        self.hits.is_empty() && self.devices.iter().all(|d| d.searched == d.size)
    }
}

/// What of a device is searched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Area {
    /// The device.
    pub device: PathBuf,
    /// Ranges of bytes on it; `None` for all of it.
    pub parts: Option<Vec<Range<u64>>>,
}

impl Area {
    /// All of a device.
    pub fn whole(device: PathBuf) -> Self {
        Self { device, parts: None }
    }

    /// The bytes to read of a device of `size` bytes: whole sectors in rising order, none twice.
    fn ranges(&self, size: u64) -> Vec<Range<u64>> {
        let Some(parts) = &self.parts else { return std::iter::once(0..size).collect() };
        let mut sorted: Vec<Range<u64>> = parts
            .iter()
            .map(|p| p.start / SECTOR * SECTOR..p.end.next_multiple_of(SECTOR).min(size))
            .filter(|p| p.start < p.end)
            .collect();
        sorted.sort_unstable_by_key(|part| part.start);
        let mut ranges: Vec<Range<u64>> = Vec::with_capacity(sorted.len());
        for part in sorted {
            match ranges.last_mut() {
                Some(last) if part.start <= last.end => last.end = last.end.max(part.end),
                _ => ranges.push(part),
            }
        }
        ranges
    }
}

/// Searches block devices for all needles at once, as [`search_areas`] does.
///
/// # Errors
/// A device cannot be opened or read.
pub fn search(
    devices: &[PathBuf],
    needles: &Needles,
    limit: Option<Duration>,
    listener: Listener<'_>,
) -> Result<SearchReport> {
    let areas: Vec<Area> = devices.iter().cloned().map(Area::whole).collect();
    search_areas(&areas, needles, limit, listener)
}

/// Searches parts of block devices for all needles at once.
///
/// The devices are read with O_DIRECT after a sync(2) of everything. It ends early, and the report
/// says so, when `limit` is over.
///
/// # Errors
/// A device cannot be opened or read.
pub fn search_areas(
    areas: &[Area],
    needles: &Needles,
    limit: Option<Duration>,
    listener: Listener<'_>,
) -> Result<SearchReport> {
    rustix::fs::sync();
    let end = limit.and_then(|limit| Instant::now().checked_add(limit));
    let index = Index::new(needles.patterns());
    let mut report = SearchReport {
        devices: Vec::new(),
        secrets: needles.provable(),
        not_provable: needles.not_provable(),
        hits: Vec::new(),
        more: 0,
        blind: blind_spots(),
    };
    for area in areas {
        let device = Device::open(&area.device, false)?;
        let searched = one_device(&device, area, &index, &mut report, &mut |done, total| {
            listener(&Progress { subject: &area.device, step: Step::Search, done, total });
            end.is_none_or(|end| Instant::now() < end)
        })?;
        report.devices.push(searched);
    }
    report
        .hits
        .sort_by(|a, b| (&a.device, a.offset, a.secret).cmp(&(&b.device, b.offset, b.secret)));
    Ok(report)
}

/// Adds the hits on one device to `report`. `go_on` hears how far it is, and says whether to.
fn one_device(
    device: &Device,
    area: &Area,
    index: &Index<'_>,
    report: &mut SearchReport,
    go_on: &mut dyn FnMut(u64, u64) -> bool,
) -> Result<Searched> {
    let name = escape(std::os::unix::ffi::OsStrExt::as_bytes(area.device.as_os_str())).into_owned();
    let ranges = area.ranges(device.size());
    let wanted = ranges.iter().map(|r| r.end - r.start).sum();
    let mut searched = 0;
    let mut listed: BTreeMap<u32, u32> = BTreeMap::new();
    // Before the first piece too: a limit that is over is over.
    if go_on(0, wanted) {
        read_all(device, &ranges, index.longest(), &mut |piece| {
            index.find(piece.bytes, &mut |at, pattern| {
                if at + pattern.bytes.len() <= piece.seen {
                    return;
                }
                let (offset, place) = (piece.start + at as u64, Where::Unknown);
                let (secret, form) = (pattern.secret, pattern.form);
                let count = listed.entry(secret).or_default();
                *count += 1;
                if *count <= LISTED {
                    report.hits.push(Hit { device: name.clone(), offset, secret, form, place });
                } else {
                    report.more += 1;
                }
            });
            searched += (piece.bytes.len() - piece.seen) as u64;
            go_on(searched, wanted)
        })?;
    }
    Ok(Searched { device: name, size: device.size(), wanted, searched })
}

/// The offset of the first occurrence of the needles on a device.
///
/// # Errors
/// The device cannot be read.
pub(crate) fn find_first(path: &Path, needles: &Needles) -> Result<Option<u64>> {
    let device = Device::open(path, false)?;
    let index = Index::new(needles.patterns());
    let mut first = None;
    let all: Vec<Range<u64>> = std::iter::once(0..device.size()).collect();
    read_all(&device, &all, index.longest(), &mut |piece| {
        index.find(piece.bytes, &mut |at, _| {
            first.get_or_insert(piece.start + at as u64);
        });
        first.is_none()
    })?;
    Ok(first)
}

fn blind_spots() -> Vec<String> {
    [
        "extents that a file system compresses or encrypts",
        "snapshots and earlier captures that lie outside of these devices",
        "secrets in other encodings than plain, UTF-16 and base64",
    ]
    .map(str::to_owned)
    .to_vec()
}

/// A part of a device in memory.
struct Piece<'a> {
    start: u64,
    bytes: &'a [u8],
    /// Bytes at the beginning that the piece before had too.
    seen: usize,
}

/// Reads ranges of a device in pieces, the next one while `each` looks at the last. Pieces of one
/// range overlap by at least `longest - 1` bytes. `each` says whether to go on.
fn read_all(
    device: &Device,
    ranges: &[Range<u64>],
    longest: usize,
    each: &mut dyn FnMut(&Piece<'_>) -> bool,
) -> Result<()> {
    let overlap = (longest as u64).next_multiple_of(SECTOR);
    std::thread::scope(|scope| {
        let (to_reader, empty) = sync_channel(2);
        let (full, from_reader) = sync_channel(2);
        for _ in 0..2 {
            // Room for two: neither send can block, and the reader lives.
            drop(to_reader.send(DirectBuffer::new(PIECE)));
        }
        scope.spawn(move || {
            for range in ranges {
                if !read_ahead(device, range, overlap, &empty, &full) {
                    return;
                }
            }
        });
        for message in from_reader {
            let Filled { start, length, seen, mut buffer } = message?;
            if !each(&Piece { start, bytes: buffer.slice(length), seen }) {
                return Ok(());
            }
            // At the end of the device nobody takes it any more.
            drop(to_reader.send(buffer));
        }
        Ok(())
    })
}

/// A piece on its way from the reader.
struct Filled {
    start: u64,
    length: usize,
    seen: usize,
    buffer: DirectBuffer,
}

/// Reads one range; false when nobody listens any more, or the device fails.
fn read_ahead(
    device: &Device,
    range: &Range<u64>,
    overlap: u64,
    empty: &Receiver<DirectBuffer>,
    full: &SyncSender<Result<Filled, Error>>,
) -> bool {
    let (mut start, mut seen) = (range.start, 0);
    while start < range.end {
        let Ok(mut buffer) = empty.recv() else { return false };
        let length = usize::try_from((range.end - start).min(PIECE as u64)).unwrap_or(PIECE);
        let read = device.read(buffer.slice(length), start);
        let broken = read.is_err();
        if full.send(read.map(|()| Filled { start, length, seen, buffer })).is_err() || broken {
            return false;
        }
        let end = start + length as u64;
        if end >= range.end {
            break;
        }
        start = end.saturating_sub(overlap).max(start + SECTOR);
        seen = usize::try_from(end - start).unwrap_or_default();
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_become_whole_sectors_that_do_not_overlap() {
        let parts = vec![9000..9001, 0..1, 4096..5000, 100_000..200_000, 5000..8192];
        let area = Area { device: PathBuf::new(), parts: Some(parts) };
        assert_eq!(area.ranges(150_000), [0..12288, 98_304..150_000]);
        assert_eq!(Area::whole(PathBuf::new()).ranges(5), vec![Range { start: 0, end: 5 }]);
    }
}
