//! T41: initial RAM disks made by the real cpio and packed by the real packers.

#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

#[path = "../oracle/mod.rs"]
mod oracle;

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use disinherit_core::catalogue::Severity;
use disinherit_core::pipeline::{self, Job};
use disinherit_core::policy::{Fragment, Settings};
use disinherit_core::report::{Mode, Report};
use disinherit_core::root::Root;
use libtest_mimic::Failed;

/// As initramfs-tools, dracut and mkinitcpio call them; lz4 in the legacy format that the kernel
/// reads.
const PACKERS: [(&str, &[&str]); 6] = [
    ("cat", &[]),
    ("gzip", &["-n", "-9"]),
    ("zstd", &["-q", "-1", "-T0", "-c"]),
    ("xz", &["--check=crc32", "-1"]),
    ("lz4", &["-q", "-l", "-9"]),
    ("bzip2", &["-9"]),
];

fn main() {
    let tried = |name: &str| Command::new(name).arg("--version").output().is_ok();
    let mut programs = PACKERS.iter().map(|(name, _)| *name).chain(["cpio"]);
    let missing = programs.find(|name| !tried(name)).map(|name| format!("{name} is not installed"));
    oracle::run(
        missing,
        vec![
            ("initial_ram_disks_are_looked_into", every_packer),
            ("what_was_rebuilt_is_clean", rebuilt),
            ("what_cannot_be_looked_into_is_said", broken),
        ],
    );
}

fn piped(program: &str, arguments: &[&str], dir: &Path, input: &[u8]) -> Vec<u8> {
    let mut child = Command::new(program)
        .args(arguments)
        .current_dir(dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let output = std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(input).unwrap());
        child.wait_with_output().unwrap()
    });
    assert!(output.status.success(), "{program}");
    output.stdout
}

fn put(root: &Path, path: &str, content: impl AsRef<[u8]>) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// An archive of a folder, with something large in it so that packers have more than one block.
fn cpio(secret: bool) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    // More than a block of lz4, most of it holes; a modulus that no packer folds away in the rest.
    let mut noise: Vec<u8> =
        (0..200_000u32).map(|i| u8::try_from((i % 251) ^ (i / 977 % 5)).unwrap()).collect();
    noise.resize(9 << 20, 0);
    put(dir.path(), "lib/modules/noise.ko", noise);
    let hash =
        if secret { format!("$6$salt${}", "0123456789abcdef".repeat(4)) } else { "*".into() };
    put(dir.path(), "etc/shadow", format!("root:{hash}:19700::::::\n"));
    let names = b"lib\nlib/modules\nlib/modules/noise.ko\netc\netc/shadow\n";
    piped("cpio", &["-o", "-H", "newc", "--quiet"], dir.path(), names)
}

fn microcode() -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "kernel/x86/microcode/AuthenticAMD.bin", [0x5a; 3000]);
    piped(
        "cpio",
        &["-o", "-H", "newc", "--quiet"],
        dir.path(),
        b"kernel/x86/microcode/AuthenticAMD.bin\n",
    )
}

fn audit(root: &Path) -> Report {
    put(root, "etc/passwd", "root:x:0:0::/root:/bin/sh\n");
    put(root, "etc/shadow", "root:*:1::::::\n");
    let settings = Settings::new(Fragment::parse("policy", "firstboot: false").unwrap()).unwrap();
    let job = Job { settings: &settings, firstboot: None, mode: Mode::Audit };
    pipeline::run(&Root::offline(root).unwrap(), &job, &mut ()).unwrap().1
}

fn said(report: &Report) -> Vec<(String, Severity, String)> {
    let ours = report.findings.iter().filter(|f| f.rule == "boot-initrd" || f.rule == "unreadable");
    ours.map(|f| (f.path.to_string(), f.severity, f.subject.clone().unwrap_or_default())).collect()
}

fn pack(program: &str, arguments: &[&str], archive: &[u8]) -> Vec<u8> {
    piped(program, arguments, Path::new("/"), archive)
}

fn every_packer() -> Result<(), Failed> {
    let (secret, early) = (cpio(true), microcode());
    for (program, arguments) in PACKERS {
        let image = tempfile::tempdir().unwrap();
        let packed = pack(program, arguments, &secret);
        put(image.path(), "boot/initrd.img-6.1", [early.as_slice(), &packed].concat());
        // Two packed segments, one after the other.
        let twice = [pack(program, arguments, &early), vec![0; 64], packed.clone()].concat();
        put(image.path(), "usr/lib/modules/6.1/initramfs.img", twice);
        fs::create_dir_all(image.path().join("boot/initrd.d")).unwrap();
        std::os::unix::fs::symlink("initrd.img-6.1", image.path().join("boot/initrd.img")).unwrap();
        let report = audit(image.path());
        let what = "etc/shadow: password of root".to_owned();
        let expected = ["/boot/initrd.img-6.1", "/usr/lib/modules/6.1/initramfs.img"]
            .map(|path| (path.to_owned(), Severity::Critical, what.clone()));
        assert_eq!(said(&report), expected, "{program}");
        let finding = report.findings.iter().find(|f| f.rule == "boot-initrd").unwrap();
        assert!(finding.remedy.contains("update-initramfs -u"), "{}", finding.remedy);
        assert_eq!(report.exit_code, 1);
    }
    Ok(())
}

fn rebuilt() -> Result<(), Failed> {
    let archive = cpio(false);
    let image = tempfile::tempdir().unwrap();
    for (program, arguments) in PACKERS {
        put(
            image.path(),
            &format!("boot/initrd.img-{program}"),
            pack(program, arguments, &archive),
        );
    }
    let report = audit(image.path());
    assert!(said(&report).is_empty(), "{:?}", said(&report));
    Ok(())
}

fn broken() -> Result<(), Failed> {
    let image = tempfile::tempdir().unwrap();
    let mut packed = pack("gzip", &["-n"], &cpio(true));
    packed.truncate(packed.len() / 2);
    put(image.path(), "boot/initrd.img-cut", packed);
    put(image.path(), "boot/initramfs-odd.img", "no archive at all");
    let report = audit(image.path());
    let paths: Vec<String> = said(&report).into_iter().map(|(path, ..)| path).collect();
    assert_eq!(paths, ["/boot/initramfs-odd.img", "/boot/initrd.img-cut"]);
    Ok(())
}
