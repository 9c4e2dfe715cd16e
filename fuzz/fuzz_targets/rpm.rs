#![no_main]

use disinherit_core::packages::rpm::{Form, files, headers};
use libfuzzer_sys::fuzz_target;

// Whatever a database holds: it ends, and twice with the same answer. A form, then the length of the
// database in four bytes, the database, and SQLite's log.
fuzz_target!(|data: &[u8]| {
    let Some((pick, data)) = data.split_first() else { return };
    let Some((length, data)) = data.split_at_checked(4) else { return };
    let length = u32::from_le_bytes(length.try_into().unwrap()) as usize;
    let (database, log) = data.split_at(length.min(data.len()));
    let (database, log) = (database.to_vec(), log.to_vec());
    let form = [Form::Sqlite, Form::Ndb, Form::Berkeley][usize::from(*pick) % 3];
    let read = || {
        let (mut paths, mut bytes) = (Vec::new(), 0);
        let result = headers(form, &database, Some(&log), &mut |header| {
            bytes += header.len();
            drop(files(header, &mut |file| paths.push(file.path)));
        });
        assert!(bytes <= database.len() + log.len(), "more than there is");
        (paths, result.is_ok())
    };
    assert_eq!(read(), read());
    drop(files(&database, &mut |file| assert!(file.path.len() <= 4096)));
});
