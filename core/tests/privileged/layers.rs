//! Overlays: a container's root, a live system, what `systemd-nspawn --volatile` boots.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use disinherit_core::change::{Erase, delete, delete_tree, replace, truncate};
use disinherit_core::root::{Links, Meta, Root, Target};

use super::Add;
use super::place::{ANN, Place, image_path, run, text};
use super::scrub::{image, scrub_root};

const SECRET: &[u8] = b"root:$y$j9T$secret$hash:19000:0:99999:7:::\n";

pub(crate) fn add(add: Add<'_>) {
    let needs = &["fs:overlay"];
    for far in [false, true] {
        let name = if far { "two_file_systems" } else { "one_file_system" };
        add(&format!("layers::changes_on_{name}"), needs, Box::new(move || changes(far)));
        add(&format!("layers::scrub_on_{name}"), needs, Box::new(move || whole_scrub(far)));
    }
}

/// A lower layer, and the overlay over it. The device numbers of files and directories differ where
/// the layers lie on two file systems and the inode numbers cannot be mapped (`xino=off`).
struct Layers {
    upper: Place,
    lower: Place,
}

impl Layers {
    fn new(far: bool) -> Self {
        let upper = Place::tmpfs("size=16m");
        for dir in ["upper", "work", "merged", "lower"] {
            fs::create_dir(upper.at(dir)).unwrap();
        }
        let lower = Place::tmpfs("size=16m");
        if !far {
            run("mount", &["--bind", text(&upper.at("lower")), text(&lower.at(""))]);
            fs::create_dir(lower.at("etc")).unwrap();
        }
        Self { upper, lower }
    }

    fn mount(&self, far: bool) -> Root {
        let options = format!(
            "lowerdir={},upperdir={},workdir={}{}",
            text(&self.lower.at("")),
            text(&self.upper.at("upper")),
            text(&self.upper.at("work")),
            if far { ",xino=off" } else { "" }
        );
        let merged = self.upper.at("merged");
        run("mount", &["-t", "overlay", "-o", &options, "none", text(&merged)]);
        Root::offline(&merged).unwrap()
    }
}

fn entry(root: &Root, name: &str) -> (Target, Meta) {
    let path = image_path(&format!("/etc/{name}"));
    let target = root.target(&path, Links::InRoot).unwrap().unwrap();
    let meta = target.meta().unwrap().unwrap();
    (target, meta)
}

/// Every change is made in the upper layer, and the lower one keeps its bytes.
fn changes(far: bool) {
    let layers = Layers::new(far);
    for name in ["replaced", "truncated", "deleted", "tree/a", "same", "late"] {
        layers.lower.file(&format!("etc/{name}"), SECRET);
    }
    fs::hard_link(layers.lower.at("etc/replaced"), layers.lower.at("etc/second")).unwrap();
    let root = layers.mount(far);
    let merged = layers.upper.at("merged/etc");

    let (target, meta) = entry(&root, "same");
    assert_eq!(replace(&target, &meta, SECRET).unwrap(), Erase::NothingToErase);
    assert!(!layers.upper.at("upper/etc/same").exists(), "nothing is moved where nothing changes");

    let (target, meta) = entry(&root, "late");
    fs::write(merged.join("late"), "somebody else's").unwrap();
    assert!(replace(&target, &meta, b"ours\n").is_err(), "a late change wins");
    assert_eq!(fs::read(merged.join("late")).unwrap(), b"somebody else's");

    let (target, meta) = entry(&root, "replaced");
    let mut outcomes = vec![replace(&target, &meta, b"clean\n").unwrap()];
    let (target, meta) = entry(&root, "truncated");
    outcomes.push(truncate(&target, &meta).unwrap());
    let (target, meta) = entry(&root, "deleted");
    outcomes.push(delete(&target, &meta).unwrap());
    let (target, _) = entry(&root, "tree");
    delete_tree(&target, &mut |_, erase| outcomes.push(erase)).unwrap();
    assert_eq!(outcomes.len(), 4);
    for erase in outcomes {
        assert!(matches!(&erase, Erase::NotErased { why } if why.contains("layer")), "{erase}");
    }
    assert_eq!(
        layers.upper.names("merged/etc"),
        ["late", "replaced", "same", "second", "truncated"]
    );
    assert_eq!(fs::read(merged.join("replaced")).unwrap(), b"clean\n");
    assert_eq!(fs::read(merged.join("truncated")).unwrap(), b"");
    assert_eq!(fs::read(merged.join("second")).unwrap(), SECRET);
    assert_eq!(fs::read(layers.lower.at("etc/deleted")).unwrap(), SECRET);
}

/// A whole scrub: everything is found, everything goes, and looking again finds nothing.
fn whole_scrub(far: bool) {
    let layers = Layers::new(far);
    let lower = &layers.lower;
    image(lower);
    lower.file("etc/machine-id", b"0123456789abcdef0123456789abcdef\n");
    lower.file("root/.bash_history", b"mysql -pXyz\n");
    lower.owned_file("home/ann/.bash_history", b"x\n", ANN);
    lower.owned_file("home/ann/.ssh/authorized_keys", super::scrub::KEY, ANN);
    lower.owned_file("home/ann/.aws/credentials", b"x\n", ANN);
    // Backups of the same inode: a second name in the lower layer parts at the first write.
    fs::hard_link(lower.at("etc/shadow"), lower.at("etc/shadow-")).unwrap();
    fs::hard_link(lower.at("etc/machine-id"), lower.at("etc/machine-id.second")).unwrap();
    let root = layers.mount(far);
    let merged = layers.upper.at("merged");
    let devices = ["etc", "etc/shadow"].map(|at| fs::metadata(merged.join(at)).unwrap().dev());
    assert_eq!(devices[0] != devices[1], far, "the layout is the one that this test is about");

    let report = scrub_root(&root, "");
    let failed: Vec<_> = report.actions.iter().filter(|a| a.error.is_some()).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    assert_eq!(report.exit_code, 0, "{:#?}", report.findings);
    assert!(fs::read(merged.join("etc/shadow")).unwrap().starts_with(b"root:*:"));
    assert_eq!(fs::read(merged.join("etc/machine-id")).unwrap(), b"");
    for gone in [
        "etc/shadow-",
        "root/.bash_history",
        "home/ann/.bash_history",
        "home/ann/.ssh/authorized_keys",
        "home/ann/.aws/credentials",
    ] {
        assert!(!merged.join(gone).exists(), "{gone}");
    }
    assert!(report.residual.iter().any(|r| r.why.contains("layer")), "{:#?}", report.residual);
    assert!(scrub_root(&root, "").actions.is_empty(), "a second run has nothing to do");
}
