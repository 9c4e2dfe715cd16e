//! A user who moves folders about while his files are edited.

use std::fs;
use std::os::unix::fs::symlink;

use super::*;
use crate::ImagePath;
use crate::edit::{Cut, Edit, Format};

/// What every account of the image may not read.
const SHADOW: &[u8] = b"root:$y$j9T$salt$hash:1::\n";
const OWN: &[u8] = b"token=x1\nk=1\n";

struct Home {
    dir: tempfile::TempDir,
}

impl Home {
    fn new() -> Self {
        let dir = tempfile::TempDir::new().unwrap();
        for folder in ["etc", "home/ann/.config"] {
            fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        fs::write(dir.path().join("etc/shadow"), SHADOW).unwrap();
        fs::write(dir.path().join("home/ann/.config/shadow"), OWN).unwrap();
        Self { dir }
    }

    fn root(&self) -> Root {
        Root::offline(self.dir.path()).unwrap()
    }

    /// The step that takes the first line out of the user's file.
    fn step(&self, links: Links) -> Step {
        let path = ImagePath::new("/home/ann/.config/shadow").unwrap();
        let meta = self.root().stat(&path).unwrap().unwrap();
        let cut = Cut::around(0..9, 6..8, b"token");
        Step {
            rules: vec!["test".to_owned()],
            path,
            change: Change::Edit { format: Format::Spans, edits: vec![Edit::Cut(cut)] },
            expect: Some(Expect::of(&meta)),
            links,
            subjects: Vec::new(),
            content: None,
        }
    }

    /// The folder makes room for a link to /etc.
    fn swap(&self) {
        let home = self.dir.path().join("home/ann");
        fs::rename(home.join(".config"), home.join("kept")).unwrap();
        symlink("../../etc", home.join(".config")).unwrap();
    }

    fn read(&self, path: &str) -> Vec<u8> {
        fs::read(self.dir.path().join(path)).unwrap()
    }
}

#[test]
fn a_folder_that_becomes_a_link_brings_no_other_text_into_the_file() {
    for links in [Links::InRoot, Links::OwnerMatched] {
        let home = Home::new();
        let step = home.step(links);
        let Change::Edit { format, edits } = &step.change else { unreachable!() };
        let (target, meta) = expected(&home.root(), &step, true).unwrap();
        home.swap();
        edit(&step, (&target, &meta), (*format, edits)).unwrap();
        assert_eq!(home.read("home/ann/kept/shadow"), b"k=1\n");
        assert_eq!(home.read("etc/shadow"), SHADOW);
    }
}

#[test]
fn a_file_that_is_another_one_by_now_stays() {
    let home = Home::new();
    let step = home.step(Links::InRoot);
    let Change::Edit { format, edits } = &step.change else { unreachable!() };
    let (target, meta) = expected(&home.root(), &step, true).unwrap();
    let config = home.dir.path().join("home/ann/.config");
    fs::rename(config.join("shadow"), config.join("kept")).unwrap();
    symlink("../../../etc/shadow", config.join("shadow")).unwrap();
    let error = edit(&step, (&target, &meta), (*format, edits)).unwrap_err();
    assert!(error.report().contains("no longer what discovery saw"), "{}", error.report());
    assert_eq!(home.read("home/ann/.config/kept"), OWN);
    assert_eq!(home.read("etc/shadow"), SHADOW);
}
