//! Runs of the provisioner on this machine, with a guest program that stands in for the scrub.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub,
    reason = "a test fails by a panic, and rustc takes each file here for a crate of its own"
)]

mod local;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::thread;

use local::{Lab, alive, eventually};
use packer_plugin_disinherit::plugin::CancelToken;
use packer_plugin_disinherit::wire::msgpack::Value;

#[test]
fn a_clean_guest_passes_and_leaves_a_private_report() {
    let lab = Lab::new("clean");
    let report = lab.path("report.json");
    let policy = lab.program("mine.yaml", "strict: true\n");
    let lab = lab
        .option("report_path", report.to_str().unwrap().into())
        .option("policy_files", policy.to_str().unwrap().into())
        .option("keep_users", "ann".into())
        .option("rules", Value::map([("his-shell", "report".into())]))
        .option("erase", "files".into())
        .option("power_off", true.into());
    assert_eq!(lab.run(), Ok(()));

    let shown = lab.machine.shown();
    assert!(shown.contains("apply 1/2: lock ann"), "{shown}");
    assert!(shown.contains("an ordinary line"), "{shown}");
    assert!(shown.contains("disinherit: clean"), "{shown}");
    assert!(!shown.contains("{\"disinherit\""), "{shown}");
    assert_eq!(fs::metadata(&report).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(fs::read_to_string(&report).unwrap().contains("\"bytes_erased\": 9"));

    let args = lab.text("args");
    for words in ["--live\n--yes\n--packer", "--erase\nfiles", "--firstboot\nnone"] {
        assert!(args.contains(words), "{args}");
    }
    assert!(
        args.contains("/policy-0.yaml\n") && args.contains("--power-off-after\n20\n"),
        "{args}"
    );
    // The policy files decide over what the block leaves open.
    assert!(!args.contains("--fail-on") && !args.contains("--proof"), "{args}");
    let options = r#"{"keep_users":["ann"],"rules":{"his-shell":"report"}}"#;
    assert_eq!(lab.text("options"), options);
    assert!(lab.left_behind().is_empty());
    // The last command is the scrub itself: afterwards sshd may let nobody in.
    let commands = lab.machine.commands();
    assert!(commands.lines().last().unwrap().contains("/run"), "{commands}");
    assert!(commands.contains(r#"PACKER_BUILD_NAME='it'"'"'s'"#), "{commands}");
}

#[test]
fn findings_fail_the_build_and_are_named() {
    let lab = Lab::new("findings");
    let error = lab.run().unwrap_err();
    assert!(error.contains("1 finding; the worst is /etc/leak (private key)"), "{error}");
    assert!(error.contains("report_path"), "{error}");
    assert!(lab.machine.shown().contains("high       /etc/leak"), "{}", lab.machine.shown());
    assert!(lab.left_behind().is_empty());
}

#[test]
fn keep_going_is_for_findings_only() {
    let lab = Lab::new("findings").option("keep_going", true.into());
    assert_eq!(lab.run(), Ok(()));
    assert!(lab.machine.shown().contains("error: Warning: keep_going"), "{}", lab.machine.shown());

    for (mode, cause) in [
        ("policy", "cannot read the policy"),
        ("failed", "disk is on fire"),
        ("refused", "three reasons"),
    ] {
        let lab = Lab::new(mode).option("keep_going", true.into());
        let error = lab.run().unwrap_err();
        assert!(error.contains(cause), "{error}");
        assert!(lab.left_behind().is_empty(), "{mode}");
    }
}

#[test]
fn a_status_of_zero_without_an_end_is_no_success() {
    let lab = Lab::new("silent").option("keep_going", true.into());
    let error = lab.run().unwrap_err();
    assert!(error.contains("ended without a result (exit status 0)"), "{error}");
    assert!(lab.left_behind().is_empty());
}

#[test]
fn a_cut_session_fails_and_what_runs_on_is_stopped() {
    let lab = Lab::new("cut");
    let error = lab.run().unwrap_err();
    assert!(error.contains("2300218"), "{error}");
    for name in ["pid", "child"] {
        let pid = lab.process(name);
        eventually("the scrub ends", || !alive(pid));
    }
    assert!(lab.left_behind().is_empty());
}

#[test]
fn cancel_stops_the_scrub_with_its_children_and_cleans_up() {
    let lab = Lab::new("long");
    let cancel = CancelToken::new();
    thread::scope(|scope| {
        let run = scope.spawn(|| lab.run_until(cancel.clone()));
        eventually("the scrub starts", || lab.machine.shown().contains("started"));
        let (pid, child) = (lab.process("pid"), lab.process("child"));
        assert!(alive(pid) && alive(child));
        cancel.cancel();
        assert_eq!(run.join().unwrap(), Err("context canceled".into()));
        assert!(!alive(pid) && !alive(child));
    });
    assert!(lab.left_behind().is_empty());
    assert!(!lab.machine.shown().contains("may still run"), "{}", lab.machine.shown());
}

#[test]
fn cancel_before_the_start_runs_nothing() {
    let lab = Lab::new("clean");
    let cancel = CancelToken::new();
    cancel.cancel();
    assert_eq!(lab.run_until(cancel), Err("context canceled".into()));
    assert!(lab.text("args").is_empty() && lab.left_behind().is_empty());
}

#[test]
fn a_guest_that_comes_up_late_is_waited_for() {
    let lab = Lab::new("clean");
    *lab.machine.unreachable.lock().unwrap() = 1;
    assert_eq!(lab.run(), Ok(()));
    assert!(lab.machine.shown().contains("cannot be reached yet"), "{}", lab.machine.shown());

    let lab = Lab::new("clean").option("start_retry_timeout", "0".into());
    *lab.machine.unreachable.lock().unwrap() = 1;
    assert!(lab.run().unwrap_err().contains("connection refused"));
}

#[test]
fn without_sudo_the_remedy_is_told_before_anything_is_uploaded() {
    let lab = Lab::new("clean");
    lab.tool("id", "#!/bin/sh\necho 1000\n");
    // Nothing but the tools of the test: a PATH without sudo.
    for tool in ["uname", "mktemp", "rm", "sha256sum", "chmod", "df"] {
        let real = format!("#!/bin/sh\nPATH=/usr/bin:/bin exec {tool} \"$@\"\n");
        lab.tool(tool, &real);
    }
    let lab = lab.only_own_tools();
    let error = lab.run().unwrap_err();
    assert!(error.contains("the guest has no sudo") && error.contains("doas"), "{error}");
    assert!(lab.left_behind().is_empty());
}

#[test]
fn sudo_that_wants_a_password_gets_it_on_standard_input_only() {
    let secret = "correct horse battery staple";
    let lab = Lab::new("leak").secret(secret);
    lab.tool("id", "#!/bin/sh\necho ${FAKE_UID:-1000}\n");
    lab.tool(
        "sudo",
        "#!/bin/sh\nif [ \"$1\" = -n ]; then exit 1; fi\nread -r line\n\
         if [ \"$line\" != \"$SECRET\" ]; then echo 'sudo: wrong password' >&2; exit 1; fi\n\
         shift 3\nFAKE_UID=0 exec \"$@\"\n",
    );
    let error = lab.run().unwrap_err();
    assert!(
        error.contains("sudo asks for a password") && error.contains("sudo_password"),
        "{error}"
    );

    let lab = lab.option("sudo_password", secret.into());
    assert_eq!(lab.run(), Ok(()));
    assert!(lab.text("processes").contains("--packer"));
    for (place, text) in [
        ("command lines", lab.machine.commands()),
        ("Packer's output", lab.machine.shown()),
        ("process list", lab.text("processes")),
        ("arguments", lab.text("args")),
        ("the scrub's input", lab.text("stdin")),
        ("debug output", format!("{:?}", lab.settings())),
    ] {
        assert!(!text.contains(secret), "{place} shows the password:\n{text}");
    }
    assert!(lab.machine.shown().contains("password is <sensitive>"));

    let lab = lab.option("sudo_password", "hunter2".into());
    let error = lab.run().unwrap_err();
    assert!(error.contains("sudo: wrong password"), "{error}");
    assert!(!lab.machine.shown().contains("may still run"), "{}", lab.machine.shown());
    assert!(lab.left_behind().is_empty());
}

#[test]
fn an_execute_command_that_does_not_lead_to_root_is_refused() {
    let lab = Lab::new("clean").option("execute_command", "env {{.Vars}} {{ .Path }}".into());
    lab.tool("id", "#!/bin/sh\necho 1000\n");
    let error = lab.run().unwrap_err();
    assert!(
        error.contains("did not lead to root") && error.contains("nothing was written"),
        "{error}"
    );
    assert!(lab.text("args").is_empty() && lab.left_behind().is_empty());
}

#[test]
fn programs_for_another_architecture_do_not_travel() {
    let mut elf = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0".to_vec();
    elf.extend([243, 0]);
    let lab = Lab::new("clean");
    let foreign = lab.path("foreign");
    fs::write(&foreign, elf).unwrap();
    let lab = lab.option("guest_binary", foreign.to_str().unwrap().into());
    let error = lab.run().unwrap_err();
    assert!(error.contains("it is for riscv64") && error.contains("guest_binary"), "{error}");

    // Never this machine's own: the plugin would really scrub it.
    let other = if std::env::consts::ARCH == "s390x" { "riscv64" } else { "s390x" };
    let lab = Lab::new("clean").without("guest_binary");
    let uname = format!("#!/bin/sh\nif [ \"$1\" = -m ]; then echo {other}; else echo Linux; fi\n");
    lab.tool("uname", &uname);
    let error = lab.run().unwrap_err();
    assert!(
        error.contains(&format!("architecture {other}")) && error.contains("guest_binary"),
        "{error}"
    );
    assert!(lab.left_behind().is_empty());

    lab.tool("uname", "#!/bin/sh\necho FreeBSD\n");
    assert!(lab.run().unwrap_err().contains("FreeBSD"));
}

#[test]
fn a_refused_upload_is_told_and_cleaned_up() {
    let lab = Lab::new("clean");
    *lab.machine.refuse.lock().unwrap() = Some("run");
    let error = lab.run().unwrap_err();
    assert!(error.contains("permission denied"), "{error}");
    assert!(lab.text("args").is_empty() && lab.left_behind().is_empty());
}

#[test]
fn what_did_not_arrive_as_it_was_sent_is_not_run() {
    let lab = Lab::new("clean");
    lab.tool("sha256sum", "#!/bin/sh\nfor file; do echo \"00  $file\"; done\n");
    let error = lab.run().unwrap_err();
    assert!(error.contains("SHA-256"), "{error}");
    assert!(lab.text("args").is_empty() && lab.left_behind().is_empty());
}

#[test]
fn communicators_that_run_nothing_are_refused() {
    for kind in ["winrm", "none"] {
        let mut lab = Lab::new("clean");
        lab.data = serde_json::json!({"ConnType": kind});
        let error = lab.run().unwrap_err();
        assert!(error.contains(kind) && error.contains("communicator = \"ssh\""), "{error}");
        assert!(lab.machine.commands().is_empty());
    }
    // One that does not say what it is, and answers every command with success and no output.
    let mut lab = Lab::new("clean");
    lab.data = serde_json::json!({});
    lab.machine.mute();
    let error = lab.run().unwrap_err();
    assert!(error.contains("ran nothing"), "{error}");
}
