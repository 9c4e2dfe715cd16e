//! Files that a scrub edits, read by the programs that they are for: each of them accepts what is left,
//! and sees all of it but the secret.

mod accounts;
mod copies;
mod planted;
mod programs;

use std::path::Path;
use std::process::{Command, Output};

use disinherit_tests::base::repository;
use disinherit_tests::command::{run, said};
use disinherit_tests::layer::Layer;
use disinherit_tests::needs::{Need, trial};
use disinherit_tests::{Context, Result, dist, expect};
use libtest_mimic::Trial;

const NEEDS: &[Need] = &[Need::Root, Need::Mount, Need::BaseTools, Need::Dist];

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("readers::programs_take_what_was_edited", NEEDS, programs::all),
        trial("readers::user_records_are_what_systemd_reads", NEEDS, accounts::records),
        trial("readers::sudo_shows_what_is_left", NEEDS, accounts::sudo),
        trial("readers::second_copies_fail_a_strict_run", NEEDS, copies::all),
    ]
}

/// A tree with the programs in it.
struct Readers {
    layer: Layer,
}

impl Readers {
    fn new() -> Result<Self> {
        run(&mut Command::new(repository().join("tests/readers-tree.sh")))?;
        let layer = Layer::over(&repository().join("build/debian-readers"))?;
        let readers = Self { layer };
        readers.append(
            "etc/passwd",
            "packer:x:1000:1000::/home/packer:/bin/bash\nann:x:1001:1001::/home/ann:/bin/bash\n",
        )?;
        readers.append("etc/group", "packer:x:1000:\nann:x:1001:\n")?;
        readers.append("etc/shadow", "packer:!:19000::::::\nann:!:19000::::::\n")?;
        // sudo looks its own machine up.
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname")?;
        readers.append("etc/hosts", &format!("127.0.0.1 localhost {host}"))?;
        Ok(readers)
    }

    fn root(&self) -> std::path::PathBuf {
        self.layer.root()
    }

    fn append(&self, path: &str, text: &str) -> Result {
        let path = self.root().join(path);
        let old = std::fs::read_to_string(&path).unwrap_or_default();
        std::fs::write(&path, old + text).context(|| format!("write {}", path.display()))
    }

    fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.root().join(path.trim_start_matches('/'))).unwrap_or_default()
    }

    /// A scrub or an audit with this policy, as JSON.
    fn disinherit(&self, command: &str, policy: &str) -> Result<(i32, serde_json::Value)> {
        let file = tempfile::NamedTempFile::new()?;
        std::fs::write(file.path(), policy)?;
        let output = Command::new(dist::plugin()?)
            .args([command, "--format", "json", "--policy"])
            .arg(file.path())
            .arg("--root")
            .arg(self.root())
            .output()
            .context(|| format!("start {command}"))?;
        let code = output.status.code().unwrap_or(-1);
        expect(code == 0 || code == 1, || said(&output))?;
        Ok((code, serde_json::from_slice(&output.stdout)?))
    }

    /// What a program of the tree says, and whether it was content.
    fn asked(&self, argv: &[&str]) -> Result<Output> {
        self.with_input(argv, Path::new("/dev/null"))
    }

    fn with_input(&self, argv: &[&str], input: &Path) -> Result<Output> {
        Command::new("chroot")
            .arg(self.root())
            .args(["/usr/bin/env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"])
            .args(argv)
            .stdin(std::fs::File::open(input)?)
            .output()
            .context(|| format!("start {argv:?}"))
    }

    /// As [`Self::asked`], for one that must be content.
    fn content(&self, argv: &[&str]) -> Result<String> {
        let output = self.asked(argv)?;
        expect(output.status.success(), || format!("{argv:?}: {}", said(&output)))?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr))
    }
}
