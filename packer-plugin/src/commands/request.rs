//! From the words of the command line to what a run was asked for.

use std::path::PathBuf;
use std::time::Duration;

use disinherit_core::policy::Fragment;
use disinherit_core::report::Mode;

use crate::cli::{AuditArgs, Format, RootArgs, ScrubArgs};

/// Which tree.
#[derive(Debug, Clone)]
pub(super) enum Place {
    /// The running system.
    Live {
        /// Asked for without a question, `--yes`.
        confirmed: bool,
    },
    /// A mounted file system, a chroot, an unpacked tree.
    Offline(PathBuf),
}

/// The guest's first-boot program.
#[derive(Debug, Clone)]
pub(super) enum Firstboot {
    /// The one that this program carries for the image's architecture.
    Carried,
    /// Another one.
    File(PathBuf),
    /// None; the image is not sealed.
    None,
}

/// What a run was asked for.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub place: Place,
    pub mode: Mode,
    /// Policy files, later ones win.
    pub policies: Vec<PathBuf>,
    /// Options of the command line, which win over all files.
    pub options: Fragment,
    /// Fingerprints that an audit expects; a file with any other key is a finding.
    pub expect_keys: Vec<String>,
    /// Unmount the image for a moment.
    pub unmount: bool,
    pub firstboot: Firstboot,
    /// Where the JSON report goes beside standard output.
    pub report: Option<PathBuf>,
    /// Where the report goes instead of standard output.
    pub output: Option<PathBuf>,
    pub format: Format,
    /// Speak the provisioner's protocol on standard output.
    pub events: bool,
    /// A folder that is removed as the last step, the provisioner's own.
    pub cleanup: Option<PathBuf>,
    /// Switch the machine off afterwards, now for zero.
    pub power_off: Option<Duration>,
}

fn place(root: RootArgs, confirmed: bool) -> Place {
    root.root.map_or(Place::Live { confirmed }, Place::Offline)
}

pub(super) fn of_audit(args: AuditArgs) -> Request {
    Request {
        place: place(args.root, false),
        mode: Mode::Audit,
        policies: args.policies,
        options: Fragment { fail_on: args.fail_on, ..Fragment::default() },
        expect_keys: args.expect_keys,
        unmount: false,
        firstboot: Firstboot::None,
        report: None,
        output: args.output,
        format: args.format,
        events: false,
        cleanup: None,
        power_off: None,
    }
}

pub(super) fn of_scrub(args: ScrubArgs) -> Request {
    let firstboot = match args.firstboot {
        None => Firstboot::Carried,
        Some(path) if path.as_os_str() == "none" => Firstboot::None,
        Some(path) => Firstboot::File(path),
    };
    let power_off = match (args.power_off, args.power_off_after) {
        (_, Some(seconds)) => Some(Duration::from_secs(seconds)),
        (true, None) => Some(Duration::ZERO),
        (false, None) => None,
    };
    Request {
        place: place(args.root, args.yes),
        mode: if args.dry_run { Mode::DryRun } else { Mode::Scrub },
        policies: args.policies,
        options: Fragment {
            content: args.content,
            erase: args.erase,
            proof: args.proof,
            proof_limit: args.proof_limit,
            fail_on: args.fail_on,
            strict: args.strict.then_some(true),
            firstboot: matches!(firstboot, Firstboot::None).then_some(false),
            ..Fragment::default()
        },
        expect_keys: Vec::new(),
        unmount: args.offline,
        firstboot,
        report: args.report,
        output: None,
        format: args.format,
        events: args.packer,
        cleanup: args.cleanup,
        power_off,
    }
}
