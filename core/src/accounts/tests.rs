//! Accounts and homes of trees on disk.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::*;

fn write(dir: &Path, path: &str, text: &[u8]) {
    let path = dir.join(path.trim_start_matches('/'));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn make(dir: &Path, path: &[u8]) {
    fs::create_dir_all(dir.join(std::ffi::OsStr::from_bytes(&path[1..]))).unwrap();
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn groups_and_further_files() {
    let dir = tempfile::tempdir().unwrap();
    write(
        dir.path(),
        "/etc/passwd",
        b"root:x:0:0::/root:/bin/sh\nann:x:1000:100::/home/ann:\nbad:x:y:0::/b:\n+::::::\n",
    );
    write(dir.path(), "/usr/lib/passwd", b"core:x:1001:1001::/var/home/core:/bin/bash\n");
    write(dir.path(), "/var/lib/extrausers/passwd", b"snap:x:1002:100::/home/snap:\n");
    write(dir.path(), "/etc/group", b"root:x:0:\nusers:x:100:\nops:x:200:bob,ann\nbroken:x::ann\n");
    write(dir.path(), "/usr/lib/group", b"wheel:x:10:ann,core\n");
    let accounts = Accounts::load(&Root::offline(dir.path()).unwrap()).unwrap();
    let names: Vec<_> = accounts.iter().map(|a| text(&a.name)).collect();
    assert_eq!(names, ["root", "ann", "core", "snap"]);
    let ann = accounts.user(accounts.by_name(b"ann").unwrap());
    let groups: Vec<_> = ann.groups.iter().map(|g| text(g)).collect();
    assert_eq!(groups, ["users", "ops", "broken", "wheel"]);
    assert_eq!(accounts.by_name(b"core").unwrap().file, ImagePath::literal("/usr/lib/passwd"));
    assert!(accounts.by_name(b"bad").is_none());
}

const ROWS: [&[u8]; 19] = [
    b"root:x:0:0::/root:",
    b"toor:x:0:0::/root:",
    b"admin:x:0:0::/srv/admin:",
    b"ann:x:1:1::/srv/data/Ann Lee:",
    "\u{17e}ofie:x:2:1::/home/\u{17e}ofie-\u{65e5}\u{672c}:".as_bytes(),
    b"raw:x:3:1::/home/raw\xff:",
    b"app:x:4:1::/opt/app:",
    b"jenkins:x:5:1::/var/lib/jenkins:",
    b"shared:x:6:1::/opt/link:",
    b"slash:x:7:1::/:",
    b"etc:x:8:1::/etc:",
    b"bin:x:9:1::/bin:",
    b"run:x:10:1::/run/user/x:",
    b"none:x:11:1::/nonexistent:",
    b"null:x:12:1::/dev/null:",
    b"empty:x:13:1:::",
    b"gone:x:14:1::/home/gone:",
    b"sly:x:15:1::/opt/../usr/../etc:",
    b"sly2:x:16:1::/opt/toroot:",
];

#[test]
fn homes_wherever_they_lie_and_each_once() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "/etc/passwd", &ROWS.join(&b'\n'));
    write(dir.path(), "/etc/default/useradd", b"# c\nHOME=/data/homes\nSHELL=/bin/sh\n");
    for path in [
        &b"/root"[..],
        b"/srv/admin",
        b"/srv/data/Ann Lee",
        b"/home/raw\xff",
        b"/opt/app",
        b"/run/user/x",
        b"/var/lib/jenkins",
        b"/usr/bin",
        b"/dev/null",
        b"/etc/skel",
        b"/home/left",
        b"/data/homes/old",
        "/home/\u{17e}ofie-\u{65e5}\u{672c}".as_bytes(),
    ] {
        make(dir.path(), path);
    }
    write(dir.path(), "/home/file", b"");
    symlink("/opt/app", dir.path().join("opt/link")).unwrap();
    symlink("/", dir.path().join("opt/toroot")).unwrap();
    symlink("usr/bin", dir.path().join("bin")).unwrap();

    let root = Root::offline(dir.path()).unwrap();
    let homes = Accounts::load(&root).unwrap().homes(&root).unwrap();
    let found: Vec<_> = homes
        .iter()
        .map(|home| format!("{}: {}", home.path, text(&home.owners.join(&b' '))))
        .collect();
    assert_eq!(
        found,
        [
            "/root: root toor",
            "/srv/admin: admin",
            "/srv/data/Ann Lee: ann",
            "/home/\u{17e}ofie-\u{65e5}\u{672c}: \u{17e}ofie",
            "/home/raw\\xff: raw",
            "/opt/app: app shared",
            "/var/lib/jenkins: jenkins",
            "/etc/skel: ",
            "/home/left: ",
            "/data/homes/old: ",
        ]
    );
}

#[test]
fn a_home_in_a_circle_stops_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let long = "n".repeat(5000);
    let rows = format!("sly:x:1:1::/opt/a:\nlong:x:2:2::/{long}:\nann:x:3:3::/srv/ann:\n");
    write(dir.path(), "/etc/passwd", rows.as_bytes());
    make(dir.path(), b"/srv/ann");
    make(dir.path(), b"/opt");
    symlink("b", dir.path().join("opt/a")).unwrap();
    symlink("a", dir.path().join("opt/b")).unwrap();
    for root in
        [Root::offline(dir.path()).unwrap(), Root::offline(dir.path()).unwrap().without_openat2()]
    {
        let accounts = Accounts::load(&root).unwrap();
        let (homes, problems) = accounts.homes_and_problems(&root).unwrap();
        assert_eq!(homes.len(), 1);
        assert_eq!(homes[0].path, ImagePath::literal("/srv/ann"));
        assert_eq!(problems.len(), 2, "{problems:?}");
    }
}
