//! How one filler takes space: preallocated, or written.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use rustix::fs::FallocateFlags;
use rustix::io::Errno;

use super::device::is_zero;
use super::run::Run;
use crate::Result;

/// Bytes asked for in one fallocate(2).
const STEP: u64 = 256 << 20;
/// Bytes written in one write(2) where zeros go through files.
const WRITE: usize = 1 << 20;

/// Preallocates up to `limit` bytes. Each refusal for want of room halves the step.
pub(super) fn reserve(file: &File, limit: u64, block: u64) -> Result<(), Errno> {
    let (mut at, mut step) = (0, STEP);
    while at < limit {
        let length = step.min(limit - at);
        match rustix::fs::fallocate(file, FallocateFlags::empty(), at, length) {
            Ok(()) => at += length,
            Err(Errno::INTR) => {}
            Err(Errno::NOSPC | Errno::DQUOT) if length > block => {
                step = (length / 2).next_multiple_of(block);
            }
            Err(Errno::NOSPC | Errno::DQUOT | Errno::FBIG) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Writes and syncs up to `limit` zeros. Each refusal for want of room halves the piece.
pub(super) fn write_zeros(run: &mut Run<'_>, file: &File, limit: u64, block: u64) -> Result<()> {
    let zeros = vec![0; WRITE];
    debug_assert!(is_zero(&zeros));
    let (mut at, mut piece) = (0, WRITE);
    while at < limit && piece > 0 {
        let wanted = piece.min(usize::try_from(limit - at).unwrap_or(piece));
        match file.write_at(zeros.get(..wanted).unwrap_or_default(), at) {
            Ok(0) => break,
            Ok(written) => at += written as u64,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => run.stop()?,
            Err(e) if full(&e) => {
                sync_full(run, file)?;
                piece = if piece as u64 > block { piece / 2 } else { 0 };
            }
            Err(e) => return Err(run.fs.failed("fill", e)),
        }
        if at % (64 << 20) == 0 {
            sync_full(run, file)?;
            run.moved(64 << 20)?;
        }
    }
    sync_full(run, file)
}

/// Syncs; where a full file system has no room for the last pages they are given up.
fn sync_full(run: &Run<'_>, file: &File) -> Result<()> {
    match file.sync_all() {
        Err(e) if !full(&e) => Err(run.fs.failed("sync a filler on", e)),
        _ => Ok(()),
    }
}

fn full(error: &std::io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    matches!(errno, Some(Errno::NOSPC | Errno::DQUOT | Errno::FBIG))
}
