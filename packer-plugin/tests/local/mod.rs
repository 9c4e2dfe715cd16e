//! A guest that is this machine: commands run by /bin/sh here, files are copied.
//!
//! What only a real guest has (a root shell behind sudo, another architecture) comes from programs
//! that stand first in its PATH. A session can be cut as a broken SSH connection cuts it: the shell
//! dies, what has a session of its own lives on.

use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use packer_plugin_disinherit::config::{Input, Settings};
use packer_plugin_disinherit::plugin::{
    CancelToken, ExitStatus, FileInfo, GuestError, Sink, Waited,
};
use packer_plugin_disinherit::provision::machine::{Job, Launch, Machine};
use packer_plugin_disinherit::provision::{Programs, run};
use packer_plugin_disinherit::wire::msgpack::Value;
use serde_json::json;
use tempfile::TempDir;

/// Text in the output of a command at which its session is cut.
pub const CUT: &str = "cut the session here";

/// The guest program of the tests; MODE says what it does.
const GUEST: &str = r#"#!/bin/sh
printf '%s\n' "$@" >"$STAGE/args"
cat >"$STAGE/stdin"
for file in /proc/[0-9]*/cmdline; do tr '\0' ' ' <"$file"; echo; done >"$STAGE/processes" 2>/dev/null
while [ $# -gt 0 ]; do if [ "$1" = --cleanup ]; then dir=$2; fi; shift; done
cat "$dir/options.yaml" >"$STAGE/options"
report() { echo "{\"disinherit\":{\"report\":{\"summary\":{\"planned\":2,\"done\":2,\"failed\":0,\"findings\":$1,\"failing\":$1,\"bytes_erased\":9},\"findings\":[$2],\"residual\":[]}}}"; }
end() { echo "{\"disinherit\":{\"end\":{\"exit\":$1$2}}}"; }
finding='{"severity":"high","path":"/etc/leak","what":"private key","rule":"key-x"}'
echo '{"disinherit":{"progress":{"step":"apply","done":1,"total":2,"text":"lock ann"}}}'
case $MODE in
  clean) echo 'an ordinary line'; report 0; rm -rf "$dir"; end 0 ;;
  findings) report 1 "$finding"; end 1; exit 1 ;;
  silent) report 0; exit 0 ;;
  failed) echo 'disk is on fire' >&2; end 3; exit 3 ;;
  refused) end 4 ',"error":"refused to scrub /: three reasons"'; exit 4 ;;
  policy) end 2 ',"error":"cannot read the policy policy-0.yaml: unknown key"'; exit 2 ;;
  leak) echo "password is $SECRET"; echo "$SECRET" >&2; report 0; rm -rf "$dir"; end 0 ;;
  long | cut)
    echo $$ >"$STAGE/pid"
    sleep 1000 &
    echo $! >"$STAGE/child"
    echo started
    if [ "$MODE" = cut ]; then echo 'cut the session here'; fi
    wait ;;
esac
"#;

/// Everything that a test needs, in a folder that goes with it.
pub struct Lab {
    pub dir: TempDir,
    pub machine: Arc<Local>,
    options: Vec<(&'static str, Value)>,
    pub data: serde_json::Value,
}

impl Lab {
    pub fn new(mode: &str) -> Self {
        Self::within(&std::env::temp_dir(), mode)
    }

    pub fn within(parent: &Path, mode: &str) -> Self {
        let dir = TempDir::new_in(parent).unwrap();
        for name in ["bin", "home", "remote", "local"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        let machine = Arc::new(Local::new(dir.path(), mode));
        let lab = Self { dir, machine, options: Vec::new(), data: json!({"ConnType": "ssh"}) };
        lab.tool("id", "#!/bin/sh\necho ${FAKE_UID:-0}\n");
        let guest = lab.program("guest", GUEST);
        lab.option("guest_binary", guest.to_str().unwrap().into())
            .option("remote_folder", lab_path(&dir_of(&guest), "../remote").into())
            .option("firstboot", false.into())
    }

    #[must_use]
    pub fn option(mut self, name: &'static str, value: Value) -> Self {
        self.options.retain(|(known, _)| *known != name);
        self.options.push((name, value));
        self
    }

    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.options.retain(|(known, _)| *known != name);
        self
    }

    /// A program that counts before the system's own in the guest.
    pub fn tool(&self, name: &str, text: &str) {
        write_program(&self.path("bin").join(name), text);
    }

    /// A program on "Packer's machine".
    pub fn program(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path("local").join(name);
        write_program(&path, text);
        path
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    pub fn settings(&self) -> Settings {
        let mut pairs: Vec<(Value, Value)> =
            self.options.iter().map(|(name, value)| ((*name).into(), value.clone())).collect();
        pairs.push(("packer_build_name".into(), "it's".into()));
        pairs.push(("packer_builder_type".into(), "null".into()));
        let input = Input::from_configs(&[Value::Map(pairs)]).unwrap();
        Settings::resolve(&input, Some(&self.data)).unwrap()
    }

    pub fn run(&self) -> Result<(), String> {
        self.run_until(CancelToken::new())
    }

    pub fn run_until(&self, cancel: CancelToken) -> Result<(), String> {
        self.run_with(&Programs::of_this_process().unwrap(), cancel)
    }

    pub fn run_with(&self, programs: &Programs, cancel: CancelToken) -> Result<(), String> {
        let machine = Arc::clone(&self.machine);
        run(&self.settings(), programs, &self.data, machine, cancel)
    }

    /// A guest whose PATH holds the tools of the test and nothing else.
    pub fn only_own_tools(self) -> Self {
        self.machine.set("PATH", self.path("bin").to_str().unwrap().to_owned());
        self
    }

    /// A guest that knows a secret, as SECRET.
    pub fn secret(self, secret: &str) -> Self {
        self.machine.set("SECRET", secret.to_owned());
        self
    }

    /// What lies in the guest's folder for uploads.
    pub fn left_behind(&self) -> Vec<PathBuf> {
        fs::read_dir(self.path("remote")).unwrap().map(|entry| entry.unwrap().path()).collect()
    }

    /// The process whose id the guest program wrote down.
    pub fn process(&self, name: &str) -> i32 {
        self.text(name).trim().parse().unwrap()
    }
}

fn dir_of(path: &Path) -> PathBuf {
    path.parent().unwrap().to_owned()
}

fn lab_path(dir: &Path, name: &str) -> String {
    dir.join(name).canonicalize().unwrap().to_str().unwrap().to_owned()
}

fn write_program(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Whether a process is there and no zombie.
pub fn alive(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap().trim_start().starts_with('Z'))
}

/// Waits for something that another process does, at most 20 s.
pub fn eventually(what: &str, mut happened: impl FnMut() -> bool) {
    let start = Instant::now();
    while !happened() {
        assert!(start.elapsed() < Duration::from_secs(20), "did not happen: {what}");
        thread::yield_now();
    }
}

/// This machine as a guest.
pub struct Local {
    env: Mutex<Vec<(&'static str, String)>>,
    mute: Mutex<bool>,
    /// Commands as they were given.
    pub commands: Mutex<Vec<String>>,
    /// Lines as Packer shows them.
    pub shown: Mutex<String>,
    /// Refuse the upload of the file with this name.
    pub refuse: Mutex<Option<&'static str>>,
    /// How many commands cannot be started yet.
    pub unreachable: Mutex<u32>,
}

impl Local {
    fn new(stage: &Path, mode: &str) -> Self {
        let path = std::env::var("PATH").unwrap_or_else(|_| "/usr/sbin:/usr/bin:/sbin:/bin".into());
        let stage = stage.to_str().unwrap();
        let env = vec![
            ("PATH", format!("{stage}/bin:{path}")),
            ("HOME", format!("{stage}/home")),
            ("STAGE", stage.to_owned()),
            ("MODE", mode.to_owned()),
        ];
        Self {
            env: Mutex::new(env),
            mute: Mutex::default(),
            commands: Mutex::default(),
            shown: Mutex::default(),
            refuse: Mutex::default(),
            unreachable: Mutex::default(),
        }
    }

    pub fn set(&self, name: &'static str, value: String) {
        self.env.lock().unwrap().retain(|(known, _)| *known != name);
        self.env.lock().unwrap().push((name, value));
    }

    /// From now on commands run nothing and succeed, as with `communicator = "none"`.
    pub fn mute(&self) {
        *self.mute.lock().unwrap() = true;
    }

    pub fn shown(&self) -> String {
        self.shown.lock().unwrap().clone()
    }

    pub fn commands(&self) -> String {
        self.commands.lock().unwrap().join("\n")
    }
}

impl Machine for Local {
    fn say(&self, text: &str) {
        writeln!(self.shown.lock().unwrap(), "{text}").unwrap();
    }

    fn error(&self, text: &str) {
        writeln!(self.shown.lock().unwrap(), "error: {text}").unwrap();
    }

    fn machine(&self, category: &str, arguments: &[&str]) {
        writeln!(self.shown.lock().unwrap(), "{category},{}", arguments.join(",")).unwrap();
    }

    fn start(&self, launch: Launch) -> Result<Box<dyn Job>, GuestError> {
        self.commands.lock().unwrap().push(launch.command.clone());
        let mut unreachable = self.unreachable.lock().unwrap();
        if *unreachable > 0 {
            *unreachable -= 1;
            let text = "dial tcp: connection refused".to_owned();
            return Err(GuestError::Refused { what: "start a command".into(), text });
        }
        drop(unreachable);
        let mut child = Command::new("/bin/sh")
            .args(["-c", if *self.mute.lock().unwrap() { ":" } else { &launch.command }])
            .envs(self.env.lock().unwrap().iter().map(|(name, value)| (name, value)))
            .stdin(if launch.stdin.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        if let Some(bytes) = launch.stdin {
            let mut stdin = child.stdin.take().unwrap();
            thread::spawn(move || stdin.write_all(&bytes));
        }
        let end: Arc<(Mutex<Option<ExitStatus>>, Condvar)> = Arc::default();
        let shared = Arc::clone(&end);
        thread::spawn(move || {
            let status = supervise(child, launch.stdout, launch.stderr);
            *shared.0.lock().unwrap() = Some(status);
            shared.1.notify_all();
        });
        Ok(Box::new(LocalJob { end }))
    }

    fn upload(
        &self,
        path: &str,
        source: &mut dyn Read,
        info: &FileInfo,
        _: &CancelToken,
    ) -> Result<(), GuestError> {
        let what = format!("upload {path}");
        if *self.refuse.lock().unwrap() == Some(info.name.as_str()) {
            return Err(GuestError::Refused { what, text: "scp: permission denied".into() });
        }
        let mut copy = || -> io::Result<()> {
            let mut options = OpenOptions::new();
            let mut file =
                options.write(true).create(true).truncate(true).mode(0o644).open(path)?;
            assert_eq!(io::copy(source, &mut file)?, info.size);
            Ok(())
        };
        copy().map_err(|error| GuestError::Refused { what, text: error.to_string() })
    }
}

/// Hands the output over and waits; cuts the session when the output asks for it.
fn supervise(mut child: Child, mut stdout: Sink, mut stderr: Sink) -> ExitStatus {
    let mut err = child.stderr.take().unwrap();
    let errors = thread::spawn(move || drain(&mut err, &mut stderr, |_| false));
    let mut out = child.stdout.take().unwrap();
    let cut = drain(&mut out, &mut stdout, |text| text.contains(CUT));
    if cut {
        let group = format!("-{}", child.id());
        Command::new("kill").args(["-KILL", "--", &group]).status().unwrap();
        child.wait().unwrap();
        return ExitStatus::DISCONNECTED;
    }
    drop(stdout);
    errors.join().unwrap();
    let status = child.wait().unwrap();
    let signal = || 128 + i64::from(status.signal().unwrap());
    ExitStatus(status.code().map_or_else(signal, i64::from))
}

fn drain(stream: &mut dyn Read, sink: &mut Sink, enough: impl Fn(&str) -> bool) -> bool {
    let mut all = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer).unwrap();
        if count == 0 {
            return false;
        }
        sink(&buffer[..count]);
        all.extend_from_slice(&buffer[..count]);
        if enough(&String::from_utf8_lossy(&all)) {
            return true;
        }
    }
}

struct LocalJob {
    end: Arc<(Mutex<Option<ExitStatus>>, Condvar)>,
}

impl Job for LocalJob {
    fn wait(&self, cancel: &CancelToken, limit: Option<Duration>) -> Waited {
        let shared = Arc::clone(&self.end);
        let _subscription = cancel.on_cancel(move || {
            drop(shared.0.lock().unwrap());
            shared.1.notify_all();
        });
        let deadline = Instant::now() + limit.unwrap_or(Duration::from_secs(3600));
        let mut end = self.end.0.lock().unwrap();
        loop {
            if let Some(status) = *end {
                return Waited::Exited(status);
            }
            if cancel.is_cancelled() {
                return Waited::Cancelled;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Waited::TimedOut;
            }
            end = self.end.1.wait_timeout(end, left).unwrap().0;
        }
    }

    fn abandon(self: Box<Self>) {}
}
