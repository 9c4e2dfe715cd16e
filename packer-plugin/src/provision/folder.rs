//! The folder for the upload: mode 0700, a fresh name, programs in it can be run.

use std::time::Duration;

use disinherit_core::Error;

use super::session::{Answer, LIMIT, Session, Stop};
use super::shell::quote;
use crate::config::Settings;
use crate::plugin::CancelToken;

/// Where to try when the user has not said, in this order.
const CANDIDATES: &str = "/tmp \"$HOME\" /var/tmp /run /dev/shm";
/// How long the removal may take on a connection that may be dead.
const REMOVAL: Duration = Duration::from_secs(20);

/// A folder in the guest that is ours.
#[derive(Debug)]
pub(super) struct Folder {
    /// Its path, of characters that need no quotes.
    pub(super) path: String,
}

/// Makes the folder where `needed` bytes have room.
///
/// # Errors
/// When no candidate can be written, has room, and runs programs; each is told with its reason.
pub(super) fn make(session: &Session, settings: &Settings, needed: u64) -> Result<Folder, Stop> {
    let candidates = settings.remote_folder.as_deref().map_or(CANDIDATES.to_owned(), quote);
    let kib = needed / 1024 + 64;
    let script = format!(
        "umask 077; for b in {candidates}; do \
         case \"$b\" in *[!A-Za-z0-9/._+-]*|'') echo \"skip=$b has a name that is not safe\"; continue;; esac; \
         d=$(mktemp -d \"$b/disinherit-XXXXXXXXXX\" 2>/dev/null) || {{ echo \"skip=$b cannot be written\"; continue; }}; \
         printf '#!/bin/sh\\necho runs\\n' >\"$d/probe\"; chmod 700 \"$d/probe\"; \
         if [ \"$(\"$d/probe\" 2>/dev/null)\" != runs ]; then rm -rf \"$d\"; echo \"skip=$b does not run programs (mounted noexec?)\"; continue; fi; \
         free=$(df -Pk \"$d\" 2>/dev/null | {{ read -r l; read -r l l l f l; echo \"$f\"; }}); \
         if [ -n \"$free\" ] && [ \"$free\" -lt {kib} ]; then rm -rf \"$d\"; echo \"skip=$b has $free KiB free, {kib} are needed\"; continue; fi; \
         rm -f \"$d/probe\"; echo \"folder=$d\"; break; done"
    );
    // A cancellation must not leave a folder behind whose name we never heard.
    let answer = session.ask("make a folder in", &script, &CancelToken::new(), LIMIT)?;
    let path = answer.value("folder").filter(|path| path.starts_with('/'));
    let Some(path) = path else { return Err(nowhere(&answer, settings).into()) };
    if answer.out.contains("skip=") {
        session.machine.say(&format!("{}; using {path}", reasons(&answer)));
    }
    Ok(Folder { path: path.to_owned() })
}

fn nowhere(answer: &Answer, settings: &Settings) -> Error {
    let remedy = if settings.remote_folder.is_some() {
        "set remote_folder to a folder that can be written, has room and runs programs, or leave it out"
    } else {
        "set remote_folder to a folder of the guest that can be written, has room and runs programs"
    };
    let why = [reasons(answer), answer.err.clone()].into_iter().find(|text| !text.is_empty());
    let why = why.unwrap_or_else(|| "the guest has no mktemp".into());
    Error::failed("make a folder in", "the guest").because(why).remedy(remedy)
}

fn reasons(answer: &Answer) -> String {
    let skipped = answer.out.lines().filter_map(|line| line.strip_prefix("skip="));
    skipped.collect::<Vec<_>>().join(", ")
}

/// Removes the folder, whatever happened before. A failure is told, and is no other failure.
pub(super) fn remove(session: &Session, folder: &Folder) {
    let script = format!("rm -rf {0}; [ ! -e {0} ] && echo removed=yes", quote(&folder.path));
    let answer = session.ask("clean up", &script, &CancelToken::new(), REMOVAL);
    let removed = matches!(&answer, Ok(answer) if answer.value("removed") == Some("yes"));
    if !removed {
        let text = format!("The folder {} could not be removed from the guest", folder.path);
        session.machine.error(&text);
    }
}
