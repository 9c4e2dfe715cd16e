//! The same table for both resolvers: what leads where inside the root, and that nothing leads out.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use tempfile::TempDir;

use super::*;

/// An image beside a file of the host that nothing may reach.
struct Image {
    dir: TempDir,
}

impl Image {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        fs::create_dir_all(dir.path().join("image/etc/ssh/keys")).unwrap();
        fs::create_dir(dir.path().join("host")).unwrap();
        fs::write(dir.path().join("host/sentinel"), "host").unwrap();
        Self { dir }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("image")
    }

    fn host(&self) -> PathBuf {
        self.dir.path().join("host")
    }

    fn file(&self, path: &str, content: &str) {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn link(&self, path: &str, to: impl AsRef<Path>) {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(to, path).unwrap();
    }

    fn roots(&self) -> [Root; 2] {
        let kernel = Root::offline(&self.path()).unwrap();
        assert_eq!(kernel.resolver, Resolver::Kernel, "this kernel has no openat2");
        [kernel, Root::offline(&self.path()).unwrap().without_openat2()]
    }
}

fn path(text: &str) -> ImagePath {
    ImagePath::new(text).unwrap()
}

/// What a path reads as: its content, nothing, or the kind of error.
fn read(root: &Root, text: &str) -> Result<Option<String>, crate::Kind> {
    match root.read(&path(text), 4096) {
        Ok(content) => Ok(content.map(|c| String::from_utf8(c.to_vec()).unwrap())),
        Err(error) => Err(error.kind()),
    }
}

#[test]
fn links_stay_inside() {
    let image = Image::new();
    image.file("etc/shadow", "image shadow");
    image.file("etc/ssh/keys/bob", "bob's key");
    image.file("home/shared/ssh/authorized_keys", "shared key");
    image.link("home/bob/.ssh/authorized_keys", "/etc/ssh/keys/bob");
    image.link("home/ann/.ssh", "../shared/ssh");
    image.link("home/eve/.ssh", "../../../../../../etc");
    image.link("home/host/.ssh", image.host());
    image.link("etc/alias", "/etc/shadow");
    image.link("var/log", "/var/log");
    image.link("up", "..");
    for root in image.roots() {
        assert_eq!(read(&root, "/home/bob/.ssh/authorized_keys"), Ok(Some("bob's key".into())));
        assert_eq!(read(&root, "/home/ann/.ssh/authorized_keys"), Ok(Some("shared key".into())));
        assert_eq!(read(&root, "/home/eve/.ssh/shadow"), Ok(Some("image shadow".into())));
        assert_eq!(read(&root, "/../../etc/../etc/shadow"), Ok(Some("image shadow".into())));
        assert_eq!(read(&root, "/up/up/etc/alias"), Ok(Some("image shadow".into())));
        assert_eq!(read(&root, "/home/host/.ssh/sentinel"), Ok(None));
        assert_eq!(read(&root, "/var/log/wtmp"), Err(crate::Kind::Refused));
        assert_eq!(read(&root, "/etc/shadow/below"), Ok(None));
        assert_eq!(
            root.canonical(&path("/home/eve/.ssh/alias")).unwrap(),
            Some(path("/etc/shadow"))
        );
        assert_eq!(root.canonical(&path("/home/host/.ssh")).unwrap(), None);
        assert_eq!(root.canonical(&path("/up")).unwrap(), Some(ImagePath::root()));
    }
}

#[test]
fn loops_and_long_chains_end() {
    let image = Image::new();
    image.link("a", "b");
    image.link("b", "/a");
    image.link("self", "self/x");
    image.file("end", "end");
    image.link("link0", "end");
    for i in 1..60 {
        image.link(&format!("link{i}"), format!("link{}", i - 1));
    }
    for root in image.roots() {
        for looping in ["/a", "/b/x", "/self", "/link41"] {
            assert_eq!(read(&root, looping), Err(crate::Kind::Refused), "{looping}");
            assert!(root.target(&path(looping).join("x").unwrap(), Links::InRoot).is_err());
        }
        assert_eq!(read(&root, "/link39"), Ok(Some("end".into())));
    }
}

#[test]
fn magic_links_are_refused() {
    for root in [Root::live().unwrap(), Root::live().unwrap().without_openat2()] {
        assert!(root.is_live());
        for magic in
            ["/proc/self/root/etc/passwd", "/proc/self/cwd/x", "/proc/1/root/etc", "/dev/fd/0"]
        {
            // Another user's /proc/1/root cannot even be read.
            let error = root.stat(&path(magic)).unwrap_err();
            assert!(error.kind() == crate::Kind::Refused || magic.contains("/1/"), "{magic}");
        }
        assert!(root.stat(&path("/proc/self/stat")).unwrap().is_some(), "an ordinary link");
        assert_eq!(root.stat(&path("/proc/self/root")).unwrap_err().kind(), crate::Kind::Refused);
        let link = root.lstat(&path("/proc/self/root")).unwrap().unwrap();
        assert_eq!(link.kind, FileKind::Symlink);
    }
}

#[test]
fn only_a_tree_with_etc_is_an_image() {
    let image = Image::new();
    image.link("root", "/");
    symlink("/", image.dir.path().join("slash")).unwrap();
    fs::create_dir(image.dir.path().join("empty")).unwrap();
    let at = |name: &str| image.dir.path().join(name);
    let bad = [
        Path::new("").to_owned(),
        Path::new("image").to_owned(),
        Path::new("/").to_owned(),
        Path::new("//.").to_owned(),
        at("slash"),
        at("host/sentinel"),
        at("missing"),
        at("empty"),
    ];
    for dir in bad {
        let error = Root::offline(&dir).unwrap_err();
        assert_eq!(error.kind(), crate::Kind::Refused, "{}", dir.display());
    }
    assert!(!Root::offline(&image.path()).unwrap().is_live());
}

#[test]
fn names_are_bytes() {
    let image = Image::new();
    let odd = path("/home/\u{17e}ofie-日本").join(b"a b\xff\n").unwrap();
    let host = image.path().join(odd.relative());
    fs::create_dir_all(host.parent().unwrap()).unwrap();
    fs::write(&host, "x").unwrap();
    for root in image.roots() {
        assert_eq!(root.read(&odd, 9).unwrap().unwrap().as_slice(), b"x");
        let names = root.read_dir(&odd.parent().unwrap()).unwrap();
        assert_eq!(names, [Entry { name: b"a b\xff\n".to_vec(), kind: FileKind::Regular }]);
        assert_eq!(root.canonical(&odd).unwrap(), Some(odd.clone()));
        assert_eq!(root.target(&odd, Links::OwnerMatched).unwrap().unwrap().path(), &odd);
    }
}

#[test]
fn odd_files_are_not_opened() {
    let image = Image::new();
    let fifo = image.path().join("fifo");
    mknodat(CWD, &fifo, FileType::Fifo, Mode::from(0o600), 0).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(image.path().join("socket")).unwrap();
    image.file("dir/file", "x");
    image.link("to-fifo", "fifo");
    for root in image.roots() {
        for odd in ["/fifo", "/socket", "/dir", "/to-fifo", "/"] {
            assert_eq!(read(&root, odd), Err(crate::Kind::Failed), "{odd}");
        }
        assert_eq!(root.stat(&path("/to-fifo")).unwrap().unwrap().kind, FileKind::Fifo);
        assert_eq!(root.lstat(&path("/to-fifo")).unwrap().unwrap().kind, FileKind::Symlink);
        assert_eq!(root.read_link(&path("/to-fifo")).unwrap(), Some(b"fifo".to_vec()));
        assert_eq!(root.read_link(&path("/fifo")).unwrap(), None);
        assert_eq!(root.read_link(&path("/missing")).unwrap(), None);
        assert!(root.read_dir(&path("/fifo")).unwrap().is_empty());
        assert!(root.read_dir(&path("/missing")).unwrap().is_empty());
        let names: Vec<_> = root.read_dir(&path("/")).unwrap();
        assert_eq!(names.len(), 5);
        assert!(names.is_sorted());
    }
}

#[test]
fn reading_has_a_limit() {
    let image = Image::new();
    image.file("ten", "0123456789");
    image.file("empty", "");
    image.file("large", &"x".repeat(300_000));
    for root in image.roots() {
        assert_eq!(root.read(&path("/ten"), 10).unwrap().unwrap().len(), 10);
        assert!(root.read(&path("/ten"), 9).is_err());
        assert!(root.read(&path("/empty"), 0).unwrap().unwrap().is_empty());
        assert_eq!(root.read(&path("/large"), 1 << 20).unwrap().unwrap().len(), 300_000);
    }
    // procfs tells no length.
    let live = Root::live().unwrap();
    assert!(!live.read(&path("/proc/self/mounts"), 1 << 20).unwrap().unwrap().is_empty());
    assert!(live.read(&path("/proc/self/mounts"), 3).is_err());
}

#[test]
fn a_target_is_the_entry_or_what_it_leads_to() {
    let image = Image::new();
    image.file("etc/ssh/keys/bob", "key");
    image.link("home/bob/keys", "/etc/ssh/keys/bob");
    image.link("home/bob/dangling", "/etc/none");
    for root in image.roots() {
        let link = root.target(&path("/home/bob/keys"), Links::InRoot).unwrap().unwrap();
        assert_eq!(link.meta().unwrap().unwrap().kind, FileKind::Symlink);
        let real = root.target_followed(&path("/home/bob/keys"), Links::InRoot).unwrap().unwrap();
        assert_eq!(real.path(), &path("/etc/ssh/keys/bob"));
        let ino = fs::metadata(image.path().join("etc/ssh/keys/bob")).unwrap().ino();
        assert_eq!(real.meta().unwrap().unwrap().ino, ino);
        let new = root.target_followed(&path("/home/bob/dangling"), Links::InRoot).unwrap();
        assert_eq!(new.as_ref().map(Target::path), Some(&path("/etc/none")));
        assert_eq!(new.unwrap().meta().unwrap(), None);
        assert!(root.target(&path("/no/such"), Links::InRoot).unwrap().is_none());
        assert!(root.target(&path("/home/bob/keys/x"), Links::InRoot).unwrap().is_none());
        for root_itself in ["/", "/..", "/etc/.."] {
            let error = root.target(&path(root_itself), Links::InRoot).unwrap_err();
            assert_eq!(error.kind(), crate::Kind::Refused);
        }
        let up = root.target(&path("/etc/ssh/keys/.."), Links::InRoot).unwrap().unwrap();
        assert_eq!(up.path(), &path("/etc/ssh"));
    }
}
