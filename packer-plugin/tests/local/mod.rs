//! A guest that is this machine, and the folder in which all of a test happens.
//!
//! What only a real guest has (a root shell behind sudo, another architecture) comes from programs
//! that stand first in its PATH.

mod machine;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use packer_plugin_disinherit::config::{Input, Settings};
use packer_plugin_disinherit::plugin::CancelToken;
use packer_plugin_disinherit::provision::{Programs, run};
use packer_plugin_disinherit::wire::msgpack::Value;
use serde_json::json;
use tempfile::TempDir;

use machine::Local;

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
