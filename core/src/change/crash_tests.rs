//! Every step of every change fails once, by an error and by SIGKILL: the target is the old or the
//! new file all the same, and a second run ends where an undisturbed one ends.

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt as _, symlink as link_to};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Command;

use rustix::io::Errno;

use super::step::armed::{At, Fault, arm, disarm};
use super::tests::{Image, held, image_path};
use super::*;
use crate::root::{Links, Root};

const OLD: &[u8] = b"the old content with a secret\n";
const NEW: &[u8] = b"the new content\n";

/// One kind of change to `/etc/work/it`.
struct Case {
    name: &'static str,
    prepare: fn(&Image),
    /// Tells whether the change said that old bytes are left.
    act: fn(&Root, &Target) -> Result<bool>,
    /// What may be seen after a fault.
    sound: fn(&Path) -> bool,
    /// What must be seen after the second run.
    done: fn(&Path) -> bool,
}

fn is(path: &Path, content: &[u8]) -> bool {
    fs::read(path).is_ok_and(|found| found == content)
        && fs::metadata(path).unwrap().permissions().mode() & 0o7777 == 0o640
}

fn old_file(image: &Image) {
    let path = image.file("etc/work/it", OLD);
    fs::set_permissions(path, fs::Permissions::from_mode(0o640)).unwrap();
}

fn old_tree(image: &Image) {
    for name in ["a", "b/c", "b/d/e"] {
        image.file(&format!("etc/work/it/{name}"), OLD);
    }
}

/// The change to a file that is there; nothing when a former run removed it.
fn to_existing(target: &Target, change: impl Fn(&Meta) -> Result<Erase>) -> Result<bool> {
    target.meta()?.map_or(Ok(false), |meta| change(&meta).map(|erase| left(&erase)))
}

fn left(erase: &Erase) -> bool {
    matches!(erase, Erase::NotErased { .. })
}

const CASES: &[Case] = &[
    Case {
        name: "replace",
        prepare: old_file,
        act: |_, target| to_existing(target, |meta| replace(target, meta, NEW)),
        sound: |path| is(path, OLD) || is(path, NEW),
        done: |path| is(path, NEW),
    },
    Case {
        name: "create over a file",
        prepare: old_file,
        act: |_, target| {
            let (uid, gid) = target.meta()?.map_or((0, 0), |meta| (meta.uid, meta.gid));
            // What it replaces is no secret.
            create(target, NEW, 0o640, uid, gid).map(|()| true)
        },
        sound: |path| is(path, OLD) || is(path, NEW),
        done: |path| is(path, NEW),
    },
    Case {
        name: "truncate",
        prepare: old_file,
        act: |_, target| to_existing(target, |meta| truncate(target, meta)),
        sound: |path| {
            let content = fs::read(path).unwrap();
            content == OLD || content.iter().all(|byte| *byte == 0)
        },
        done: |path| is(path, b""),
    },
    Case {
        name: "delete",
        prepare: old_file,
        act: |_, target| to_existing(target, |meta| delete(target, meta)),
        sound: |path| is(path, OLD) || !path.exists(),
        done: |path| !path.exists(),
    },
    Case {
        name: "symlink",
        prepare: |image| {
            image.file("etc/work/other", NEW);
            link_to("old", image.at("etc/work/it")).unwrap();
        },
        act: |_, target| symlink(target, b"new").map(|()| false),
        sound: |path| {
            let text = fs::read_link(path).unwrap();
            text == Path::new("old") || text == Path::new("new")
        },
        done: |path| fs::read_link(path).unwrap() == Path::new("new"),
    },
    Case {
        name: "make_dirs",
        prepare: |image| fs::create_dir(image.at("etc/work")).unwrap(),
        act: |root, _| make_dirs(root, &image_path("/etc/work/it/deep"), 0o750).map(|()| false),
        sound: |path| {
            [path, &path.join("deep")].iter().all(|dir| {
                fs::metadata(dir).map_or(true, |m| m.permissions().mode() & 0o7777 == 0o750)
            })
        },
        done: |path| path.join("deep").is_dir(),
    },
    Case {
        name: "delete_tree",
        prepare: old_tree,
        act: |_, target| {
            let mut told = false;
            delete_tree(target, &mut |_, erase| told |= left(&erase)).map(|()| told)
        },
        sound: |_| true,
        done: |path| !path.exists(),
    },
];

fn act(case: &Case, root: &Root) -> Result<bool> {
    let target = root.target(&image_path("/etc/work/it"), Links::InRoot)?.unwrap();
    (case.act)(root, &target)
}

/// The names of the steps of an undisturbed run.
fn steps(case: &Case) -> Vec<&'static str> {
    let image = Image::new();
    (case.prepare)(&image);
    arm(At::Number(usize::MAX - 1), Fault::Kill);
    act(case, &image.root()).unwrap();
    assert!((case.done)(&image.at("etc/work/it")), "{}", case.name);
    disarm().0
}

/// Sweeps, runs again, and looks at what is left.
fn run_again(case: &Case, image: &Image, secret: Option<&File>, fault: &str) {
    let path = image.at("etc/work/it");
    assert!((case.sound)(&path), "{}: {fault}", case.name);
    let root = image.root();
    sweep_temps(&root, &image_path("/etc/work")).unwrap();
    if path.exists() && path.is_dir() {
        sweep_temps(&root, &image_path("/etc/work/it")).unwrap();
    }
    let told = act(case, &root).unwrap();
    assert!((case.done)(&path), "{}: {fault}", case.name);
    let names = image.names("etc/work");
    assert!(names.iter().all(|name| name == "it" || name == "other"), "{fault}: {names:?}");
    if let Some(secret) = secret.filter(|_| !told) {
        assert_ne!(held(secret), OLD, "{}: {fault}: still readable", case.name);
    }
}

#[test]
fn an_error_at_any_step_leaves_old_or_new() {
    for case in CASES {
        let steps = steps(case);
        assert!(steps.len() >= 3, "{}: {steps:?}", case.name);
        for (number, step) in steps.iter().enumerate() {
            for errno in [Errno::NOSPC, Errno::IO, Errno::INVAL] {
                let image = Image::new();
                (case.prepare)(&image);
                let secret = secret_of(&image);
                arm(At::Number(number), Fault::Error(errno));
                let result = act(case, &image.root());
                assert!(disarm().1, "{}: {step} was not reached", case.name);
                let fault = format!("{errno} at {step} ({result:?})");
                let secret = secret.filter(|_| !matches!(result, Ok(true)));
                run_again(case, &image, secret.as_ref(), &fault);
            }
        }
    }
}

/// A handle of the content that must not survive.
fn secret_of(image: &Image) -> Option<File> {
    ["etc/work/it", "etc/work/it/b/d/e"]
        .iter()
        .filter_map(|path| File::open(image.at(path)).ok())
        .find(|file| file.metadata().unwrap().is_file() && held(file) == OLD)
}

#[test]
fn a_kill_at_any_step_leaves_old_or_new() {
    if let Some(job) = std::env::var_os("DISINHERIT_TEST_KILL") {
        let job = job.into_string().unwrap();
        let mut parts = job.splitn(3, ' ');
        let mut part = || parts.next().unwrap();
        let (case, number, dir) = (part(), part(), part());
        let case = &CASES[case.parse::<usize>().unwrap()];
        let root = Root::offline(Path::new(dir)).unwrap();
        arm(At::Number(number.parse().unwrap()), Fault::Kill);
        act(case, &root).unwrap();
        return;
    }
    for (index, case) in CASES.iter().enumerate() {
        for (number, step) in steps(case).iter().enumerate() {
            let image = Image::new();
            (case.prepare)(&image);
            let secret = secret_of(&image);
            let job = format!("{index} {number} {}", image.at("").display());
            let status = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "change::crash_tests::a_kill_at_any_step_leaves_old_or_new"])
                .env("DISINHERIT_TEST_KILL", job)
                .stdout(std::process::Stdio::null())
                .status()
                .unwrap();
            assert_eq!(status.signal(), Some(9), "{} at {step}", case.name);
            run_again(case, &image, secret.as_ref(), &format!("killed at {step}"));
        }
    }
}
