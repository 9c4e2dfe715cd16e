//! A guest full of deleted secrets, scrubbed online through Packer and cut off at once: a foreign
//! search of its captured disks finds what the report announced, and nothing else.

use std::collections::BTreeMap;
use std::io::{Write as _, sink, stdout};
use std::path::{Path, PathBuf};
use std::process::Command;

use disinherit_tests::base::{Base, Sudo, repository};
use disinherit_tests::command::run;
use disinherit_tests::packer::{Build, Built, Shutdown};
use disinherit_tests::qemu::{Disk, accelerator};
use disinherit_tests::values::{HELD, Values};
use disinherit_tests::{Context, Result, dist, expect, failed, promise};
use serde_json::Value;

/// The last line of the planting script.
const PLANTED: &str = "planted and synced";
/// What the disk of the guest holds, in bytes.
const DISK: u64 = 2 << 30;

/// Packer cuts the power at once: what the scrub did must have reached the disk.
pub(crate) fn builds_clean() -> Result {
    let case = Case::prepare("")?;
    let built = case.build()?;
    promise::nothing_planted_on_the_disk(&case.base, &built)?;
    let report = read_report(&built)?;

    let root = case.left(&built.image())?;
    let esp = case.left(&case.esp)?;
    let bytes = built.grown()?;
    let count = case.values.count();
    writeln!(stdout(), "{count} values; left on / {root:?}, on the ESP {esp:?}; grown {bytes}")?;
    announced(&report, root, &[(HELD, "deleted files in use")])?;
    announced(&report, esp, &[])?;
    expect(bytes < DISK / 100, || format!("the image grew by {bytes} bytes"))?;
    treated(&report)
}

/// A service writes its secret again and again, after the erase too: the search finds it, and the
/// build fails.
pub(crate) fn a_survivor_fails() -> Result {
    let case = Case::prepare(WRITER)?;
    let error = match case.build() {
        Ok(built) => return Err(failed(format!("the build ended well:\n{}", built.said))),
        Err(error) => error.to_string(),
    };
    expect(error.contains(PLANTED), || error.clone())?;
    expect(error.contains("still readable"), || error)
}

/// Remembers what a history holds and goes on after that was removed.
const WRITER: &str = r#"  provisioner "shell" {
    inline = [
      "sudo systemd-run --quiet --unit=writer sh -c 'mkdir -p /srv/w; cp /root/.bash_history /run/w; while sleep 0.3; do n=$((n+1)); cat /run/w >/srv/w/$n; sync -f /srv; rm /srv/w/$n; done'",
    ]
  }
"#;

/// A build with values of its own and an ESP.
struct Case {
    base: Base,
    values: Values,
    esp: PathBuf,
    more: &'static str,
    folder: tempfile::TempDir,
}

impl Case {
    fn prepare(more: &'static str) -> Result<Self> {
        let base = Base::build("bookworm", Sudo::NoPassword)?;
        let folder =
            tempfile::Builder::new().prefix("dirty-").tempdir_in(repository().join("build"))?;
        let (raw, esp) = (folder.path().join("esp.raw"), folder.path().join("esp.qcow2"));
        std::fs::File::create(&raw)?.set_len(64 << 20)?;
        run(Command::new("mkfs.vfat").args(["-n", "EFI"]).arg(&raw))?;
        run(Command::new("qemu-img").args(["convert", "-O", "qcow2"]).args([&raw, &esp]))?;
        let values = Values::random();
        values.write(&folder.path().join("values"))?;
        Ok(Self { base, values, esp, more, folder })
    }

    fn build(&self) -> Result<Built> {
        let script = repository().join("tests/plant-in-guest.sh");
        let work = format!(
            r#"provisioner "file" {{
    sources     = ["{}", "{}"]
    destination = "/tmp/"
  }}

  provisioner "shell" {{
    inline = ["sudo sh /tmp/plant-in-guest.sh /tmp/values"]
  }}

{}"#,
            script.display(),
            self.folder.path().join("values").display(),
            self.more
        );
        let plugin = dist::plugin()?;
        let accelerator = accelerator(&Disk::over(&self.base.image())?)?;
        let build = Build {
            shutdown: Shutdown::None,
            work,
            disks: vec![self.esp.clone()],
            mark: Some(PLANTED),
            ..Build::example(&self.base, &plugin, accelerator)
        };
        build.run(sink())
    }

    fn left(&self, image: &Path) -> Result<BTreeMap<&'static str, usize>> {
        let folder = tempfile::tempdir_in(self.folder.path())?;
        self.values.left(&promise::raw_copy(image, folder.path())?)
    }
}

/// Each class that is left stands beside words of the report that announce it.
fn announced(
    report: &Value,
    mut left: BTreeMap<&'static str, usize>,
    known: &[(&str, &str)],
) -> Result {
    let text = format!("{:#}\n{:#}", report["residual"], report["findings"]);
    let said = |class| known.iter().any(|(name, words)| *name == class && text.contains(words));
    left.retain(|class, _| !said(*class));
    expect(left.is_empty(), || format!("left and not announced: {left:?}; {text}"))
}

/// Both file systems were treated, the swap area too, and all of it was searched.
fn treated(report: &Value) -> Result {
    let list = |name: &str| report[name].as_array().cloned().unwrap_or_default();
    let kinds: Vec<String> =
        list("erased").iter().filter_map(|fs| fs["fstype"].as_str()).map(str::to_owned).collect();
    expect(kinds.contains(&"ext4".into()) && kinds.contains(&"vfat".into()), || {
        format!("treated were {kinds:?}")
    })?;
    let devices =
        report.pointer("/proof/devices").and_then(Value::as_array).cloned().unwrap_or_default();
    let whole = devices.iter().all(|device| device["searched"] == device["size"]);
    expect(devices.len() >= 2 && whole, || format!("searched: {devices:?}"))?;
    let swaps = list("swaps");
    let used = swaps.iter().any(|swap| swap["path"] == "/swapfile" && swap["was_active"] == true);
    expect(used, || format!("swap areas: {swaps:?}"))
}

fn read_report(built: &Built) -> Result<Value> {
    let text = std::fs::read(built.report()).context(|| "the report on the host".to_owned())?;
    Ok(serde_json::from_slice(&text)?)
}
