//! Whole scrubs of images with odd files in them: what blocks, what is endless, what is full.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, chown};
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, mknodat};

use super::Add;
use super::place::{ANN, Place, run, text};
use super::scrub::{KEY, image, scrub_root};

/// A run that hangs would wait for ever; one that reads a hole byte by byte takes minutes.
const SOON: Duration = Duration::from_secs(60);

pub(crate) fn add(add: Add<'_>) {
    add("odd::a_read_only_submount", super::EXT4, Box::new(a_read_only_submount));
    add("odd::fifos_in_the_place_of_files", &[], Box::new(fifos_in_the_place_of_files));
    add("odd::nodes_and_folders_in_the_place_of_keys", &[], Box::new(nodes_and_folders));
    add("odd::sparse_files_of_a_tebibyte", super::EXT4, Box::new(sparse_files_of_a_tebibyte));
    add("odd::a_full_disk", super::EXT4, Box::new(a_full_disk));
}

/// T14, second half: what lies on the part that cannot be written is named, and nothing is called
/// clean.
fn a_read_only_submount() {
    let mut home = Place::made_by(&["mkfs.ext4", "-q"], 16, "rw");
    home.owned_file("ann/.bash_history", b"x\n", ANN);
    home.owned_dir("ann", ANN);
    home.unmount();
    let place = Place::tmpfs("size=8m");
    image(&place);
    place.file("root/.bash_history", b"x\n");
    fs::remove_dir_all(place.at("home")).unwrap();
    fs::create_dir(place.at("home")).unwrap();
    run("mount", &["-o", "loop,ro", text(&home.device()), text(&place.at("home"))]);

    let report = scrub_root(&place.root(), "");
    assert_eq!(report.exit_code, 3, "{:#?}", report.findings);
    let history = "/home/ann/.bash_history";
    let failed: Vec<_> = report.actions.iter().filter(|a| a.error.is_some()).collect();
    assert!(failed.iter().any(|a| a.path.to_string() == history), "{failed:#?}");
    assert!(failed.iter().all(|a| a.path.to_string().starts_with("/home/")), "{failed:#?}");
    assert!(report.findings.iter().any(|f| f.path.to_string() == history && f.rule == "his-shell"));
    assert!(place.at("home/ann/.bash_history").exists());
    // The rest of the image is scrubbed all the same.
    assert!(!place.at("root/.bash_history").exists());
    assert!(fs::read(place.at("etc/shadow")).unwrap().starts_with(b"root:*:"));
}

/// T15: a FIFO blocks whoever opens it. Google's agent has one in `/etc/ssh`.
fn fifos_in_the_place_of_files() {
    let place = Place::tmpfs("size=8m");
    image(&place);
    fs::create_dir_all(place.at("etc/ssh/sshd_config.d")).unwrap();
    fs::create_dir_all(place.at("boot")).unwrap();
    let fifo = |path: &str, uid: u32| {
        mknodat(CWD, place.at(path), FileType::Fifo, 0o644.into(), 0).unwrap();
        chown(place.at(path), Some(uid), Some(uid)).unwrap();
    };
    let gone = [
        ("home/ann/.ssh/authorized_keys", ANN),
        ("home/ann/.bash_history", ANN),
        ("etc/ssh/ssh_host_rsa_key", 0),
    ];
    let stays = ["etc/ssh/oslogin_trustedca.pub", "etc/machine-id", "boot/initrd.img"];
    gone.iter().for_each(|(path, uid)| fifo(path, *uid));
    stays.iter().for_each(|path| fifo(path, 0));
    let start = Instant::now();
    let report = scrub_root(&place.root(), "rules: {host-ssh-keys: on}");
    assert!(start.elapsed() < SOON);
    for (path, _) in gone {
        assert!(fs::symlink_metadata(place.at(path)).is_err(), "{path}");
    }
    for path in stays {
        assert!(fs::symlink_metadata(place.at(path)).is_ok(), "{path}");
    }
    let said = |path: &str| report.findings.iter().any(|f| f.path.to_string() == path);
    assert!(said("/etc/ssh/oslogin_trustedca.pub"), "{:#?}", report.findings);
}

/// T16: nodes go without being opened, a folder of keys goes with what is in it.
fn nodes_and_folders() {
    let place = Place::tmpfs("size=8m");
    image(&place);
    for name in ["one", "two", "three/deep"] {
        place.owned_file(&format!("home/ann/.ssh/authorized_keys/{name}"), KEY, ANN);
    }
    place.owned_dir("home/bob/.ssh", ANN + 1);
    let socket = UnixListener::bind(place.at("home/bob/.ssh/id_ecdsa")).unwrap();
    // The null device: whoever writes to it does no harm, and whoever opens it changes its times.
    let node = place.at("home/bob/.ssh/id_rsa");
    mknodat(CWD, &node, FileType::CharacterDevice, 0o666.into(), rustix::fs::makedev(1, 3))
        .unwrap();
    fs::create_dir(place.at("home/bob/.bash_history")).unwrap();
    place.owned_file("home/bob/.bash_history/x", b"x", ANN + 1);
    let report = scrub_root(&place.root(), "");
    let failed: Vec<_> = report.actions.iter().filter(|a| a.error.is_some()).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    assert!(place.names("home/ann/.ssh").is_empty() && place.names("home/bob/.ssh").is_empty());
    assert!(!place.at("home/bob/.bash_history").exists());
    drop(socket);
}

/// T18: a history of a tebibyte with one secret in it, and a disk image that stays.
fn sparse_files_of_a_tebibyte() {
    let place = Place::made_by(&["mkfs.ext4", "-q"], 64, "rw");
    image(&place);
    let sparse = |path: &str| {
        let file = File::create(place.at(path)).unwrap();
        file.set_len(1 << 40).unwrap();
        file.write_all_at(b"mysql -pXyz\n", 1 << 39).unwrap();
        file.sync_all().unwrap();
    };
    sparse("root/.bash_history");
    fs::create_dir_all(place.at("srv")).unwrap();
    sparse("srv/disk.img");
    let blocks = fs::metadata(place.at("srv/disk.img")).unwrap().blocks();
    let start = Instant::now();
    let report = scrub_root(&place.root(), "");
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    let failed: Vec<_> = report.actions.iter().filter(|a| a.error.is_some()).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    assert!(!place.at("root/.bash_history").exists());
    assert!(report.summary.bytes_erased < 1 << 20, "cost follows what is allocated");
    let kept = fs::metadata(place.at("srv/disk.img")).unwrap();
    assert_eq!((kept.len(), kept.blocks()), (1 << 40, blocks), "sparse stays sparse");
}

/// T21: no room for a new shadow. What goes needs none; shadow is the old one, whole.
fn a_full_disk() {
    let place = Place::made_by(&["mkfs.ext4", "-q", "-N", "32"], 16, "rw");
    image(&place);
    place.file("root/.bash_history", b"x\n");
    let shadow = fs::read(place.at("etc/shadow")).unwrap();
    // All inodes and all blocks.
    let mut number = 0;
    while File::create(place.at(&format!("srv-{number}"))).is_ok() {
        number += 1;
    }
    let mut filler = File::options().write(true).open(place.at("srv-0")).unwrap();
    for size in [1 << 20, 4096, 1] {
        while filler.write_all(&vec![1; size]).is_ok() {}
    }
    let report = scrub_root(&place.root(), "");
    assert_eq!(report.exit_code, 3, "{:#?}", report.actions);
    let failed: Vec<_> = report.actions.iter().filter_map(|a| a.error.as_ref()).collect();
    assert!(failed.iter().any(|error| error.contains("free some space")), "{failed:#?}");
    assert_eq!(fs::read(place.at("etc/shadow")).unwrap(), shadow, "old or new, never half");
    assert!(!place.at("root/.bash_history").exists());
    // Once there is room, the same run ends well.
    fs::remove_file(place.at("srv-0")).unwrap();
    fs::remove_file(place.at("srv-1")).unwrap();
    let report = scrub_root(&place.root(), "");
    assert!(report.actions.iter().all(|a| a.error.is_none()), "{:#?}", report.actions);
    assert!(fs::read(place.at("etc/shadow")).unwrap().starts_with(b"root:*:"));
}
