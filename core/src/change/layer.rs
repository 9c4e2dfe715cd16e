//! Overlays: the first opening for writing moves a file of a lower layer up, and that gives it
//! another inode (and another device, where the layers lie on different file systems). What follows
//! would take that for somebody else's change.

use std::fs::File;
use std::io::{self, Read as _};

use rustix::fs::{OFlags, fstat};
use rustix::io::Errno;
use zeroize::Zeroizing;

use super::{changed, failed};
use crate::error::Result;
use crate::root::{FileKind, Meta, Target, on_overlay};

/// Moves the target up, where it is a regular file on an overlay, and tells the state to go on with:
/// that of the same content under its new inode, or `expected` where nothing moved.
///
/// # Errors
/// What came up is not what `expected` describes, byte for byte.
pub(super) fn lift(operation: &'static str, target: &Target, expected: &Meta) -> Result<Meta> {
    if expected.kind != FileKind::Regular || !on_overlay(target.dir()) {
        return Ok(expected.clone());
    }
    let fail = |errno| failed(operation, target, errno);
    let below = target.open(OFlags::RDONLY, expected).map(File::from).map_err(fail)?;
    if !state(&below).map_err(fail)?.unchanged(expected) {
        return Err(changed(operation, target));
    }
    // What may not be written is refused by the change itself, which knows more to say about it.
    let Ok(above) = target.open_any(OFlags::RDWR).map(File::from) else {
        return Ok(expected.clone());
    };
    let meta = state(&above).map_err(fail)?;
    if meta.same_object(expected) {
        return Ok(meta);
    }
    let same = is_copy(&meta, expected)
        && same_content(&below, &above)
            .map_err(|e| fail(Errno::from_io_error(&e).unwrap_or(Errno::IO)))?;
    if same { Ok(meta) } else { Err(changed(operation, target)) }
}

/// The kernel keeps all of this when it moves a file up.
fn is_copy(meta: &Meta, of: &Meta) -> bool {
    let state = |m: &Meta| (m.kind, m.mode, m.uid, m.gid, m.size, m.mtime, m.mtime_nsec);
    state(meta) == state(of)
}

fn same_content(mut a: &File, mut b: &File) -> io::Result<bool> {
    const CHUNK: usize = 64 * 1024;
    let mut one = Zeroizing::new(vec![0; CHUNK]);
    let mut other = Zeroizing::new(vec![0; CHUNK]);
    loop {
        let count = a.read(&mut one)?;
        let (Some(left), Some(right)) = (one.get(..count), other.get_mut(..count)) else {
            return Ok(false);
        };
        if count == 0 {
            return Ok(b.read(&mut other)? == 0);
        }
        match b.read_exact(right) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            done => done?,
        }
        if left != right {
            return Ok(false);
        }
    }
}

fn state(file: &File) -> Result<Meta, Errno> {
    fstat(file).map(|stat| Meta::of(&stat))
}
