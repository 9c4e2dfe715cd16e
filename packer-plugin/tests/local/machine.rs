//! This machine as a guest: commands run by /bin/sh here, files are copied.
//!
//! A session can be cut as a broken SSH connection cuts it: the shell dies, what has a session of its
//! own lives on.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use packer_plugin_disinherit::plugin::{
    CancelToken, ExitStatus, FileInfo, GuestError, Sink, Waited,
};
use packer_plugin_disinherit::provision::machine::{Job, Launch, Machine};

/// Text in the output of a command at which its session is cut.
pub const CUT: &str = "cut the session here";

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
    pub fn new(stage: &Path, mode: &str) -> Self {
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
