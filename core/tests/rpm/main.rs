//! Databases of rpm that the real rpm and Berkeley DB wrote, read by us and by rpm.

#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

#[path = "../oracle/mod.rs"]
mod oracle;
mod packages;

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use disinherit_core::packages::Packages;
use disinherit_core::packages::rpm::{Form, OnDisk, files, headers};
use disinherit_core::{ImagePath, Root};
use libtest_mimic::Failed;
use packages::{Found, Image, Rpm};

fn main() {
    oracle::run(
        packages::missing(),
        vec![
            ("sqlite_as_rpm_reads_it", sqlite),
            ("ndb_as_rpm_reads_it", ndb),
            ("berkeley_db_as_rpm_reads_it", berkeley),
            ("what_is_only_in_the_log_counts", log),
            ("a_changed_file_is_not_the_packages", changed),
            ("damaged_databases_end_cleanly", damaged),
        ],
    );
}

fn ours(form: Form, path: &Path, log: Option<&Path>) -> std::io::Result<Found> {
    let open = |path: &Path| {
        let file = fs::File::open(path)?;
        let size = file.metadata()?.len();
        Ok::<_, std::io::Error>(OnDisk::new(file, size))
    };
    let log = log.map(open).transpose()?;
    let mut found = Found::new();
    let mut broken = None;
    headers(form, &open(path)?, log.as_ref().map(|log| log as _), &mut |header| {
        let each = &mut |file: disinherit_core::packages::rpm::Owned| {
            found.insert((
                String::from_utf8_lossy(&file.path).into_owned(),
                file.algorithm,
                String::from_utf8_lossy(&file.digest).into_owned(),
            ));
        };
        broken = files(header, each).err().or(broken.take());
    })?;
    broken.map_or(Ok(found), Err)
}

fn same(ours: &Found, rpms: &Found) -> Result<(), Failed> {
    let more: Vec<_> = ours.difference(rpms).take(5).collect();
    let less: Vec<_> = rpms.difference(ours).take(5).collect();
    if more.is_empty() && less.is_empty() && ours.len() > 1500 {
        return Ok(());
    }
    Err(format!("{} files; only ours: {more:?}; only rpm's: {less:?}", ours.len()).into())
}

fn sqlite() -> Result<(), Failed> {
    let image = Image::installed(Rpm::Sqlite);
    same(&ours(Form::Sqlite, &image.database("rpmdb.sqlite"), None).unwrap(), &image.said())
}

fn ndb() -> Result<(), Failed> {
    let image = Image::installed(Rpm::Ndb);
    same(&ours(Form::Ndb, &image.database("Packages.db"), None).unwrap(), &image.said())
}

/// In both orders of bytes, with small pages and large ones.
fn berkeley() -> Result<(), Failed> {
    let sqlite = Image::installed(Rpm::Sqlite);
    for (order, size) in [(1234, 4096), (4321, 4096), (1234, 512), (4321, 65536)] {
        let image = Image::berkeley(&sqlite, order, size);
        let ours = ours(Form::Berkeley, &image.database("Packages"), None).unwrap();
        same(&ours, &image.said()).map_err(|e| format!("{order} {size}: {e:?}"))?;
    }
    Ok(())
}

/// A process that was killed leaves a log: whole transactions of it count, half ones do not.
fn log() -> Result<(), Failed> {
    let image = Image::installed(Rpm::Sqlite);
    let before = image.said();
    image.leave_log();
    let log = image.database("rpmdb.sqlite-wal");
    assert!(fs::metadata(&log).unwrap().len() > 100_000, "no log: the test means nothing");
    let with = ours(Form::Sqlite, &image.database("rpmdb.sqlite"), Some(&log)).unwrap();
    let without = ours(Form::Sqlite, &image.database("rpmdb.sqlite"), None).unwrap();
    assert_eq!(without, before, "the log was written back");
    assert_ne!(with, before);
    // rpm writes the log back, so it is asked last.
    same(&with, &image.said())
}

fn changed() -> Result<(), Failed> {
    for which in [Rpm::Sqlite, Rpm::Ndb] {
        let image = Image::installed(which);
        let root = Root::offline(&image.root()).unwrap();
        let packages = Packages::load(&root).unwrap();
        assert!(packages.knows_all(), "{:?}", packages.unread());
        let unmodified =
            |path: &'static str| packages.is_unmodified(&root, &ImagePath::literal(path)).unwrap();
        let kept = ["/etc/alpha.conf", "/usr/lib/alpha/tool", "/usr/lib/beta/data/file-7"];
        for path in kept {
            assert!(unmodified(path), "{path}");
            fs::write(image.root().join(path.trim_start_matches('/')), "password = another\n")
                .unwrap();
            assert!(!unmodified(path) && packages.owns(&ImagePath::literal(path)), "{path}");
        }
        // A ghost's content came from somebody else, and what was removed is nobody's.
        for path in ["/var/lib/alpha.state", "/usr/lib/gamma/tool"] {
            assert!(!packages.owns(&ImagePath::literal(path)), "{path}");
        }
    }
    Ok(())
}

/// Cut anywhere, or with other bytes in any place: an answer or an error, and soon.
fn damaged() -> Result<(), Failed> {
    let sqlite = Image::installed(Rpm::Sqlite);
    let berkeley = Image::berkeley(&sqlite, 1234, 4096);
    let images = [
        (sqlite, Form::Sqlite, "rpmdb.sqlite"),
        (Image::installed(Rpm::Ndb), Form::Ndb, "Packages.db"),
        (berkeley, Form::Berkeley, "Packages"),
    ];
    for (image, form, name) in images {
        let whole = fs::read(image.database(name)).unwrap();
        let copy: PathBuf = image.root().join("copy");
        let mut errors = 0;
        for round in 0..80_u64 {
            fs::write(&copy, &whole).unwrap();
            let file = fs::File::options().write(true).open(&copy).unwrap();
            let length = u64::try_from(whole.len()).unwrap();
            // Any odd number walks over all places.
            let place = round.wrapping_mul(0x9e37_79b9_7f4a_7c15) % length;
            match round % 4 {
                0 => file.set_len(place).unwrap(),
                1 => file.write_all_at(&[0xff; 8], place.min(length - 8)).unwrap(),
                2 => file.write_all_at(&[0; 300], place.min(length - 300)).unwrap(),
                _ => file.write_all_at(&[0xff; 4], place % 128).unwrap(),
            }
            let start = Instant::now();
            errors += usize::from(ours(form, &copy, None).is_err());
            assert!(start.elapsed() < Duration::from_secs(30), "{form:?}, round {round}");
        }
        assert!(errors > 16, "{form:?}: only {errors} errors");
    }
    Ok(())
}
