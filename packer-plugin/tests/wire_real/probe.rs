//! A provisioner that does what its `steps` say, to see each part of the wire at work.

use std::fs::File;
use std::io::Cursor;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use packer_plugin_disinherit::plugin::{
    CancelToken, Command, FileInfo, Guest, Provisioner, Waited, lines,
};
use packer_plugin_disinherit::wire::msgpack::Value;
use packer_plugin_disinherit::wire::spec::{Attr, AttrType};

#[derive(Default)]
pub(crate) struct Probe {
    steps: Mutex<Vec<String>>,
}

static ATTRIBUTES: std::sync::LazyLock<Vec<Attr>> = std::sync::LazyLock::new(|| {
    let attr = |name, kind, required| Attr { name, kind, required, help: "" };
    let list = |kind| AttrType::List(Box::new(kind));
    let map = |kind| AttrType::Map(Box::new(kind));
    vec![
        attr("steps", list(AttrType::String), true),
        attr("text", AttrType::String, false),
        attr("number", AttrType::Number, false),
        attr("flag", AttrType::Bool, false),
        attr("table", map(AttrType::String), false),
        attr("rows", list(map(AttrType::String)), false),
    ]
});

impl Provisioner for Probe {
    fn attributes(&self) -> &[Attr] {
        &ATTRIBUTES
    }

    fn prepare(&self, configs: Vec<Value>) -> Result<(), String> {
        let mut steps = Vec::new();
        for config in &configs {
            if let Value::Bin(cty) = config {
                let cty: serde_json::Value = serde_json::from_slice(cty).unwrap();
                let listed = cty["value"]["steps"].as_array().unwrap().iter();
                steps = listed.map(|step| step.as_str().unwrap().to_owned()).collect();
            } else if let Some(listed) = config.get("steps").and_then(Value::as_array) {
                steps = listed.iter().filter_map(|s| s.as_str().map(str::to_owned)).collect();
            }
        }
        if steps.iter().any(|step| step == "bad") {
            return Err("2 error(s) occurred:\n\n* first\n* second".to_owned());
        }
        *self.steps.lock().unwrap() = steps;
        Ok(())
    }

    fn provision(&self, data: Value, guest: Guest, cancel: CancelToken) -> Result<(), String> {
        if let Some(user) = data.get("User").and_then(Value::as_str) {
            guest.ui().say(&format!("user {user}"));
        }
        let steps = self.steps.lock().unwrap().clone();
        for step in steps {
            match step.strip_prefix("try ") {
                Some(step) => {
                    if let Err(error) = perform(step, &guest, &cancel) {
                        guest.ui().error(&error);
                    }
                }
                None => perform(&step, &guest, &cancel)?,
            }
        }
        Ok(())
    }
}

fn perform(step: &str, guest: &Guest, cancel: &CancelToken) -> Result<(), String> {
    let (word, rest) = step.split_once(' ').unwrap_or((step, ""));
    let (first, second) = rest.split_once(' ').unwrap_or((rest, ""));
    let ui = guest.ui();
    let text = |error: &dyn std::fmt::Display| error.to_string();
    match word {
        "say" => ui.say(rest),
        "error" => ui.error(rest),
        "machine" => ui.machine(first, &second.split(' ').collect::<Vec<_>>()),
        "run" => {
            let status = guest.run(shown(guest, rest)).map_err(|e| text(&e))?;
            ui.say(&format!("status {}", status.0));
        }
        // A megabyte of input, of which the command reads what it wants.
        "feed" => {
            let command = shown(guest, rest).stdin(Cursor::new(vec![b'x'; 1 << 20]));
            let status = guest.run(command).map_err(|e| text(&e))?;
            ui.say(&format!("status {}", status.0));
        }
        "upload" => {
            let mut file = File::open(first).map_err(|e| text(&e))?;
            let size = file.metadata().map_err(|e| text(&e))?.len();
            let info = FileInfo { name: "f".to_owned(), size, mode: 0o750 };
            guest.upload(second, &mut file, &info, cancel).map_err(|e| text(&e))?;
        }
        "download" => {
            let mut file = File::create(second).map_err(|e| text(&e))?;
            guest.download(first, &mut file, 1 << 30, cancel).map_err(|e| text(&e))?;
        }
        // Runs `second`; stopped by `kill -9` of the process id in the file `first` on cancel.
        "killable" => return killable(first, second, guest, cancel),
        // An upload that has no end of its own.
        "endless" => {
            let info = FileInfo { name: "f".to_owned(), size: u64::MAX >> 1, mode: 0o600 };
            ui.say("endless upload");
            return guest
                .upload(rest, &mut std::io::repeat(7), &info, cancel)
                .map_err(|e| text(&e));
        }
        "panic" => panic!("on purpose"),
        other => return Err(format!("no such step: {other}")),
    }
    Ok(())
}

fn killable(pid_file: &str, text: &str, guest: &Guest, cancel: &CancelToken) -> Result<(), String> {
    let command = format!("echo $$ >{pid_file}; echo started; exec {text}");
    let running = guest.start(shown(guest, &command)).map_err(|e| e.to_string())?;
    match running.wait(cancel, Some(Duration::from_secs(60))) {
        Waited::Cancelled => {}
        other => return Err(format!("not cancelled: {other:?}")),
    }
    let kill = Command::new(format!("kill -9 $(cat {pid_file}); rm {pid_file}"));
    guest.run(kill).map_err(|e| e.to_string())?;
    match running.wait(&CancelToken::new(), Some(Duration::from_secs(20))) {
        Waited::Exited(status) => guest.ui().say(&format!("killed, status {}", status.0)),
        other => return Err(format!("not killed: {other:?}")),
    }
    Err("context canceled".to_owned())
}

/// A command whose output goes to Packer's output, each line with its stream's name.
fn shown(guest: &Guest, text: &str) -> Command {
    let (out, err) = (Arc::new(guest.ui().clone()), guest.ui().clone());
    Command::new(text)
        .stdout(lines(move |line| out.say(&format!("out {line}"))))
        .stderr(lines(move |line| err.error(&format!("err {line}"))))
}
