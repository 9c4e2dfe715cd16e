//! The content scan through the whole of a scrub: what goes, what stays and is said, what policy and
//! packages keep. Every value is made up in each run.

#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use disinherit_core::catalogue::Severity;
use disinherit_core::pipeline::{self, Job};
use disinherit_core::policy::{Fragment, Settings};
use disinherit_core::report::{Mode, Report};
use disinherit_core::root::Root;

/// Random letters and digits, the first four of all kinds.
fn word(len: usize) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789";
    let mut bytes = vec![0; len];
    fs::File::open("/dev/urandom").unwrap().read_exact(&mut bytes).unwrap();
    let letter = |b: &u8| char::from(*LETTERS.get(usize::from(*b) % LETTERS.len()).unwrap());
    let random: String = bytes.iter().map(letter).collect();
    format!("K7mq{}", random.get(4..).unwrap_or_default())
}

fn token() -> String {
    format!("glpat-{}", word(20))
}

fn key() -> String {
    let mut body = vec![0x30, 0x82, 0x04, 0xa2];
    body.extend_from_slice(word(200).as_bytes());
    let kind = "PRIVATE KEY";
    format!("-----BEGIN {kind}-----\n{}\n-----END {kind}-----\n", STANDARD.encode(body))
}

/// An image with root, the user ann, and a service with a home of its own.
struct Image {
    folder: tempfile::TempDir,
}

impl Image {
    fn new() -> Self {
        let image = Self { folder: tempfile::tempdir().unwrap() };
        image.put(
            "etc/passwd",
            "root:x:0:0::/root:/bin/sh\nann:x:1000:1000::/srv/Ann Lee:/bin/sh\n\
             pg:x:105:105::/var/lib/pg:/bin/sh\n",
        );
        for home in ["root", "srv/Ann Lee", "var/lib/pg"] {
            fs::create_dir_all(image.at(home)).unwrap();
        }
        image
    }

    fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn put(&self, path: &str, text: &str) {
        let path = self.at(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn text(&self, path: &str) -> Option<String> {
        fs::read(self.at(path)).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    fn run(&self, mode: Mode, policy: &str) -> Report {
        let policy = format!("firstboot: false\n{policy}");
        let settings = Settings::new(Fragment::parse("policy.yaml", &policy).unwrap()).unwrap();
        let job = Job { settings: &settings, firstboot: None, mode };
        let root = Root::offline(self.folder.path()).unwrap();
        let report = pipeline::run(&root, &job, &mut ()).unwrap().1;
        let failed: Vec<_> = report.actions.iter().filter(|a| a.error.is_some()).collect();
        assert!(failed.is_empty(), "{failed:?}");
        report
    }

    fn scrub(&self, policy: &str) -> Report {
        self.run(Mode::Scrub, policy)
    }
}

/// Paths with their severities of what the content scan says in `report`.
fn said(report: &Report) -> BTreeSet<(String, Severity)> {
    let content = report.findings.iter().filter(|f| f.rule.starts_with("con-"));
    content.map(|f| (f.path.to_string(), f.severity)).collect()
}

fn none(report: &Report) {
    assert_eq!(said(report), BTreeSet::new());
}

#[test]
fn what_is_sure_goes_from_homes_and_leftovers_and_is_said_elsewhere() {
    let image = Image::new();
    let (kept, note) = (key(), token());
    image.put("srv/Ann Lee/My Documents/old key.txt", &format!("# mine\n{}", key()));
    image.put(
        "srv/Ann Lee/notes.md",
        &format!("# Notes\nthe token is {note}, do not lose it\nend\n"),
    );
    image.put("var/lib/pg/.netrc-old", &format!("{}\n", token()));
    image.put("var/lib/pg/15/server.key", &kept);
    image.put("etc/nginx/site.key", &kept);
    image.put("etc/app/conf.yml.bak", &format!("listen: 80\napi_token: {}\n", word(24)));
    image.put("usr/local/var/log/app.log", &format!("start\nauth {}\n", token()));
    image.put("opt/app/words.conf", "listen = 80\npassword = sonnenblume\n");
    let inode = fs::metadata(image.at("usr/local/var/log/app.log")).unwrap().ino();

    let report = image.scrub("");
    assert_eq!(report.exit_code, 1);
    let high = |path: &str| (path.to_owned(), Severity::Critical);
    let likely = ("/opt/app/words.conf".to_owned(), Severity::Medium);
    let expected = [high("/etc/nginx/site.key"), likely, high("/var/lib/pg/15/server.key")];
    assert_eq!(said(&report), expected.into());
    for gone in
        ["srv/Ann Lee/My Documents/old key.txt", "var/lib/pg/.netrc-old", "etc/app/conf.yml.bak"]
    {
        assert_eq!(image.text(gone), None, "{gone}");
    }
    let notes = image.text("srv/Ann Lee/notes.md").unwrap();
    assert_eq!(notes, "# Notes\nthe token is , do not lose it\nend\n");
    assert_eq!(image.text("usr/local/var/log/app.log").unwrap_or_default(), "");
    assert!(fs::metadata(image.at("usr/local/var/log/app.log")).is_ok_and(|m| m.ino() == inode));
    assert_eq!(image.text("etc/nginx/site.key").unwrap(), kept);
    assert!(!report.json().contains(&note), "a secret stands in the report");
}

#[test]
fn with_remove_nothing_stays_and_a_second_run_changes_nothing() {
    let image = Image::new();
    let hash = format!("$6${}${}", word(16), word(86));
    image.put(
        "etc/nginx/site.pem",
        &format!("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n{}", key()),
    );
    image.put("etc/app/users", &format!("web:{hash}:x\n"));
    image.put(
        "opt/app/app.env",
        &format!("MODE=prod\nDB_PASSWORD={}\nexport PAGER=less\n", word(16)),
    );
    image.put("opt/app/words.conf", "listen = 80\npassword = sonnenblume\n");
    image.put("opt/app/remote", &format!("url = https://ci:{}@git.test/x\n", word(20)));
    let report = image.scrub("content: remove");
    none(&report);
    let certificate = image.text("etc/nginx/site.pem").unwrap();
    assert!(certificate.contains("CERTIFICATE") && !certificate.contains("PRIVATE"));
    assert_eq!(image.text("etc/app/users").unwrap(), "web:*:x\n");
    assert_eq!(
        image.text("opt/app/app.env").unwrap(),
        "MODE=prod\nDB_PASSWORD=\nexport PAGER=less\n"
    );
    assert_eq!(image.text("opt/app/words.conf").unwrap(), "listen = 80\npassword = \n");
    assert_eq!(image.text("opt/app/remote").unwrap(), "url = https://ci@git.test/x\n");
    let again = image.scrub("content: remove");
    let done = again.actions.iter().filter(|a| a.rules.iter().any(|r| r.starts_with("con-")));
    assert_eq!(done.count(), 0);
}

fn gzip(text: &str) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(text.as_bytes()).unwrap();
    packed.finish().unwrap()
}

/// An image without its initial RAM disk or a driver does not boot, whatever stands in them.
#[test]
fn what_boots_the_image_stays_whatever_policy_says() {
    let image = Image::new();
    let files = [
        "boot/initrd.img-6.1.0-9-amd64",
        "boot/initramfs-6.6.1.img",
        "boot/efi/0123456789abcdef/6.6.1/initrd",
        "boot/vmlinuz-6.6.1",
        "usr/lib/modules/6.6.1/initrd",
        "usr/lib/modules/6.6.1/updates/dkms/v4l2loopback.ko.xz",
        "usr/lib/modules/6.6.1/updates/dkms/zfs.ko",
    ];
    let packed = gzip(&format!("x\n{}password = sonnenblume\n{}\n", key(), token()));
    for path in files {
        image.put(path, "");
        fs::write(image.at(path), &packed).unwrap();
    }
    // With a database of packages, what none of them owns is somebody's.
    image.put("var/lib/dpkg/info/demo.list", "/usr/lib/demo/other.py\n");
    none(&image.scrub("content: remove\nrules: {con-gitlab-token: on}"));
    for path in files {
        assert_eq!(fs::read(image.at(path)).unwrap(), packed, "{path}");
    }
}

#[test]
fn a_packed_or_large_file_that_somebody_needs_is_said_and_stays() {
    let image = Image::new();
    let packed = gzip(&format!("x\n{}\n", token()));
    for path in ["opt/app/site.tar.gz", "var/lib/pg/base.gz", "var/log/app.log.2.gz", "root/a.gz"] {
        image.put(path, "");
        fs::write(image.at(path), &packed).unwrap();
    }
    for path in ["srv/dump.sql", "srv/Ann Lee/disk.raw", "var/tmp/dump.sql"] {
        image.put(path, &format!("-- dump\n{}\n", token()));
        fs::File::options().write(true).open(image.at(path)).unwrap().set_len(65 << 20).unwrap();
    }
    let report = image.scrub("content: remove");
    let stays =
        ["/opt/app/site.tar.gz", "/srv/Ann Lee/disk.raw", "/srv/dump.sql", "/var/lib/pg/base.gz"];
    let paths: BTreeSet<String> = said(&report).into_iter().map(|(path, _)| path).collect();
    assert_eq!(paths, stays.map(String::from).into());
    assert_eq!(report.exit_code, 1);
    let why = |path: &str| {
        let finding = report.findings.iter().find(|f| f.path.to_string() == path).unwrap();
        finding.subject.clone().unwrap()
    };
    assert!(why(stays[0]).ends_with("only the whole file could go, as it is packed"));
    assert!(why(stays[2]).ends_with("as it is larger than 64 MiB"));
    assert_eq!(fs::read(image.at("opt/app/site.tar.gz")).unwrap(), packed);
    assert_eq!(fs::metadata(image.at("srv/dump.sql")).unwrap().len(), 65 << 20);
    for gone in ["var/log/app.log.2.gz", "root/a.gz", "var/tmp/dump.sql"] {
        assert!(!image.at(gone).exists(), "{gone}");
    }
}

#[test]
fn policy_keeps_by_path_by_rule_and_by_fingerprint() {
    let image = Image::new();
    let text = format!("{}\n", token());
    image.put("root/note", &text);
    let stays = |policy: &str| {
        let report = image.scrub(policy);
        assert_eq!(image.text("root/note"), Some(text.clone()), "{policy}");
        report
    };
    none(&stays("allow: {paths: [/root/note]}"));
    none(&stays("rules: {con-gitlab-token: off}"));
    assert_eq!(said(&stays("rules: {con-gitlab-token: report}")).len(), 1);
    let fixed = format!("fingerprint_key: {}\n", word(20));
    let report = image.run(Mode::Audit, &fixed);
    let finding = report.findings.iter().find(|f| f.rule == "con-gitlab-token").unwrap();
    let mark = finding.subject.as_deref().unwrap().split(' ').find(|w| w.starts_with("HMAC:"));
    none(&stays(&format!("{fixed}allow: {{keys: ['{}']}}", mark.unwrap())));
    image.scrub(&fixed);
    assert_eq!(image.text("root/note"), None);
}

#[test]
fn a_package_keeps_what_it_brought_until_somebody_changes_it() {
    let image = Image::new();
    let sample = key();
    image.put("etc/demo/snakeoil.key", &sample);
    let sum = std::process::Command::new("md5sum").arg(image.at("etc/demo/snakeoil.key")).output();
    let sum = String::from_utf8(sum.unwrap().stdout).unwrap();
    let sum = sum.split(' ').next().unwrap();
    image.put(
        "var/lib/dpkg/status",
        &format!("Package: demo\nConffiles:\n /etc/demo/snakeoil.key {sum}\nVersion: 1\n"),
    );
    none(&image.scrub("content: remove"));
    assert_eq!(image.text("etc/demo/snakeoil.key").unwrap(), sample);
    image.put("etc/demo/snakeoil.key", &key());
    assert_eq!(said(&image.scrub("")).len(), 1);
}

/// Without a database of packages a library's own sample cannot be told from a secret in it.
#[test]
fn nothing_of_the_system_is_cut_where_no_database_tells_whose_it_is() {
    let image = Image::new();
    let text = format!("SAMPLE = `{}`\n", key());
    image.put("usr/lib/demo/sample.py", &text);
    assert_eq!(said(&image.scrub("content: remove")).len(), 1);
    assert_eq!(image.text("usr/lib/demo/sample.py").unwrap(), text);
    // Where there is one, a file that no package owns is somebody's.
    image.put("var/lib/dpkg/info/demo.list", "/usr/lib/demo/other.py\n");
    none(&image.scrub("content: remove"));
    assert_eq!(image.text("usr/lib/demo/sample.py").unwrap(), "SAMPLE = `\n`\n");
}

#[test]
fn documentation_and_test_vectors_are_not_looked_into() {
    let image = Image::new();
    for path in [
        "usr/share/doc/x/examples/key.pem",
        "usr/lib/python3/dist-packages/x/tests/key.pem",
        "srv/Ann Lee/venv/lib/python3.11/site-packages/x/tests/key.pem",
        "etc/ssl/certs/x.pem",
    ] {
        image.put(path, &key());
    }
    none(&image.scrub("content: remove"));
    image.put("srv/Ann Lee/project/tests/key.pem", &key());
    image.scrub("");
    assert_eq!(image.text("srv/Ann Lee/project/tests/key.pem"), None);
}

/// What a scan meets that is no ordinary file: none of it is opened, followed or waited for.
#[test]
fn odd_inodes_are_left_alone() {
    let image = Image::new();
    let outside = tempfile::tempdir().unwrap();
    let secret = outside.path().join("key");
    fs::write(&secret, key()).unwrap();
    symlink(&secret, image.at("root/link")).unwrap();
    symlink(outside.path(), image.at("root/folder")).unwrap();
    let fifo = image.at("root/fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let sparse = fs::File::create(image.at("opt-image.raw")).unwrap();
    sparse.set_len(1 << 40).unwrap();
    drop(sparse);
    image.put("root/gone", &key());
    none(&image.scrub(""));
    assert!(secret.exists() && fs::symlink_metadata(&fifo).is_ok());
    assert_eq!(image.text("root/gone"), None);
}

#[test]
fn an_audit_of_the_same_tree_names_the_same_and_writes_nothing() {
    let image = Image::new();
    image.put("etc/app/key", &key());
    image.put("root/key", &key());
    let state = |path: &Path| fs::metadata(path).map(|m| (m.ino(), m.mtime(), m.ctime())).unwrap();
    let before = (state(&image.at("etc/app/key")), state(&image.at("root/key")));
    let report = image.run(Mode::Audit, "");
    let paths: BTreeSet<String> = said(&report).into_iter().map(|(path, _)| path).collect();
    assert_eq!(paths, ["/etc/app/key", "/root/key"].map(String::from).into());
    assert_eq!(before, (state(&image.at("etc/app/key")), state(&image.at("root/key"))));
}

/// The policies that the documentation shows are policies.
#[test]
fn the_examples_of_the_documentation_are_valid() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/content.md");
    let text = fs::read_to_string(path).unwrap();
    let examples: Vec<&str> =
        text.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(examples.len(), 2);
    for example in examples {
        Settings::new(Fragment::parse("docs/content.md", example).unwrap()).unwrap();
    }
    // And the rule that is shown finds what it says.
    let image = Image::new();
    let lower = word(30).to_lowercase();
    image.put("root/x", &format!("a shp_x7{lower} b\n"));
    image.scrub(text.split("```yaml\n").nth(2).unwrap().split("```").next().unwrap());
    assert_eq!(image.text("root/x").unwrap(), "a  b\n");
}
