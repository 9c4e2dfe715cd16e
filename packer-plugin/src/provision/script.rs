//! The scripts that run in the guest around the scrub.

use disinherit_core::{Error, Result};

use super::folder::Folder;
use super::shell::quote;
use crate::config::{self, Settings, word};

/// The guest program's name in the folder.
pub(super) const PROGRAM: &str = "packer-plugin-disinherit";
/// The first-boot program's name in the folder.
pub(super) const FIRSTBOOT: &str = "disinherit-firstboot";
/// The name of the script that starts the scrub.
pub(super) const RUN: &str = "run";
/// The policy that the options of the template make.
pub(super) const OPTIONS: &str = "options.yaml";
/// How long a scrub has to stop by itself before it is killed, in seconds.
pub(super) const GRACE: u32 = 10;

/// The name of a policy file in the folder.
pub(super) fn policy(number: usize) -> String {
    format!("policy-{number}.yaml")
}

/// The options that are policy, as one more policy file; JSON is YAML.
///
/// # Errors
/// None in practice: every key is text.
pub(super) fn options(settings: &Settings) -> Result<String> {
    serde_json::to_string(&config::policy_options(settings))
        .map_err(|e| Error::failed("write", OPTIONS).because(e))
}

/// The command line of the guest program, word by word.
pub(super) fn arguments(settings: &Settings, folder: &Folder) -> Vec<String> {
    let dir = &folder.path;
    let mut words: Vec<String> =
        ["scrub", "--live", "--yes", "--packer", "--cleanup", dir].map(str::to_owned).to_vec();
    let files = (0..settings.policy_files.len()).map(policy);
    for file in files.chain([OPTIONS.to_owned()]) {
        words.extend(["--policy".to_owned(), format!("{dir}/{file}")]);
    }
    let firstboot = if settings.firstboot { format!("{dir}/{FIRSTBOOT}") } else { "none".into() };
    let pairs = [
        ("--content", settings.content.as_ref().map(word)),
        ("--erase", settings.erase.as_ref().map(word)),
        ("--proof", settings.proof.as_ref().map(word)),
        ("--proof-limit", settings.proof_limit.as_ref().map(word)),
        ("--fail-on", settings.fail_on.as_ref().map(word)),
        ("--firstboot", Some(firstboot)),
    ];
    for (flag, word) in pairs {
        words.extend(word.map(|word| [flag.to_owned(), word]).into_iter().flatten());
    }
    if settings.strict {
        words.push("--strict".into());
    }
    if settings.powers_off() {
        let seconds = settings.power_off_delay.as_secs().max(1);
        words.extend(["--power-off-after".to_owned(), seconds.to_string()]);
    }
    words
}

/// The environment, as `execute_command` gets it in `{{.Vars}}`.
pub(super) fn vars(settings: &Settings) -> String {
    let assign = |name: &str, value: &str| format!("{name}='{}'", value.replace('\'', "'\"'\"'"));
    let name = assign("PACKER_BUILD_NAME", &settings.build_name);
    format!("{name} {}", assign("PACKER_BUILDER_TYPE", &settings.builder_type))
}

/// The script that root runs. (No `--` before a group in kill: dash takes it for a number.)
///
/// The scrub gets a session of its own, so that it can be stopped with all its children, and its
/// process id is written down. A cancellation may come when `sudo` no longer works: the script
/// itself looks each second for the file `cancel`, which the SSH user can make. Its last act is
/// the file `ended`, unless the scrub has already removed the whole folder.
pub(super) fn run(settings: &Settings, folder: &Folder) -> String {
    let dir = &folder.path;
    let words: Vec<String> = arguments(settings, folder).iter().map(|word| quote(word)).collect();
    let command = format!("{dir}/{PROGRAM} {}", words.join(" "));
    format!(
        r#"#!/bin/sh
dir={dir}
if [ "$(id -u)" != 0 ]; then
  echo '{{"disinherit":{{"end":{{"exit":4,"error":"execute_command did not lead to root"}}}}}}'
  exit 4
fi
if [ -e "$dir/cancel" ]; then
  echo 130 >"$dir/ended"
  exit 130
fi
session=
if command -v setsid >/dev/null 2>&1; then session=setsid; fi
$session {command} </dev/null &
pid=$!
echo "$pid" >"$dir/pid"
stop() {{ kill "-$1" "-$pid" 2>/dev/null || kill "-$1" "$pid" 2>/dev/null; }}
(
  while kill -0 "$pid" 2>/dev/null && [ ! -e "$dir/cancel" ]; do sleep 1; done
  [ -e "$dir/cancel" ] || exit 0
  stop TERM
  left={GRACE}
  while [ "$left" -gt 0 ] && kill -0 "$pid" 2>/dev/null; do sleep 1; left=$((left - 1)); done
  stop KILL
) >/dev/null 2>&1 &
watcher=$!
wait "$pid"
status=$?
if [ -e "$dir/cancel" ]; then stop KILL; fi
kill "$watcher" 2>/dev/null
if [ -d "$dir" ]; then echo "$status" >"$dir/ended"; fi
exit "$status"
"#
    )
}

/// The script of the SSH user that stops the scrub and waits for its end.
///
/// A scrub that has not begun finds the file `cancel` and does not begin. A process that cannot be
/// seen has ended, unless processes of others are hidden, the first one among them.
pub(super) fn stop(folder: &Folder) -> String {
    let limit = GRACE + 5;
    format!(
        "d={0}; : >\"$d/cancel\"; n=0; while [ \"$n\" -lt {limit} ]; do \
         p=$(cat \"$d/pid\" 2>/dev/null); \
         if [ \"$n\" -eq 0 ] && [ -n \"$p\" ]; then kill -TERM \"-$p\" 2>/dev/null; fi; \
         if [ ! -d \"$d\" ] || [ -e \"$d/ended\" ]; then echo stopped=yes; exit 0; fi; \
         if [ -z \"$p\" ] && [ \"$n\" -ge 2 ]; then echo stopped=yes; exit 0; fi; \
         if [ -n \"$p\" ] && [ -d /proc/1 ] && [ ! -d \"/proc/$p\" ]; then echo stopped=yes; exit 0; fi; \
         sleep 1; n=$((n + 1)); done; echo stopped=no",
        folder.path
    )
}
