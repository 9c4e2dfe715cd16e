//! Databases that nobody made whole: the real ones are in `core/tests/rpm`.

use proptest::prelude::*;

use super::*;

/// A header with these tags: number, type, count, data.
fn header(tags: &[(u32, u32, u32, &[u8])]) -> Vec<u8> {
    let mut index = Vec::new();
    let mut data = Vec::new();
    for (tag, kind, count, bytes) in tags {
        let offset = u32::try_from(data.len()).unwrap();
        for word in [*tag, *kind, offset, *count] {
            index.extend(word.to_be_bytes());
        }
        data.extend_from_slice(bytes);
    }
    let mut header = u32::try_from(tags.len()).unwrap().to_be_bytes().to_vec();
    header.extend(u32::try_from(data.len()).unwrap().to_be_bytes());
    header.extend(index);
    header.extend(data);
    header
}

fn all(header: &[u8]) -> io::Result<Vec<Owned>> {
    let mut found = Vec::new();
    files(header, &mut |file| found.push(file))?;
    Ok(found)
}

const NAMES: (u32, u32, u32, &[u8]) = (1117, 8, 3, b"tool\0ghost\0other\0");
const FOLDERS_OF: (u32, u32, u32, &[u8]) = (1118, 8, 2, b"/usr/bin/\0/etc/\0");
const WHICH: (u32, u32, u32, &[u8]) = (1116, 4, 3, &[0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1]);
const DIGESTS: (u32, u32, u32, &[u8]) = (1035, 8, 3, b"aa\0\0bb\0");

#[test]
fn ghosts_and_what_was_not_installed_are_nobodys() {
    let flags: &[u8] = &[0, 0, 0, 0, 0, 0, 0, 64, 0, 0, 0, 1];
    let found = all(&header(&[NAMES, FOLDERS_OF, WHICH, DIGESTS, (1037, 4, 3, flags)])).unwrap();
    let paths: Vec<&[u8]> = found.iter().map(|file| file.path.as_slice()).collect();
    assert_eq!(paths, [b"/usr/bin/tool".as_slice(), b"/etc/other"]);
    assert!(found.iter().all(|file| file.algorithm == 1));
    let states = (1029, 1, 3, [1, 0, 2].as_slice());
    let found = all(&header(&[NAMES, FOLDERS_OF, WHICH, DIGESTS, states])).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].path, b"/etc/ghost");
}

#[test]
fn packages_of_the_third_format_have_whole_paths() {
    let found = all(&header(&[(1027, 8, 2, b"/bin/a\0/bin/b\0"), DIGESTS])).unwrap();
    assert_eq!(found[1].path, b"/bin/b");
}

#[test]
fn a_header_that_is_damaged_is_an_error() {
    let whole = header(&[NAMES, FOLDERS_OF, WHICH, DIGESTS]);
    assert_eq!(all(&whole).unwrap().len(), 3);
    for length in 0..whole.len() {
        assert!(all(&whole[..length]).is_err(), "{length} bytes");
    }
    let far: &[u8] = &[0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0];
    assert!(all(&header(&[NAMES, FOLDERS_OF, (1116, 4, 3, far), DIGESTS])).is_err());
    assert!(all(&header(&[(1117, 8, u32::MAX, b"a\0")])).is_err());
    let long = [b"/".repeat(5000), vec![0]].concat();
    let which = (1116, 4, 1, [0; 4].as_slice());
    assert!(all(&header(&[(1117, 8, 1, b"a\0"), (1118, 8, 1, &long), which])).is_err());
}

/// A database of SQLite with one page of the schema, whose only table begins at page 2, and `pages`.
fn sqlite(pages: &[Vec<u8>]) -> Vec<u8> {
    let row = b"\x06\x17\x1d\x1d\x01\x0ftablePackagesPackages\x02x".to_vec();
    let mut first = vec![0; 512];
    first[..16].copy_from_slice(b"SQLite format 3\0");
    first[16..18].copy_from_slice(&[2, 0]);
    let cell = 512 - row.len() - 2;
    first[100] = 0x0d;
    first[104] = 1;
    first[108..110].copy_from_slice(&u16::try_from(cell).unwrap().to_be_bytes());
    first[cell] = u8::try_from(row.len()).unwrap();
    first[cell + 1] = 1;
    first[cell + 2..].copy_from_slice(&row);
    [vec![first], pages.to_vec()].concat().concat()
}

/// A page of a tree: kind, then cells at these places.
fn page(kind: u8, cells: &[u16], put: &[(usize, &[u8])]) -> Vec<u8> {
    let mut page = vec![0; 512];
    page[0] = kind;
    page[3..5].copy_from_slice(&u16::try_from(cells.len()).unwrap().to_be_bytes());
    let first = if kind == 5 { 12 } else { 8 };
    for (index, cell) in cells.iter().enumerate() {
        page[first + 2 * index..][..2].copy_from_slice(&cell.to_be_bytes());
    }
    for (offset, bytes) in put {
        page[*offset..][..bytes.len()].copy_from_slice(bytes);
    }
    page
}

fn read(form: Form, database: &[u8]) -> io::Result<usize> {
    let mut count = 0;
    headers(form, &database.to_vec(), None, &mut |_| count += 1)?;
    Ok(count)
}

#[test]
fn loops_of_pages_end() {
    // A row of two columns: nothing, and the blob `abc`.
    let row = b"\x06\x01\x03\x00\x12abc";
    assert_eq!(read(Form::Sqlite, &sqlite(&[page(0x0d, &[400], &[(400, row)])])).unwrap(), 1);
    let itself = page(5, &[400], &[(400, &[0, 0, 0, 2, 1]), (8, &[0, 0, 0, 2])]);
    assert!(read(Form::Sqlite, &sqlite(&[itself])).is_err());
    // A row of 60 MB whose overflow page is followed by itself.
    let long = page(0x0d, &[400], &[(400, b"\x9c\xce\x87\x00\x01\x03\x00\x12")]);
    let overflow = page(0, &[], &[(0, &[0, 0, 0, 3])]);
    assert!(read(Form::Sqlite, &sqlite(&[long, overflow])).is_err());
    // The same row a hundred times.
    let big = page(0x0d, &[20; 100], &[(20, b"")]);
    assert!(read(Form::Sqlite, &sqlite(&[big])).is_err());
}

#[test]
fn impossible_numbers_are_errors() {
    for form in [Form::Sqlite, Form::Ndb, Form::Berkeley] {
        assert!(read(form, b"").is_err());
        assert!(read(form, &[0; 8192]).is_err());
        assert!(read(form, &[0xff; 8192]).is_err());
    }
    let mut ndb = vec![0; 8192];
    ndb[..4].copy_from_slice(b"RpmP");
    ndb[12..16].copy_from_slice(&[0xff; 4]);
    assert!(read(Form::Ndb, &ndb).is_err());
    let mut berkeley = vec![0; 8192];
    berkeley[12..16].copy_from_slice(&0x0006_1561_u32.to_le_bytes());
    berkeley[16] = 9;
    berkeley[20..24].copy_from_slice(&4096_u32.to_le_bytes());
    berkeley[25] = 8;
    berkeley[32] = 1;
    assert_eq!(read(Form::Berkeley, &berkeley).unwrap(), 0);
    // A chain of pages that leads to itself.
    berkeley[4096 + 20] = 2;
    berkeley[4096 + 25] = 13;
    berkeley[4096 + 26..4096 + 30].copy_from_slice(&[0, 0x0f, 0xf4, 0x0e]);
    berkeley[4096 + 0xef4] = 3;
    berkeley[4096 + 0xef8] = 1;
    berkeley[4096 + 0xefe] = 1;
    assert!(read(Form::Berkeley, &berkeley).is_err());
}

proptest! {
    #[test]
    fn any_bytes_end_cleanly(
        bytes in proptest::collection::vec(any::<u8>(), 0..2048),
        place in 0_usize..1536,
    ) {
        let row = b"\x06\x01\x03\x00\x12abc";
        let mut whole = sqlite(&[page(0x0d, &[400], &[(400, row)]), page(0, &[], &[])]);
        let end = whole.len().min(place + bytes.len());
        whole[place..end].copy_from_slice(&bytes[..end - place]);
        drop(read(Form::Sqlite, &whole));
        for form in [Form::Ndb, Form::Berkeley, Form::Sqlite] {
            drop(read(form, &bytes));
        }
        drop(all(&bytes));
    }
}
