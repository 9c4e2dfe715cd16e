//! The released program, killed at each call that writes to a real ext4, which is mounted again after
//! that: the next boot finishes, with no inherited login and nothing of an owner lost.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::Command;

use disinherit_tests::command::run;
use disinherit_tests::ssh::KeyPair;
use disinherit_tests::volume::{Format, Volume};
use disinherit_tests::{Context, Result, dist, expect, needs};

use super::disk::{A, B};

/// Calls that change a file system. strace(1) counts each by itself.
const CALLS: [&str; 12] = [
    "write",
    "pwrite64",
    "fsync",
    "ftruncate",
    "mkdirat",
    "symlinkat",
    "unlinkat",
    "renameat",
    "renameat2",
    "fchmod",
    "fchown",
    "fchownat",
];
const SIZE: u64 = 12 << 20;
/// More calls of one kind than a program makes.
const POINTS: usize = 100;
const KEYS: &str = "home/ann/.ssh/authorized_keys";

/// A sealed image that needs no other program to boot: its host key was put in after sealing.
struct Image {
    volume: Volume,
    owner: KeyPair,
}

impl Image {
    fn sealed() -> Result<Self> {
        let volume = Volume::new(Format::Raw, SIZE, &std::env::temp_dir())?;
        run(Command::new("mkfs.ext4").arg("-q").arg(volume.device()))?;
        volume.mount()?;
        let root = volume.point();
        let builder = KeyPair::generate("builder")?;
        put(
            root,
            "etc/passwd",
            0o644,
            "root:x:0:0::/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\n",
        )?;
        put(root, "etc/group", 0o644, "root:x:0:\nann:x:1000:\n")?;
        put(
            root,
            "etc/shadow",
            0o600,
            "root:$6$s$inherited:1::::::\nann:$6$s$inherited:1::::::\n",
        )?;
        put(
            root,
            "etc/ssh/sshd_config",
            0o644,
            "Include /etc/ssh/sshd_config.d/*.conf\nHostKey /etc/ssh/key\n",
        )?;
        put(root, KEYS, 0o600, &(builder.public()? + "\n"))?;
        for path in ["home/ann", "home/ann/.ssh", KEYS] {
            chown(root.join(path), Some(1000), Some(1000))?;
        }
        put(root, "bin/sh", 0o755, "")?;
        put(root, "run/systemd/container", 0o644, "test\n")?;
        run(Command::new(dist::firstboot()?).args(["seal", "--root"]).arg(root))?;
        for (name, file) in
            [("key", builder.private()), ("key.pub", builder.private().with_extension("pub"))]
        {
            // A host key that nobody has sealed; whose it is does not matter.
            fs::copy(file, root.join("etc/ssh").join(name))?;
        }
        volume.unmount()?;
        Ok(Self { volume, owner: KeyPair::generate("owner")? })
    }

    fn copy(&self) -> Result<Disk> {
        let volume = Volume::copy_of(self.volume.image(), Format::Raw, &std::env::temp_dir())?;
        volume.mount()?;
        Ok(Disk(volume))
    }
}

/// A mounted copy.
struct Disk(Volume);

impl Disk {
    /// `/run` as it is after a boot of a machine of that identity.
    fn start(&self, identity: &str) -> Result {
        let run = self.0.point().join("run");
        fs::remove_dir_all(&run)?;
        put(&run, "systemd/container", 0o644, "test\n")?;
        put(&run, "credentials/@system/disinherit.identity", 0o600, identity)
    }

    /// Whether the program succeeds. It is killed at call number `kill` of that kind.
    fn program(&self, word: &str, call: &str, kill: usize) -> Result<bool> {
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={call}")]);
        command.args(["-e", &format!("inject={call}:signal=SIGKILL:when={kill}")]);
        command.arg("chroot").arg(self.0.point());
        command.args(["/usr/lib/disinherit/disinherit-firstboot", word]);
        Ok(command.output().context(|| "start strace".to_owned())?.status.success())
    }

    /// The same, which must succeed.
    fn run(&self, word: &str, what: &str) -> Result {
        let mut command = Command::new("chroot");
        command.arg(self.0.point());
        command.args(["/usr/lib/disinherit/disinherit-firstboot", word]);
        run(&mut command).map(drop).context(|| what.to_owned())
    }

    fn remount(&self) -> Result {
        self.0.unmount()?;
        self.0.mount()
    }

    fn inject(&self, key: &KeyPair) -> Result {
        let mut text = self.read(KEYS)?;
        let line = key.public()? + "\n";
        if !text.contains(&line) {
            text.push_str(&line);
            fs::write(self.0.point().join(KEYS), text)?;
        }
        Ok(())
    }

    fn read(&self, path: &str) -> Result<String> {
        fs::read_to_string(self.0.point().join(path)).context(|| format!("read {path}"))
    }

    /// A whole boot that opens to `key`, and to nothing of the image.
    fn opens(&self, identity: &str, key: &KeyPair, what: &str) -> Result {
        self.start(identity)?;
        self.run("early", what)?;
        self.inject(key)?;
        self.run("gate", what)?;
        let flag = self.0.point().join("run/disinherit/passed").exists();
        let shadow = self.read("etc/shadow")?;
        expect(flag && !shadow.contains("inherited"), || format!("{what}: {shadow}"))?;
        expect(self.read(KEYS)? == key.public()? + "\n", || format!("{what}: keys of the image"))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // A failed test leaves it mounted; the loop device goes with the volume.
        drop(self.0.unmount());
    }
}

/// `before` brings a fresh copy to the program that is killed; `after` is the next boot.
fn at_every_call(
    image: &Image,
    word: &str,
    before: impl Fn(&Disk) -> Result,
    after: impl Fn(&Disk, &str) -> Result,
) -> Result {
    let mut killed = 0;
    for call in CALLS {
        for number in 1..POINTS {
            let disk = image.copy()?;
            before(&disk)?;
            let survived = disk.program(word, call, number)?;
            disk.remount()?;
            after(&disk, &format!("{word} killed at {call} {number}"))?;
            if survived {
                break;
            }
            killed += 1;
        }
    }
    expect(killed > 10, || format!("{word} was killed at {killed} calls only"))
}

pub(crate) fn at_every_write() -> Result {
    let image = Image::sealed()?;
    let owner = &image.owner;
    at_every_call(&image, "early", |disk| disk.start(A), |disk, what| disk.opens(A, owner, what))?;
    let stripped = |disk: &Disk| {
        disk.start(A)?;
        disk.run("early", "early")?;
        disk.inject(owner)
    };
    at_every_call(&image, "gate", stripped, |disk, what| disk.opens(A, owner, what))?;
    if !needs::full() {
        return Ok(());
    }
    // An owner's disk comes up under another identity, and goes back to him.
    let hers = "root:$6$s$hers:1::::::\nann:$6$s$hers:1::::::\n";
    let moved = |disk: &Disk| {
        disk.opens(A, owner, "first boot")?;
        fs::write(disk.0.point().join("etc/shadow"), hers)?;
        disk.start(B)
    };
    at_every_call(&image, "early", moved, |disk, what| {
        disk.opens(A, owner, what)?;
        let shadow = disk.read("etc/shadow")?;
        expect(shadow == hers, || format!("{what}: an owner's passwords are {shadow}"))
    })
}

fn put(root: &Path, path: &str, mode: u32, text: &str) -> Result {
    let path = root.join(path);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(&path, text)?;
    Ok(fs::set_permissions(&path, fs::Permissions::from_mode(mode))?)
}
