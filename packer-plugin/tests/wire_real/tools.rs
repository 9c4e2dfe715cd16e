//! What a test needs from the machine.

use std::path::{Path, PathBuf};

use libtest_mimic::{Failed, Trial};

pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    folders.push("/usr/sbin".into());
    folders.into_iter().map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// Which of the programs are not installed.
pub(crate) fn missing(programs: &[&str]) -> Vec<String> {
    programs.iter().filter(|name| find(name).is_none()).map(|name| (*name).to_owned()).collect()
}

/// A trial that is ignored where something is missing, or fails there when all is required.
pub(crate) fn needing(
    missing: Vec<String>,
    name: &str,
    body: impl FnOnce() + Send + 'static,
) -> Trial {
    let required = std::env::var_os("DISINHERIT_REQUIRE").is_some_and(|value| value == "1");
    let ignored = !missing.is_empty() && !required;
    Trial::test(name, move || {
        if !missing.is_empty() {
            return Err(Failed::from(format!("missing: {}", missing.join(", "))));
        }
        body();
        Ok(())
    })
    .with_ignored_flag(ignored)
}

/// This test program under another name, as a plugin's file is installed.
pub(crate) fn install_as(folder: &Path, name: &str) -> PathBuf {
    let file = folder.join(name);
    std::fs::copy(std::env::current_exe().unwrap(), &file).unwrap();
    file
}
