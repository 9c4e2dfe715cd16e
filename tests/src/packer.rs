//! A real Packer building from the dirty base, its output passed on line by line.

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, symlink};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::base::{Base, Sudo, repository};
use crate::command::{ended_with_us, find};
use crate::{Context, Result, failed};

/// How the build ends the machine after the last provisioner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shutdown {
    /// `echo PASSWORD | sudo -S shutdown -P now`, as most templates have it.
    SudoWithPassword,
    /// None: Packer switches the machine off.
    None,
}

/// One build.
#[derive(Debug)]
pub struct Build<'a> {
    /// Starts from this image and logs in as its builder.
    pub base: &'a Base,
    /// The template; variables as in `examples/debian-qemu/disinherit.pkr.hcl`.
    pub template: PathBuf,
    /// The plugin's program, offered to Packer as `packer-provisioner-disinherit`.
    pub plugin: Option<PathBuf>,
    /// `kvm` or `tcg`; see [`crate::qemu::accelerator`].
    pub accelerator: &'a str,
    /// How it ends.
    pub shutdown: Shutdown,
    /// Further variables.
    pub variables: Vec<(&'a str, Value)>,
    /// Provisioners in front of ours, as they stand in a template.
    pub work: String,
    /// Further disks, qcow2, written by the build; each is `/dev/vdb` and so on.
    pub disks: Vec<PathBuf>,
    /// When Packer says this, the size of the image is noted; see [`Built::grown`].
    pub mark: Option<&'a str>,
}

/// What a build left; removed with the value.
#[derive(Debug)]
pub struct Built {
    folder: tempfile::TempDir,
    /// Everything that Packer said.
    pub said: String,
    at_mark: Option<u64>,
}

impl Built {
    /// Where all of it lies; room for more files that go with it.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The captured image.
    pub fn image(&self) -> PathBuf {
        self.folder.path().join("out/captured.qcow2")
    }

    /// Bytes that the image takes on the host beyond what it took when the mark was said.
    ///
    /// # Errors
    /// When it was not said, or the image cannot be looked at.
    pub fn grown(&self) -> Result<u64> {
        let before = self.at_mark.ok_or_else(|| failed("the mark was not said"))?;
        Ok(taken(&self.image())?.saturating_sub(before))
    }

    /// The report that the provisioner brought back.
    pub fn report(&self) -> PathBuf {
        self.folder.path().join("report.json")
    }

    /// The console of the machine during the build.
    pub fn console(&self) -> String {
        let bytes = fs::read(self.folder.path().join("serial.log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Build<'_> {
    /// The template that readers are shown, with the plugin at `plugin`.
    pub fn example<'a>(base: &'a Base, plugin: &Path, accelerator: &'a str) -> Build<'a> {
        Build {
            base,
            template: repository().join("examples/debian-qemu/disinherit.pkr.hcl"),
            plugin: Some(plugin.to_owned()),
            accelerator,
            shutdown: Shutdown::SudoWithPassword,
            variables: Vec::new(),
            work: String::new(),
            disks: Vec::new(),
            mark: None,
        }
    }

    /// Runs `packer build`; every line goes to `echo` as it comes.
    ///
    /// # Errors
    /// When the build fails; all that Packer said is in the text.
    pub fn run(&self, mut echo: impl Write) -> Result<Built> {
        // Images are large and /tmp is often memory.
        let parent = repository().join("build");
        fs::create_dir_all(&parent)?;
        let folder = tempfile::Builder::new().prefix("packer-").tempdir_in(parent)?;
        self.offer_plugin(folder.path())?;
        let variables = self.write_variables(folder.path())?;
        let template = self.write_template(folder.path())?;

        let mut option = OsString::from("-var-file=");
        option.push(variables);
        let mut packer = ended_with_us(find("packer").unwrap_or_else(|| "packer".into()));
        packer.args(["build", "-color=false"]).arg(option).arg(template);
        packer.current_dir(folder.path()).env("HOME", folder.path()).env("CHECKPOINT_DISABLE", "1");
        let (reader, writer) = UnixStream::pair()?;
        packer.stdout(OwnedFd::from(writer.try_clone()?)).stderr(OwnedFd::from(writer));
        let mut running = packer.spawn().context(|| "start packer".to_owned())?;
        // The command holds the writing end too: only without it the stream ends with Packer.
        drop(packer);
        let mut built = Built { folder, said: String::new(), at_mark: None };
        for line in BufReader::new(reader).lines() {
            let line = line.context(|| "read what packer says".to_owned())?;
            writeln!(echo, "{line}")?;
            if self.mark.is_some_and(|mark| line.contains(mark)) {
                built.at_mark = Some(taken(&built.image())?);
            }
            built.said.push_str(&line);
            built.said.push('\n');
        }
        let status = running.wait()?;
        if status.success() {
            return Ok(built);
        }
        Err(failed(format!(
            "packer build: {status}\n{}\nconsole:\n{}",
            built.said,
            built.console()
        )))
    }

    /// The template with the additions of this build.
    fn write_template(&self, folder: &Path) -> Result<PathBuf> {
        if self.work.is_empty() && self.disks.is_empty() {
            return Ok(self.template.clone());
        }
        let mut text = fs::read_to_string(&self.template)
            .context(|| format!("read {}", self.template.display()))?;
        let mut put_before = |mark: &str, addition: &str| {
            let at = text.find(mark).ok_or_else(|| failed(format!("no {mark} in the template")))?;
            text.insert_str(at, addition);
            Ok::<(), crate::Failure>(())
        };
        put_before("provisioner \"disinherit\"", &format!("{}\n\n  ", self.work))?;
        put_before("[\"-cpu\"", &self.drives())?;
        let path = folder.join("build.pkr.hcl");
        fs::write(&path, text).context(|| format!("write {}", path.display()))?;
        Ok(path)
    }

    /// An option that is given here replaces Packer's own of the same name, its network included.
    fn drives(&self) -> String {
        let mut lines = String::new();
        for (number, disk) in self.disks.iter().enumerate() {
            let file = disk.display();
            // Behind Packer's own disk, which is booted from and is /dev/vda.
            let slot = 0x10 + number;
            lines += &format!(
                r#"["-blockdev", "driver=qcow2,node-name=more{number},discard=unmap,file.driver=file,file.filename={file}"],
    ["-device", "virtio-blk-pci,drive=more{number},addr={slot:#x}"],
    "#
            );
        }
        if !lines.is_empty() {
            lines += "[\"-device\", \"virtio-net,netdev=user.0\"],\n    ";
        }
        lines
    }

    /// Packer 1.6.6 looks into its working directory.
    fn offer_plugin(&self, folder: &Path) -> Result {
        let Some(plugin) = &self.plugin else { return Ok(()) };
        symlink(plugin, folder.join("packer-provisioner-disinherit"))
            .context(|| format!("offer {}", plugin.display()))
    }

    /// The password goes through a file that only we can read, never through an argument.
    fn write_variables(&self, folder: &Path) -> Result<PathBuf> {
        let builder = self.base.builder()?;
        let shutdown = match self.shutdown {
            Shutdown::SudoWithPassword => {
                format!("echo '{}' | sudo -S shutdown -P now", builder.password)
            }
            Shutdown::None => String::new(),
        };
        let mut variables = serde_json::Map::new();
        let mut set = |name: &str, value: Value| variables.insert(name.to_owned(), value);
        set("base_image", self.base.image().to_string_lossy().into());
        set("output_directory", folder.join("out").to_string_lossy().into());
        set("builder", builder.user.into());
        if builder.sudo == Sudo::Password {
            set("sudo_password", builder.password.clone().into());
        }
        set("builder_password", builder.password.into());
        set("accelerator", self.accelerator.into());
        set("shutdown_command", shutdown.into());
        set("report_path", folder.join("report.json").to_string_lossy().into());
        set("serial_log", folder.join("serial.log").to_string_lossy().into());
        for (name, value) in &self.variables {
            set(name, value.clone());
        }
        let path = folder.join("variables.pkrvars.json");
        let mut file = fs::File::options().write(true).create_new(true).mode(0o600).open(&path)?;
        serde_json::to_writer(&mut file, &Value::Object(variables))?;
        Ok(path)
    }
}

fn taken(image: &Path) -> Result<u64> {
    let metadata = fs::metadata(image).context(|| format!("inspect {}", image.display()))?;
    Ok(metadata.blocks() * 512)
}
