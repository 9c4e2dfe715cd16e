//! Reads devices past the page cache and looks for needles.

use std::collections::BTreeMap;
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
    /// Bytes searched from its start; less than the size when the time was over.
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

/// Searches block devices for all needles at once.
///
/// The devices are read with O_DIRECT after a sync(2) of everything. It ends early, and the report
/// says so, when `limit` is over.
///
/// # Errors
/// A device cannot be opened or read.
pub fn search(
    devices: &[PathBuf],
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
    for path in devices {
        let device = Device::open(path, false)?;
        let name = escape(std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str())).into_owned();
        let mut searched = 0;
        let mut listed: BTreeMap<u32, u32> = BTreeMap::new();
        let (step, total) = (Step::Search, device.size());
        listener(&Progress { subject: path, step, done: 0, total });
        read_all(&device, index.longest(), &mut |piece| {
            let overlap = usize::try_from(searched - piece.start).unwrap_or_default();
            index.find(piece.bytes, &mut |at, pattern| {
                if at + pattern.bytes.len() <= overlap {
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
            searched = piece.start + piece.bytes.len() as u64;
            listener(&Progress { subject: path, step, done: searched, total });
            end.is_none_or(|end| Instant::now() < end)
        })?;
        report.devices.push(Searched { device: name, size: device.size(), searched });
    }
    report
        .hits
        .sort_by(|a, b| (&a.device, a.offset, a.secret).cmp(&(&b.device, b.offset, b.secret)));
    Ok(report)
}

/// The offset of the first occurrence of the needles on a device.
///
/// # Errors
/// The device cannot be read.
pub(crate) fn find_first(path: &Path, needles: &Needles) -> Result<Option<u64>> {
    let device = Device::open(path, false)?;
    let index = Index::new(needles.patterns());
    let mut first = None;
    read_all(&device, index.longest(), &mut |piece| {
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
}

/// Reads a device from start to end in pieces that overlap by at least `longest - 1` bytes, the
/// next one while `each` looks at the last. `each` says whether to go on.
fn read_all(
    device: &Device,
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
        scope.spawn(move || read_ahead(device, overlap, &empty, &full));
        for message in from_reader {
            let (start, length, mut buffer): (u64, usize, DirectBuffer) = message?;
            if !each(&Piece { start, bytes: buffer.slice(length) }) {
                return Ok(());
            }
            // At the end of the device nobody takes it any more.
            drop(to_reader.send(buffer));
        }
        Ok(())
    })
}

type Message = Result<(u64, usize, DirectBuffer), Error>;

fn read_ahead(
    device: &Device,
    overlap: u64,
    empty: &Receiver<DirectBuffer>,
    full: &SyncSender<Message>,
) {
    let mut start = 0;
    while start < device.size() {
        let Ok(mut buffer) = empty.recv() else { return };
        let length = usize::try_from((device.size() - start).min(PIECE as u64)).unwrap_or(PIECE);
        let read = device.read(buffer.slice(length), start);
        let end = start + length as u64;
        let broken = read.is_err();
        if full.send(read.map(|()| (start, length, buffer))).is_err() || broken {
            return;
        }
        start =
            if end < device.size() { end.saturating_sub(overlap).max(start + SECTOR) } else { end };
    }
}
