//! Three packages, built by the real rpmbuild and installed by the real rpm into a tree.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

/// Path, number of the algorithm, digest.
pub(crate) type Found = BTreeSet<(String, u32, String)>;

/// What writes the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rpm {
    Sqlite,
    Ndb,
    /// Only reads.
    Berkeley,
}

/// Debian 12 leaves ndb out of its rpm, Debian 13 does not: tests/setup.sh unpacks the latter's.
const RPM_NDB: &str = "rpm-ndb";

impl Rpm {
    fn command(self) -> Command {
        let (program, backend) = match self {
            Self::Sqlite => (PathBuf::from("rpm"), "sqlite"),
            Self::Ndb => (ndb(), "ndb"),
            Self::Berkeley => (PathBuf::from("rpm"), "bdb_ro"),
        };
        let mut command = Command::new(program);
        command.args(["--dbpath", "/var/lib/rpm", "--define", &format!("_db_backend {backend}")]);
        command
    }
}

fn ndb() -> PathBuf {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../build/tools/bin").join(RPM_NDB);
    if beside.exists() { beside } else { RPM_NDB.into() }
}

/// What this machine lacks.
pub(crate) fn missing() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("needs root: rpm changes into the root directory of the tree".to_owned());
    }
    let tried = |name: &Path, option: &str| Command::new(name).arg(option).output().is_ok();
    let programs = [
        (PathBuf::from("rpm"), "--version"),
        (PathBuf::from("rpmbuild"), "--version"),
        (ndb(), "--version"),
        (PathBuf::from("db5.3_load"), "-V"),
        (PathBuf::from("python3"), "--version"),
    ];
    let missing = programs.iter().find(|(name, option)| !tried(name, option))?;
    Some(format!("{} is not installed: tests/setup.sh test", missing.0.display()))
}

fn ran(command: &mut Command) -> String {
    let output: Output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{command:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

/// One package: its digests are of another algorithm than the others'.
fn build(top: &Path, name: &str, version: &str, algorithm: u32, count: usize) {
    let spec = format!(
        "Name: {name}\nVersion: {version}\nRelease: 1\nSummary: x\nLicense: MIT\nBuildArch: noarch\n\
         AutoReqProv: no\n%description\nx\n%install\n\
         mkdir -p %{{buildroot}}/usr/lib/{name}/data %{{buildroot}}/etc %{{buildroot}}/var/lib\n\
         echo 'tool {version}' >%{{buildroot}}/usr/lib/{name}/tool\n\
         echo 'password = as it came' >%{{buildroot}}/etc/{name}.conf\n\
         ln -s tool %{{buildroot}}/usr/lib/{name}/link\n\
         : >%{{buildroot}}/var/lib/{name}.state\n\
         i=0; while [ $i -lt {count} ]; do echo \"$i {version}\" >%{{buildroot}}/usr/lib/{name}/data/file-$i; i=$((i + 1)); done\n\
         %files\n/usr/lib/{name}\n%config(noreplace) /etc/{name}.conf\n%ghost /var/lib/{name}.state\n"
    );
    let path = top.join(format!("{name}-{version}.spec"));
    fs::write(&path, spec).unwrap();
    ran(Command::new("rpmbuild")
        .args(["-bb", "--quiet", "--define"])
        .arg(format!("_topdir {}", top.display()))
        .args(["--define", &format!("_binary_filedigest_algorithm {algorithm}")])
        .args(["--define", "_binary_payload w0.gzdio", "--define", "__os_install_post %{nil}"])
        .arg(path));
}

/// The packages, built once.
static BUILT: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
    let top = tempfile::tempdir().unwrap();
    build(top.path(), "alpha", "1", 8, 20);
    build(top.path(), "alpha", "2", 10, 20);
    build(top.path(), "beta", "1", 8, 1500);
    build(top.path(), "gamma", "1", 1, 600);
    build(top.path(), "delta", "1", 2, 0);
    top
});

/// In memory where that is possible: rpm waits for the disk after each package.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// A tree with a database.
pub(crate) struct Image {
    folder: tempfile::TempDir,
    rpm: Rpm,
}

impl Image {
    /// Installed, one of the packages upgraded and one removed: databases reuse what was free.
    pub(crate) fn installed(rpm: Rpm) -> Self {
        let image = Self { folder: folder(), rpm };
        fs::create_dir_all(image.root().join("etc")).unwrap();
        let package = |name: &str| BUILT.path().join(format!("RPMS/noarch/{name}-1.noarch.rpm"));
        let install = |names: &[&str]| {
            let files = names.iter().map(|name| package(name));
            let command = &mut image.rpm();
            ran(command.args(["-U", "--nodeps", "--nosignature"]).args(files))
        };
        install(&["alpha-1", "gamma-1"]);
        install(&["beta-1", "delta-1"]);
        install(&["alpha-2"]);
        ran(image.rpm().args(["-e", "gamma"]));
        image
    }

    /// The same headers in a hash table of Berkeley DB, as rpm 4.11 to 4.16 kept them.
    pub(crate) fn berkeley(sqlite: &Self, order: u32, page: u32) -> Self {
        let image = Self { folder: folder(), rpm: Rpm::Berkeley };
        fs::create_dir_all(image.root().join("etc")).unwrap();
        fs::create_dir_all(image.database("x").parent().unwrap()).unwrap();
        let dump = image.folder.path().join("dump");
        ran(Command::new("python3")
            .args(["-c", DUMP, &order.to_string(), &page.to_string()])
            .arg(sqlite.database("rpmdb.sqlite"))
            .arg(&dump));
        ran(Command::new("db5.3_load").arg("-f").arg(dump).arg(image.database("Packages")));
        image
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().to_path_buf()
    }

    pub(crate) fn database(&self, name: &str) -> PathBuf {
        self.root().join("var/lib/rpm").join(name)
    }

    fn rpm(&self) -> Command {
        let mut command = self.rpm.command();
        command.arg("--root").arg(self.root());
        command
    }

    /// A change that is only in the log, and half of another one.
    pub(crate) fn leave_log(&self) {
        let database = self.database("rpmdb.sqlite");
        ran(Command::new("python3").args(["-c", LOG]).arg(database));
    }

    /// What rpm itself says: regular files that are no ghosts.
    pub(crate) fn said(&self) -> Found {
        let dumped = ran(self.rpm().args(["-qa", "--dump"]));
        let mut ghosts = BTreeSet::new();
        let mut algorithms = std::collections::BTreeMap::new();
        let format = "[%{FILENAMES}\t%{FILEFLAGS}\t%{=FILEDIGESTALGO}\n]";
        for line in ran(self.rpm().args(["-qa", "--qf", format])).lines() {
            let mut fields = line.split('\t');
            let (path, flags) = (fields.next().unwrap(), fields.next().unwrap());
            let algorithm = fields.next().unwrap().parse().unwrap_or(1);
            algorithms.insert(path.to_owned(), algorithm);
            if flags.parse::<u32>().unwrap() & 64 != 0 {
                ghosts.insert(path.to_owned());
            }
        }
        let mut found = Found::new();
        for line in dumped.lines() {
            let fields: Vec<&str> = line.split(' ').collect();
            // path size mtime digest mode owner group isconfig isdoc rdev symlink
            let [path, _, _, digest, mode, ..] = fields.as_slice() else { continue };
            if mode.starts_with("0100") && !ghosts.contains(*path) {
                found.insert((
                    (*path).to_owned(),
                    *algorithms.get(*path).unwrap(),
                    (*digest).to_owned(),
                ));
            }
        }
        found
    }
}

/// Order of bytes, size of pages, database, dump for db_load(1).
const DUMP: &str = r"
import sqlite3, sys
order, page, database, dump = sys.argv[1:]
name = {'1234': 'little', '4321': 'big'}[order]
rows = sqlite3.connect(database).execute('select hnum, blob from Packages').fetchall()
with open(dump, 'w') as out:
    out.write('VERSION=3\nformat=bytevalue\ntype=hash\ndb_lorder=%s\ndb_pagesize=%s\nHEADER=END\n' % (order, page))
    for number, blob in [(0, (99).to_bytes(4, name))] + rows:
        out.write(' %s\n %s\n' % (number.to_bytes(4, name).hex(), blob.hex()))
    out.write('DATA=END\n')
";

/// What was written last is in the log when a process ends without closing its database.
const LOG: &str = r"
import sqlite3, sys, os
db = sqlite3.connect(sys.argv[1], isolation_level=None)
assert db.execute('pragma journal_mode=wal').fetchone() == ('wal',)
db.execute('pragma wal_autocheckpoint=0')
rows = db.execute('select hnum, blob from Packages order by length(blob)').fetchall()
db.execute('begin'); db.execute('delete from Packages where hnum = ?', rows[0][:1]); db.execute('commit')
db.execute('begin')
db.execute('insert into Packages values (900, ?)', rows[-1][1:])
db.execute('commit')
db.execute('pragma cache_size=1'); db.execute('begin')
db.execute('update Packages set blob = zeroblob(300000)')
os._exit(0)
";
