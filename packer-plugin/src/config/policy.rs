//! The policy that the options and the policy files make together, checked before a machine is
//! built: what the guest would refuse in the last minute of a build is told by `packer validate`.

use std::fs;

use disinherit_core::policy::{self, Fragment};

use super::{Problems, Settings};

/// The options that are policy; they come after all policy files.
pub(crate) fn options(settings: &Settings) -> Fragment {
    Fragment {
        keep_users: settings.keep_users.clone(),
        remove_users: settings.remove_users.clone(),
        rules: settings.rules.clone(),
        ..Fragment::default()
    }
}

/// Reads the policy files, merges, validates.
pub(super) fn check(settings: &Settings, problems: &mut Problems) {
    let mut merged = Fragment::default();
    let mut complete = !settings.unknown.contains(&"policy_files");
    for path in &settings.policy_files {
        let name = path.display().to_string();
        let read = fs::read_to_string(path).map_err(|error| format!("cannot read {name}: {error}"));
        let parsed = read.and_then(|text| Fragment::parse(&name, &text).map_err(|e| e.report()));
        match parsed {
            Ok(fragment) => merged = merged.merge(fragment),
            Err(what) => {
                problems.add("policy_files", what);
                complete = false;
            }
        }
    }
    // A rule that is switched may be defined in a file that is not known yet.
    if complete && problems.list().is_empty() {
        if let Err(error) = policy::Settings::new(merged.merge(options(settings))) {
            problems.general(error.report());
        }
    }
}
