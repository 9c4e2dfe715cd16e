//! Trials with the client half of packer-plugin-sdk 0.6.10 (`tests/packer-peer`).

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use libtest_mimic::Trial;
use packer_plugin_disinherit::plugin::DEFAULT_COMPONENT;
use serde_json::{Value, json};

use crate::tools::{install_as, missing, needing};

static PEER: LazyLock<PathBuf> = LazyLock::new(|| {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/packer-peer");
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("packer-peer");
    let built = Command::new("go").args(["build", "-o"]).arg(&program).current_dir(source).status();
    assert!(built.unwrap().success(), "go build of tests/packer-peer failed");
    program
});

pub(crate) fn trials() -> Vec<Trial> {
    let trial = |name: &str, body: fn()| needing(missing(&["go"]), name, body);
    vec![
        trial("peer::schema_in_both_encodings", schema_in_both_encodings),
        trial("peer::prepare_error_is_passed_on", prepare_error_is_passed_on),
        trial("peer::output_commands_and_files", output_commands_and_files),
        trial("peer::refusals_end_in_errors", refusals_end_in_errors),
        trial("peer::cancel_stops_the_command", cancel_stops_the_command),
        trial("peer::cancel_ends_an_upload", cancel_ends_an_upload),
        trial("peer::each_run_has_a_fresh_token", each_run_has_a_fresh_token),
        trial("peer::a_panic_is_an_answer", a_panic_is_an_answer),
        trial("peer::packer_leaves_in_a_run", packer_leaves_in_a_run),
        trial("peer::signals_are_left_to_packer", signals_are_left_to_packer),
        trial("peer::started_by_a_person", started_by_a_person),
        trial("peer::handshake_of_three_fields", handshake_of_three_fields),
    ]
}

fn job(steps: &[&str]) -> Value {
    let plugin = std::env::current_exe().unwrap();
    json!({
        "plugin": [plugin, "start", "provisioner", DEFAULT_COMPONENT],
        "configs": [
            {"packer_build_name": "n", "packer_builder_type": "null"},
            {"$cty": {"value": {"steps": steps}, "type": "dynamic"}},
            null,
        ],
        "data": {"User": "builder", "Port": 22022, "Password": "s3cret"},
        "runs": 1,
    })
}

fn run(job: &Value) -> Value {
    let mut child =
        Command::new(&*PEER).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(job.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    let stderr = result["stderr"].to_string();
    assert!(!stderr.contains("panic:"), "{stderr}");
    assert!(!stderr.contains("s3cret"), "{stderr}");
    result
}

/// Runs the job and checks the frame of every good run.
fn run_well(job: &Value) -> Value {
    let result = run(job);
    assert_eq!(result["fault"], Value::Null, "{result:#}");
    assert_eq!(result["exit_code"], 0, "{result:#}");
    assert_eq!(result["socket_left"], false, "{result:#}");
    result
}

fn said(result: &Value) -> Vec<String> {
    let lines = result["output"].as_array().unwrap().iter();
    lines
        .map(|l| format!("{} {}", l["kind"].as_str().unwrap(), l["text"].as_str().unwrap()))
        .collect()
}

fn schema_in_both_encodings() {
    for protobuf in [false, true] {
        let mut job = job(&[]);
        job["protobuf"] = protobuf.into();
        job["runs"] = 0.into();
        let result = run_well(&job);
        let expected = json!([
            {"name": "flag", "type": "cty.Bool", "required": false},
            {"name": "number", "type": "cty.Number", "required": false},
            {"name": "rows", "type": "cty.List(cty.Map(cty.String))", "required": false},
            {"name": "steps", "type": "cty.List(cty.String)", "required": true},
            {"name": "table", "type": "cty.Map(cty.String)", "required": false},
            {"name": "text", "type": "cty.String", "required": false},
        ]);
        assert_eq!(result["spec"], expected, "protobuf: {protobuf}");
        assert!(result["handshake"].as_str().unwrap().starts_with("5|0|unix|/"));
    }
}

fn prepare_error_is_passed_on() {
    let result = run_well(&job(&["bad"]));
    assert_eq!(result["prepare_error"], "2 error(s) occurred:\n\n* first\n* second");
}

fn output_commands_and_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let content: Vec<u8> = (0..9_000_000_u32).flat_map(u32::to_le_bytes).take(9_000_000).collect();
    std::fs::write(path("a"), &content).unwrap();
    let steps = [
        "say héllo ✓".to_owned(),
        "machine cat one two,three".to_owned(),
        "run echo out; echo err >&2; exit 3".to_owned(),
        "feed wc -c".to_owned(),
        "feed true".to_owned(),
        "run head -c 9000000 /dev/zero | tr '\\0' 'y'; echo; echo end".to_owned(),
        format!("upload {} {}", path("a"), path("b")),
        format!("download {} {}", path("b"), path("c")),
    ];
    let mut job = job(&steps.iter().map(String::as_str).collect::<Vec<_>>());
    for protobuf in [false, true] {
        job["protobuf"] = protobuf.into();
        let result = run_well(&job);
        assert_eq!(result["provision_errors"], json!([null]), "{result:#}");
        let said = said(&result);
        assert_eq!(said[..3], ["say user builder", "say héllo ✓", "machine cat"]);
        assert_eq!(result["output"][2]["args"], json!(["one", "two,three"]));
        for line in
            ["say out out", "error err err", "say status 3", "say out 1048576", "say out end"]
        {
            assert!(said.iter().any(|l| l == line), "{line}");
        }
        let y: usize = said.iter().map(|l| l.bytes().filter(|b| *b == b'y').count()).sum();
        assert!(y >= 9_000_000, "{y}");
        assert_eq!(said.last().unwrap(), "say status 0");
        assert!(std::fs::read(path("c")).unwrap() == content, "the copy differs");
        let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(path("b")).unwrap());
        assert_eq!(mode & 0o777, 0o750);
        std::fs::remove_file(path("b")).unwrap();
    }
}

fn refusals_end_in_errors() {
    let folder = tempfile::tempdir().unwrap();
    let big = folder.path().join("big");
    std::fs::write(&big, vec![1; 3_000_000]).unwrap();
    let big = big.display();
    let mut job = job(&[
        "try run echo never",
        &format!("try upload {big} /refused/x"),
        &format!("try upload {big} /half/x"),
        "try download /refused/y /dev/null",
        "try download /no/such/file /dev/null",
        &format!("try upload {big} /no/such/folder/x"),
        "say still here",
    ]);
    job["refuse"] = json!({
        "start": "never", "upload": "/refused", "upload_half": "/half", "download": "/refused",
    });
    let result = run_well(&job);
    assert_eq!(result["provision_errors"], json!([null]), "{result:#}");
    assert_eq!(
        said(&result)[1..],
        [
            "error start a command on the guest was refused: start refused",
            "error upload /refused/x was refused: upload refused",
            "error upload /half/x was refused: no space left on device",
            "error download /refused/y was refused: download refused",
            "error download /no/such/file was refused: open /no/such/file: no such file or directory",
            "error upload /no/such/folder/x was refused: \
             open /no/such/folder/x: no such file or directory",
            "say still here",
        ]
    );
    assert!(result["seconds"].as_f64().unwrap() < 10.0, "{}", result["seconds"]);
}

fn cancel_stops_the_command() {
    let folder = tempfile::tempdir().unwrap();
    let pid = folder.path().join("pid");
    let mut job = job(&[&format!("killable {} sleep 300", pid.display())]);
    job["cancel_on_say"] = "out started".into();
    let result = run_well(&job);
    assert_eq!(result["provision_errors"], json!(["context canceled"]), "{result:#}");
    assert_eq!(said(&result).last().unwrap(), "say killed, status 137");
    assert!(!pid.exists());
}

fn cancel_ends_an_upload() {
    let mut job = job(&["endless /dev/null"]);
    job["cancel_on_say"] = "endless upload".into();
    let result = run_well(&job);
    assert_eq!(result["provision_errors"], json!(["context canceled"]), "{result:#}");
}

fn each_run_has_a_fresh_token() {
    let folder = tempfile::tempdir().unwrap();
    let pid = folder.path().join("pid");
    let mut job = job(&["try killable PID sleep 2", "say after"]);
    job["configs"][1]["$cty"]["value"]["steps"][0] =
        format!("try killable {} sleep 2", pid.display()).into();
    job["cancel_on_say"] = "out started".into();
    job["runs"] = 2.into();
    let result = run_well(&job);
    assert_eq!(result["provision_errors"], json!([null, null]), "{result:#}");
    let said = said(&result);
    assert!(said.contains(&"error context canceled".to_owned()), "{said:?}");
    assert!(said.contains(&"error not cancelled: Exited(ExitStatus(0))".to_owned()), "{said:?}");
}

fn a_panic_is_an_answer() {
    let mut job = job(&["panic"]);
    job["runs"] = 2.into();
    let result = run_well(&job);
    for error in result["provision_errors"].as_array().unwrap() {
        assert!(error.as_str().unwrap().starts_with("internal error"), "{error}");
    }
    assert!(result["stderr"].to_string().contains("probe.rs"), "{result:#}");
}

fn packer_leaves_in_a_run() {
    let mut job = job(&["say leave now", "run sleep 1", "say nobody hears this"]);
    job["leave_on_say"] = "leave now".into();
    let result = run(&job);
    assert_eq!(result["exit_code"], 0, "{result:#}");
    assert!(result["seconds"].as_f64().unwrap() < 15.0, "{}", result["seconds"]);
}

fn signals_are_left_to_packer() {
    let mut job = job(&["say interrupt", "run true", "say still here"]);
    job["interrupt_on_say"] = "interrupt".into();
    let result = run_well(&job);
    assert_eq!(said(&result).last().unwrap(), "say still here");
}

fn started_by_a_person() {
    let mut job = job(&[]);
    job["no_cookie"] = true.into();
    let result = run(&job);
    assert_eq!(result["exit_code"], 1);
    assert!(result["stderr"].to_string().contains("Packer starts it"), "{result:#}");
    let mut other = self::job(&[]);
    other["plugin"][3] = "nosuch".into();
    let result = run(&other);
    assert_eq!(result["exit_code"], 1);
    assert!(result["stderr"].to_string().contains("nosuch"), "{result:#}");
}

fn handshake_of_three_fields() {
    let mut by_variable = job(&["say hi"]);
    by_variable["env"] = json!({"DISINHERIT_HANDSHAKE_FIELDS": "3"});
    let folder = tempfile::tempdir().unwrap();
    let mut by_name = job(&["say hi"]);
    by_name["plugin"] = json!([install_as(folder.path(), "packer-provisioner-disinherit")]);
    // sun_path has room for 107 bytes; a longer TMPDIR must not matter.
    let deep = folder.path().join("d".repeat(100));
    std::fs::create_dir(&deep).unwrap();
    by_name["env"] = json!({"TMPDIR": deep});
    for job in [by_variable, by_name] {
        let result = run_well(&job);
        assert!(result["handshake"].as_str().unwrap().starts_with("5|unix|/"), "{result:#}");
        assert_eq!(said(&result), ["say user builder", "say hi"]);
    }
}
