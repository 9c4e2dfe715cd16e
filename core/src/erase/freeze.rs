//! Overwrites free blocks that no filler gets, while the file system is frozen.
//!
//! xfs keeps some 30 MiB that it gives to nobody. The blocks are found and read before the freeze;
//! during it the map of free space is read again, and only what is still free is overwritten. The
//! process locks its memory, logs nothing and calls nobody back until the thaw, because the
//! program itself may lie on the frozen file system. A second thread thaws when it takes too long,
//! and a note beside the fillers lets the next run thaw after a kill.

use std::fs::File;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::mm::{MlockAllFlags, mlockall, munlockall};

use super::device::{Device, DirectBuffer};
use super::filesystem::FileSystem;
use super::fill::Tally;
use super::filler::Fillers;
use super::run::{Run, Step};
use super::scan::{self, PIECE, Part};
use crate::Result;
use crate::sys::erase::{self as sys_erase, Record, SpaceMapBuffer};

/// The note that the file system may be frozen.
pub(super) const NOTE: &str = "frozen";
/// After this time no further block is begun.
const ENOUGH: Duration = Duration::from_secs(3);
/// After this time the second thread thaws.
const DEADLINE: Duration = Duration::from_secs(8);

/// Overwrites the free blocks that are not zero.
///
/// # Errors
/// The map cannot be read, the device fails, or the thaw fails. A file system that cannot be
/// frozen now leaves everything as it is, counted in [`Tally::left`].
pub(super) fn clean(run: &mut Run<'_>, fillers: &Fillers, device: &Device) -> Result<Tally> {
    run.fs.sync()?;
    let mut scratch = SpaceMapBuffer::new();
    let mut records = Vec::new();
    free(run.fs, device, &mut scratch, &mut records)?;
    let mut parts: Vec<Part> = records.iter().enumerate().map(part).collect();
    run.begin(Step::Freeze, scan::total(&parts))?;
    let dirty = scan::dirty(device, &mut parts, &mut |bytes| run.moved(bytes))?;
    // The map before said how much to expect; nothing may grow while frozen if that can be helped.
    records.reserve(records.len() + 4096);
    let found = scan::total(&dirty);
    let mut tally = Tally { dirty: found, left: found, ..Tally::default() };
    if dirty.is_empty() {
        return Ok(tally);
    }
    fillers.note(run.fs, NOTE, "1\n")?;
    let locked = mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE).is_ok();
    let outcome = frozen(run.fs, device, &dirty, &mut scratch, &mut records);
    if locked && munlockall().is_err() {
        log::debug!("memory stays locked");
    }
    fillers.forget(run.fs, NOTE)?;
    if let Some((written, left)) = outcome? {
        (tally.written, tally.left) = (written, left);
    }
    Ok(tally)
}

/// The bytes written and the bytes that are still not zero; `None` when it cannot be frozen.
fn frozen(
    fs: &FileSystem,
    device: &Device,
    dirty: &[Part],
    scratch: &mut SpaceMapBuffer,
    records: &mut Vec<Record>,
) -> Result<Option<(u64, u64)>> {
    let mut zeros = DirectBuffer::new(usize::try_from(PIECE).unwrap_or_default());
    let Some(hold) = Frozen::start(fs)? else { return Ok(None) };
    let began = Instant::now();
    let outcome = free(fs, device, scratch, records).and_then(|()| {
        let mut still = common(dirty, records);
        let mut written = 0;
        for run in &still {
            if began.elapsed() > ENOUGH
                || !hold.while_frozen(|| scan::overwrite(device, run, &mut zeros))?
            {
                break;
            }
            written += run.length();
        }
        device.sync()?;
        let left = scan::dirty(device, &mut still, &mut |_| Ok(()))?;
        Ok((written, scan::total(&left)))
    });
    hold.end(fs)?;
    outcome.map(Some)
}

/// The free space of the device that carries the data.
fn free(
    fs: &FileSystem,
    device: &Device,
    scratch: &mut SpaceMapBuffer,
    records: &mut Vec<Record>,
) -> Result<()> {
    records.clear();
    sys_erase::space_map(&fs.root, 0, u64::MAX, scratch, records)
        .map_err(|e| fs.failed("map the free space of", e))?;
    let number = fs.fsmap_device();
    records.retain(|r| {
        r.is_free() && r.device == number && r.physical.saturating_add(r.length) <= device.size()
    });
    records.sort_unstable_by_key(|r| r.physical);
    Ok(())
}

fn part((of, record): (usize, &Record)) -> Part {
    Part { start: record.physical, end: record.physical + record.length, of }
}

/// The parts of sorted `dirty` that lie in sorted `free`.
fn common(dirty: &[Part], free: &[Record]) -> Vec<Part> {
    let mut out = Vec::with_capacity(dirty.len() + free.len());
    let mut rest = free;
    for run in dirty {
        while rest.first().is_some_and(|r| r.physical + r.length <= run.start) {
            rest = rest.get(1..).unwrap_or_default();
        }
        for record in rest.iter().take_while(|r| r.physical < run.end) {
            let start = run.start.max(record.physical);
            let end = run.end.min(record.physical + record.length);
            out.push(Part { start, end, of: run.of });
        }
    }
    out
}

/// Whether it is still frozen. Held while a block is written, so that no thaw comes in between.
type Flag = Arc<Mutex<bool>>;

/// A frozen file system, and the thread that thaws it when we do not.
struct Frozen {
    flag: Flag,
    root: File,
    done: Sender<()>,
    watchdog: Option<JoinHandle<()>>,
}

impl Frozen {
    /// `None` when somebody else has frozen it, or it cannot be frozen.
    fn start(fs: &FileSystem) -> Result<Option<Self>> {
        let root = fs.root.try_clone().map_err(|e| fs.failed("open", e))?;
        let theirs = fs.root.try_clone().map_err(|e| fs.failed("open", e))?;
        let flag: Flag = Arc::new(Mutex::new(true));
        let watched = Arc::clone(&flag);
        let (done, wait) = channel();
        let watchdog = std::thread::Builder::new()
            .name("thaw".to_owned())
            .spawn(move || {
                if wait.recv_timeout(DEADLINE) == Err(RecvTimeoutError::Timeout) {
                    thaw(&theirs, &watched);
                }
            })
            .map_err(|e| fs.failed("freeze", e))?;
        let hold = Self { flag, root, done, watchdog: Some(watchdog) };
        if sys_erase::freeze(&hold.root).is_err() {
            *lock(&hold.flag) = false;
            return Ok(None);
        }
        Ok(Some(hold))
    }

    /// Runs `write` unless it is thawed; false when it is.
    fn while_frozen(&self, write: impl FnOnce() -> Result<()>) -> Result<bool> {
        let still = lock(&self.flag);
        if *still {
            write()?;
        }
        Ok(*still)
    }

    fn end(self, fs: &FileSystem) -> Result<()> {
        match thaw(&self.root, &self.flag) {
            None | Some(Ok(())) => Ok(()),
            Some(Err(e)) => Err(fs.failed("thaw", e).remedy("run fsfreeze --unfreeze on it")),
        }
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        thaw(&self.root, &self.flag);
        // The watchdog may have ended already; then nobody listens, and nothing is lost.
        self.done.send(()).unwrap_or_default();
        if let Some(watchdog) = self.watchdog.take() {
            drop(watchdog.join());
        }
    }
}

/// Thaws once; `None` when that has been done.
fn thaw(root: &File, flag: &Flag) -> Option<Result<(), Errno>> {
    let mut frozen = lock(flag);
    let was = std::mem::replace(&mut *frozen, false);
    was.then(|| sys_erase::thaw(root))
}

fn lock(flag: &Flag) -> std::sync::MutexGuard<'_, bool> {
    flag.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Thaws what a killed run left frozen. Not being frozen is no error.
pub(super) fn thaw_left(fs: &FileSystem) {
    match sys_erase::thaw(&fs.root) {
        Ok(()) => log::warn!("{} was frozen by a killed run, thawed", fs.point().display()),
        Err(error) => log::debug!("nothing to thaw on {}: {error}", fs.point().display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(physical: u64, length: u64) -> Record {
        let mut record = Record::default();
        (record.physical, record.length) = (physical, length);
        record
    }

    #[test]
    fn only_what_is_still_free_remains() {
        let run = |start, end| Part { start, end, of: 0 };
        let dirty = [run(0, 10), run(20, 30), run(40, 60)];
        let free = [record(5, 17), record(25, 2), record(45, 5), record(55, 100)];
        let expected = [run(5, 10), run(20, 22), run(25, 27), run(45, 50), run(55, 60)];
        assert_eq!(common(&dirty, &free), expected);
        assert!(common(&dirty, &[]).is_empty());
    }
}
