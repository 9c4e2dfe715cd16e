//! One walk over the image: folders are shared between threads, each file is opened and read once.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use super::file::{Held, Reader};
use super::looked::Looked;
use super::mark::Key;
use super::scanner::Scanner;
use super::seen::Seen;
use super::sparse::Data;
use super::zone::{Zone, Zones};
use crate::packages::Packages;
use crate::reach::Reach;
use crate::root::{Entry, FileKind, Folder, Meta, Root};
use crate::{Error, ImagePath, Result};

/// Files of one folder that a thread takes at once.
const BATCH: usize = 64;
/// Larger files are not edited: they go as a whole, or stay. In bytes.
pub const EDITABLE: u64 = 64 << 20;
/// So many files that hold something are listed: memory has an end, and a person's patience too.
const MOST_FILES: usize = 50_000;
/// More threads only wait for the disk.
const MOST_THREADS: usize = 8;

/// What a scan is given.
#[derive(Debug)]
pub struct Scan<'a> {
    /// The image.
    pub root: &'a Root,
    /// Which file systems belong to it.
    pub reach: &'a Reach,
    /// The rules.
    pub scanner: &'a Scanner,
    /// What kinds of places there are.
    pub zones: &'a Zones,
    /// What fingerprints are made with.
    pub key: &'a Key,
    /// Which files packages own.
    pub packages: &'a Packages,
    /// Files that held nothing when they were looked at before.
    pub before: &'a Seen,
    /// Files that go anyway, by device and inode.
    pub gone: &'a HashSet<(u64, u64)>,
    /// Counts what was read, for whoever waits.
    pub looked: &'a Looked,
}

/// A file that holds something.
#[derive(Debug)]
pub struct Secretive {
    /// Its path without links.
    pub path: ImagePath,
    /// Its state when it was read.
    pub meta: Meta,
    /// The kind of its place.
    pub zone: Zone,
    /// What it holds.
    pub held: Held,
}

/// What a scan saw.
#[derive(Debug, Default)]
pub struct Sight {
    /// Files that hold something, by path.
    pub files: Vec<Secretive>,
    /// What could not be read.
    pub problems: Vec<(ImagePath, Error)>,
    /// Files that hold nothing.
    pub seen: Seen,
    /// Files that hold something and are not among [`Self::files`], which has a bound.
    pub overflow: usize,
}

impl Scan<'_> {
    /// Looks through every file. `spared` says which paths policy leaves out.
    ///
    /// # Errors
    /// The root cannot be read.
    pub fn run(&self, spared: &(dyn Fn(&ImagePath) -> bool + Sync)) -> Result<Sight> {
        let top = Arc::new(self.root.folder()?);
        let work = Work::new(Task::Folder { folder: top, zone: Zone::System });
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS);
        let mut sight = Sight::default();
        std::thread::scope(|scope| {
            let run = || {
                let mut thread = Thread::new(self, &work, spared);
                while let Some(task) = work.next() {
                    thread.take(task);
                    work.done();
                }
                thread.sight
            };
            // Where no more threads can be had (setrlimit(2), cgroups), fewer do the work.
            let more = || std::thread::Builder::new().spawn_scoped(scope, run);
            let others: Vec<_> = (1..threads).map_while(|_| more().ok()).collect();
            let own = run();
            // A thread that panics ends the program.
            let all = others.into_iter().filter_map(|thread| thread.join().ok());
            for part in all.chain([own]) {
                sight.files.extend(part.files);
                sight.problems.extend(part.problems);
                sight.seen.extend(part.seen);
            }
        });
        sight.overflow = work.listed.load(Ordering::Relaxed).saturating_sub(MOST_FILES);
        sight.files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(sight)
    }
}

/// A piece of the walk.
#[derive(Debug)]
enum Task {
    /// A folder that is open.
    Folder { folder: Arc<Folder>, zone: Zone },
    /// A folder by its name in an open one: only few are open at a time.
    Below { folder: Arc<Folder>, name: Vec<u8>, zone: Zone },
    /// Files of an open folder.
    Files { folder: Arc<Folder>, names: Vec<Vec<u8>>, zone: Zone },
}

/// Tasks that wait, the newest taken first: that keeps the number of open folders small.
#[derive(Debug)]
struct Work {
    state: Mutex<State>,
    wake: Condvar,
    /// Files that hold something.
    listed: AtomicUsize,
}

#[derive(Debug)]
struct State {
    waiting: Vec<Task>,
    running: usize,
}

impl Work {
    fn new(first: Task) -> Self {
        let state = Mutex::new(State { waiting: vec![first], running: 0 });
        Self { state, wake: Condvar::new(), listed: AtomicUsize::new(0) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, tasks: impl IntoIterator<Item = Task>) {
        self.state().waiting.extend(tasks);
        self.wake.notify_all();
    }

    /// The next task; `None` when none waits and none that runs can add one.
    fn next(&self) -> Option<Task> {
        let mut state = self.state();
        loop {
            if let Some(task) = state.waiting.pop() {
                state.running += 1;
                return Some(task);
            }
            if state.running == 0 {
                return None;
            }
            state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn done(&self) {
        self.state().running -= 1;
        self.wake.notify_all();
    }
}

struct Thread<'a> {
    scan: &'a Scan<'a>,
    work: &'a Work,
    spared: &'a (dyn Fn(&ImagePath) -> bool + Sync),
    reader: Reader<'a>,
    sight: Sight,
    now: i64,
}

impl<'a> Thread<'a> {
    fn new(
        scan: &'a Scan<'a>,
        work: &'a Work,
        spared: &'a (dyn Fn(&ImagePath) -> bool + Sync),
    ) -> Self {
        let reader = Reader::new(scan.scanner, scan.key);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let now = i64::try_from(now).unwrap_or(i64::MAX);
        Self { scan, work, spared, reader, sight: Sight::default(), now }
    }

    fn take(&mut self, task: Task) {
        match task {
            Task::Folder { folder, zone } => self.folder(&folder, zone),
            Task::Below { folder, name, zone } => match folder.folder(&name) {
                Ok(Some(below)) => self.folder(&Arc::new(below), zone),
                Ok(None) => {}
                Err(error) => self.problem(&folder, &name, error),
            },
            Task::Files { folder, names, zone } => {
                for name in names {
                    self.file(&folder, &name, zone);
                }
            }
        }
    }

    fn folder(&mut self, folder: &Arc<Folder>, zone: Zone) {
        if !self.scan.reach.allows(folder.path(), folder.meta()) || (self.spared)(folder.path()) {
            return;
        }
        let entries = match folder.entries() {
            Ok(entries) => entries,
            Err(error) => {
                self.sight.problems.push((folder.path().clone(), error));
                return;
            }
        };
        let (folders, files): (Vec<Entry>, Vec<Entry>) = entries
            .into_iter()
            .filter(|e| matches!(e.kind, FileKind::Directory | FileKind::Regular))
            .partition(|entry| entry.kind == FileKind::Directory);
        let below = folders.into_iter().filter_map(|entry| {
            let zone = self.scan.zones.of_folder(&folder.path().join(&entry.name)?, zone);
            let task = Task::Below { folder: Arc::clone(folder), name: entry.name, zone };
            (zone != Zone::Exempt).then_some(task)
        });
        let names: Vec<Vec<u8>> = files.into_iter().map(|entry| entry.name).collect();
        let batches = names.chunks(BATCH).map(|names| {
            let names = names.to_vec();
            Task::Files { folder: Arc::clone(folder), names, zone }
        });
        self.work.add(below.chain(batches).collect::<Vec<_>>());
    }

    fn file(&mut self, folder: &Folder, name: &[u8], zone: Zone) {
        let Some(path) = folder.path().join(name) else { return };
        let opened = match folder.file(name) {
            Ok(opened) => opened,
            Err(error) => return self.problem(folder, name, error),
        };
        let Some((file, meta)) = opened else { return };
        let left = meta.size == 0
            || self.scan.before.is_clean(&meta)
            || self.scan.gone.contains(&(meta.dev, meta.ino))
            || !self.scan.reach.allows(&path, &meta)
            || (self.spared)(&path);
        if left {
            return;
        }
        let zone = match self.scan.zones.of_file(folder.path(), name, zone) {
            // Nobody's file in a vendor's folder was put there by somebody.
            Zone::Vendor if self.scan.packages.knows_all() && !self.scan.packages.owns(&path) => {
                Zone::System
            }
            zone => zone,
        };
        let held = if meta.size > EDITABLE {
            self.reader.read(Data::of(&file), name, zone)
        } else {
            self.reader.read(&file, name, zone)
        };
        self.scan.looked.add(meta.size);
        match held {
            Ok(held) if held.found.is_empty() && !held.cut_short => {
                self.sight.seen.add(&meta, self.now);
            }
            Ok(held) => {
                if self.work.listed.fetch_add(1, Ordering::Relaxed) < MOST_FILES {
                    self.sight.files.push(Secretive { path, meta, zone, held });
                }
            }
            Err(error) => {
                let error = Error::failed("read", &path).because(error);
                self.sight.problems.push((path, error));
            }
        }
    }

    fn problem(&mut self, folder: &Folder, name: &[u8], error: Error) {
        let path = folder.path().join(name).unwrap_or_else(ImagePath::root);
        self.sight.problems.push((path, error));
    }
}
