use super::table::parse_line;
use super::*;

#[test]
fn reads_a_line_with_an_escaped_space() {
    let line = b"36 35 98:0 / /mnt/a\\040b rw,noatime shared:1 - ext4 /dev/vda1 ro,errors=x";
    let parsed = parse_line(line).unwrap();
    assert_eq!(parsed.point, b"/mnt/a b");
    assert_eq!((parsed.fstype.as_str(), parsed.source.as_str()), ("ext4", "/dev/vda1"));
    assert!(parsed.read_only);
}

#[test]
fn a_torn_line_is_passed_over() {
    assert!(parse_line(b"36 35 98:0 /").is_none());
    assert!(parse(b"\n\n").is_empty());
}

/// What is closed and what is a problem, by path. `devices` tells st_dev where it is not the
/// root's.
fn judged(host: &str, live: bool, table: &str, devices: &[(&str, u64)]) -> (String, String) {
    let view = View { host: ImagePath::new(host).unwrap(), live, container: false };
    let device = |at: &ImagePath| {
        let own = devices.iter().find(|(path, _)| at.to_string() == *path);
        Some(own.map_or(1, |(_, dev)| *dev))
    };
    let reach = Reach::judge(&parse(table.as_bytes()), &view, &device);
    let list = |paths: &mut dyn Iterator<Item = String>| paths.collect::<Vec<_>>().join(" ");
    (
        list(&mut reach.closed.iter().map(ToString::to_string)),
        list(&mut reach.problems(&[]).iter().map(|p| p.path.to_string())),
    )
}

fn both(closed: &str, problems: &str) -> (String, String) {
    (closed.to_owned(), problems.to_owned())
}

const ROOT: &str = "20 1 8:1 / / rw - ext4 /dev/sda1 rw\n";

#[test]
fn an_automount_is_what_lies_on_top_of_it() {
    let auto = format!("{ROOT}30 20 0:40 / /home rw - autofs systemd-1 rw\n");
    let devices = [("/home", 2)];
    assert_eq!(judged("/", true, &auto, &devices), both("/home", ""));
    let both_lines = format!("{auto}31 30 8:2 / /home rw - ext4 /dev/sda2 rw\n");
    assert_eq!(judged("/", true, &both_lines, &devices), both("", ""));
}

#[test]
fn memory_over_a_folder_of_the_image_is_a_problem() {
    let table = format!(
        "{ROOT}30 20 8:2 / /etc rw - ext4 /dev/sda2 rw\n31 30 0:40 / /etc rw - tmpfs none rw\n\
         32 20 0:41 / /run rw - tmpfs none rw\n"
    );
    let devices = [("/etc", 3), ("/run", 4)];
    assert_eq!(judged("/", true, &table, &devices), both("/etc /run", "/etc"));
}

#[test]
fn subvolumes_and_deployments_belong_to_the_image() {
    let btrfs = "20 1 0:30 /root / rw - btrfs /dev/vda4 rw\n\
                 30 20 0:30 /home /home rw - btrfs /dev/vda4 rw\n\
                 31 20 0:30 /var /var rw - btrfs /dev/vda4 rw\n";
    let devices = [("/home", 2), ("/var", 3)];
    assert_eq!(judged("/", true, btrfs, &devices), both("", ""));
    let ostree = "20 1 8:4 /ostree/deploy/c/deploy/f.0 / rw - xfs /dev/sda4 rw\n\
                  30 20 8:4 / /sysroot ro - xfs /dev/sda4 rw\n\
                  31 20 8:4 /ostree/deploy/c/deploy/f.0/etc /etc rw - xfs /dev/sda4 rw\n\
                  32 20 8:4 /ostree/deploy/c/var /var rw - xfs /dev/sda4 rw\n";
    assert_eq!(judged("/", true, ostree, &[]), both("", ""));
}

#[test]
fn what_is_mounted_outside_too_is_somebody_elses() {
    let table = "20 1 8:1 / / rw - ext4 /dev/sda1 rw\n\
                 21 20 8:2 / /home rw - ext4 /dev/sda2 rw\n\
                 30 20 7:1 / /mnt/i rw - ext4 /dev/loop1 rw\n\
                 31 30 7:2 / /mnt/i/boot rw - ext4 /dev/loop2 rw\n\
                 32 30 8:1 / /mnt/i/host rw - ext4 /dev/sda1 rw\n\
                 33 30 8:2 / /mnt/i/home rw - ext4 /dev/sda2 rw\n\
                 34 30 7:1 /srv /mnt/i/srv2 rw - ext4 /dev/loop1 rw\n";
    let devices = [("/boot", 2), ("/host", 3), ("/home", 4)];
    assert_eq!(judged("/mnt/i", false, table, &devices), both("/host /home", "/host /home"));
}

#[test]
fn a_tree_is_not_the_file_system_that_it_lies_in() {
    let table = "20 1 8:1 / / rw - ext4 /dev/sda1 rw\n\
                 30 20 8:1 /srv/cache /srv/tree/var/cache rw - ext4 /dev/sda1 rw\n\
                 31 20 8:1 /srv/tree/data /srv/tree/home rw - ext4 /dev/sda1 rw\n";
    let closed = both("/var/cache", "/var/cache");
    assert_eq!(judged("/srv/tree", false, table, &[]), closed);
    let bound = "20 1 8:1 / / rw - ext4 /dev/sda1 rw\n\
                 30 20 8:1 /srv/tree /mnt/i rw - ext4 /dev/sda1 rw\n";
    let view = View { host: ImagePath::literal("/mnt/i"), live: false, container: false };
    assert!(!Reach::judge(&parse(bound.as_bytes()), &view, &|_| Some(1)).root_is_mount());
}

#[test]
fn a_mount_below_a_covered_folder_is_not_seen() {
    let table = "20 1 8:1 / / rw - ext4 /dev/sda1 rw\n\
                 30 20 8:2 / /a/b rw - ext4 /dev/sda2 rw\n\
                 31 20 0:40 / /a rw - tmpfs none rw\n";
    assert_eq!(judged("/", true, table, &[("/a", 3)]), both("/a", "/a"));
}

#[test]
fn points_are_seen_from_the_root() {
    assert_eq!(below(b"/mnt/i/boot", b"/mnt/i"), ImagePath::new("/boot"));
    assert_eq!(below(b"/mnt/i", b"/mnt/i"), Some(ImagePath::root()));
    assert_eq!(below(b"/mnt/image2", b"/mnt/i"), None);
    assert_eq!(below(b"/boot", b"/"), ImagePath::new("/boot"));
}
