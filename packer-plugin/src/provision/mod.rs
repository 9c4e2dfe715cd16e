//! One run of the provisioner: look at the guest, bring the programs, scrub, report, leave.

mod folder;
mod lines;
pub mod machine;
pub(crate) mod privilege;
mod probe;
mod programs;
mod provisioner;
mod report;
mod script;
mod session;
mod shell;
mod upload;
mod verdict;
mod watch;

use std::sync::Arc;

use serde_json::Value;

use self::folder::Folder;
use self::machine::Machine;
use self::privilege::Privilege;
use self::session::{Session, Stop};
use self::upload::Item;
use crate::config::Settings;
use crate::payload::Blob;
use crate::plugin::CancelToken;

pub use programs::Programs;
pub use provisioner::Scrubber;

/// Runs once. `data` is Packer's GeneratedData and is never shown.
///
/// # Errors
/// The text that the user reads as the reason of the failed build; `context canceled` after a
/// cancellation.
pub fn run(
    settings: &Settings,
    programs: &Programs,
    data: &Value,
    machine: Arc<dyn Machine>,
    cancel: CancelToken,
) -> Result<(), String> {
    for warning in settings.warnings() {
        machine.say(&format!("Warning: {warning}"));
    }
    let secret = settings.sudo_password.clone();
    let session = Arc::new(Session { machine, cancel, secret });
    match pipeline(&session, settings, programs, data) {
        Ok(()) => Ok(()),
        Err(Stop::Cancelled) => Err("context canceled".into()),
        Err(Stop::Failed(error)) => Err(session.redact(&error.report())),
    }
}

fn pipeline(
    session: &Arc<Session>,
    settings: &Settings,
    programs: &Programs,
    data: &Value,
) -> Result<(), Stop> {
    probe::check_communicator(data)?;
    let facts = probe::probe(session, settings)?;
    let privilege = Privilege::choose(settings, &facts)?;
    let guest = programs.guest(settings, facts.arch)?;
    let firstboot = programs.firstboot(settings, facts.arch)?;
    let needed = guest.size + firstboot.as_ref().map_or(0, |blob| blob.size);
    let folder = folder::make(session, settings, needed)?;
    let heard = items(settings, &folder, guest, firstboot)
        .map_err(Stop::from)
        .and_then(|items| upload::upload(session, &folder, &items))
        .and_then(|()| {
            session.machine.say("Scrubbing the guest");
            watch::run(session, settings, &privilege, &folder)
        });
    if let Ok(heard) = &heard {
        if heard.end.is_none() {
            watch::stop_lost(session, &folder);
        }
    }
    let clean = matches!(&heard, Ok(heard) if heard.end.as_ref().is_some_and(|end| end.exit == 0));
    if !clean {
        folder::remove(session, &folder);
    }
    verdict::conclude(session, settings, heard?).map_err(Stop::from)
}

/// Everything that goes into the folder.
fn items(
    settings: &Settings,
    folder: &Folder,
    guest: Blob,
    firstboot: Option<Blob>,
) -> disinherit_core::Result<Vec<Item>> {
    let mut items = vec![Item::program(script::PROGRAM, guest)];
    items.extend(firstboot.map(|blob| Item::program(script::FIRSTBOOT, blob)));
    for (number, path) in settings.policy_files.iter().enumerate() {
        items.push(Item::file(script::policy(number), Blob::of_file(path)?));
    }
    items.push(Item::text(script::OPTIONS, false, script::options(settings)?));
    items.push(Item::text(script::RUN, true, script::run(settings, folder)));
    Ok(items)
}
