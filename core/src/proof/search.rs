//! Searches devices for needles, past the page cache.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::area::Area;
use super::found::{Hit, SearchReport, Searched, Where};
use super::index::Index;
use super::needles::Needles;
use super::pieces;
use crate::Result;
use crate::erase::device::Device;
use crate::erase::{Listener, Progress, Step};
use crate::path::escape;

/// Hits of one secret that are listed; the others are counted.
const LISTED: u32 = 16;

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
    let name = escape(area.device.as_os_str().as_bytes()).into_owned();
    let ranges = area.ranges(device.size());
    let wanted = ranges.iter().map(|r| r.end - r.start).sum();
    let mut searched = 0;
    let mut listed: BTreeMap<u32, u32> = BTreeMap::new();
    // Before the first piece too: a limit that is over is over.
    if go_on(0, wanted) {
        pieces::search(device, &ranges, index, &mut |piece| {
            for (offset, pattern) in piece.found {
                let (secret, form, place) = (pattern.secret, pattern.form, Where::Unknown);
                let count = listed.entry(secret).or_default();
                *count += 1;
                if *count <= LISTED {
                    report.hits.push(Hit { device: name.clone(), offset, secret, form, place });
                } else {
                    report.more += 1;
                }
            }
            searched += piece.new;
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
    let all = Area::whole(path.to_owned()).ranges(device.size());
    pieces::search(&device, &all, &index, &mut |piece| {
        first = piece.found.iter().map(|(offset, _)| *offset).min();
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
