//! The validated configuration; the only one that a run sees.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use disinherit_core::catalogue::Severity;
use disinherit_core::policy::{ContentMode, EraseMode, Limit, ProofMode, Switch};
use serde_json::Value;
use zeroize::Zeroizing;

use super::reader::Reader;
use super::{Input, PowerOff, Problems, policy};

/// The validated configuration.
#[derive(Clone)]
pub struct Settings {
    /// Policy files on this machine.
    pub policy_files: Vec<PathBuf>,
    /// Rules by id.
    pub rules: BTreeMap<String, Switch>,
    /// Accounts whose password and keys stay.
    pub keep_users: Vec<String>,
    /// Accounts that go.
    pub remove_users: Vec<String>,
    /// Whether disinherit-firstboot is installed.
    pub firstboot: bool,
    /// disinherit-firstboot on this machine.
    pub firstboot_binary: Option<PathBuf>,
    /// The program for the guest, on this machine.
    pub guest_binary: Option<PathBuf>,
    /// Secrets that only the content scan finds; unset, the policy files decide.
    pub content: Option<ContentMode>,
    /// Free space and journal; unset, the policy files decide.
    pub erase: Option<EraseMode>,
    /// Search of the raw disk.
    pub proof: Option<ProofMode>,
    /// How long it may take.
    pub proof_limit: Option<Limit>,
    /// Every finding fails.
    pub strict: bool,
    /// The severity that fails; unset, the policy files decide.
    pub fail_on: Option<Severity>,
    /// Findings are only a warning.
    pub keep_going: bool,
    /// Where the report goes on this machine.
    pub report_path: Option<PathBuf>,
    /// Whether the guest switches itself off.
    pub power_off: PowerOff,
    /// When it does.
    pub power_off_delay: Duration,
    /// The user's command for root's rights.
    pub execute_command: Option<String>,
    /// For sudo's standard input.
    pub sudo_password: Option<Zeroizing<String>>,
    /// The user's folder for uploads.
    pub remote_folder: Option<String>,
    /// How long to wait for a guest that cannot be reached.
    pub start_retry_timeout: Duration,
    /// Name of the build.
    pub build_name: String,
    /// Type of the builder.
    pub builder_type: String,
    /// Options whose value is not known yet; empty in Provision.
    pub unknown: Vec<&'static str>,
}

impl Settings {
    /// Renders, decodes and checks. `data` is Packer's GeneratedData in Provision and absent in
    /// Prepare, where texts may be unknown and files are looked for only where their name is known.
    ///
    /// # Errors
    /// All problems at once.
    pub fn resolve(input: &Input, data: Option<&Value>) -> Result<Self, Problems> {
        let mut reader = Reader::new(input, data);
        reader.unknown_names();
        let settings = Self {
            policy_files: reader.list("policy_files").into_iter().map(PathBuf::from).collect(),
            rules: reader.rules(),
            keep_users: reader.users("keep_users"),
            remove_users: reader.users("remove_users"),
            firstboot: reader.boolean("firstboot", true),
            firstboot_binary: reader.text("firstboot_binary").map(PathBuf::from),
            guest_binary: reader.text("guest_binary").map(PathBuf::from),
            content: reader.word("content"),
            erase: reader.word("erase"),
            proof: reader.word("proof"),
            proof_limit: reader.word("proof_limit"),
            strict: reader.boolean("strict", false),
            fail_on: reader.word("fail_on"),
            keep_going: reader.boolean("keep_going", false),
            report_path: reader.text("report_path").map(PathBuf::from),
            power_off: reader.word("power_off").unwrap_or_default(),
            power_off_delay: reader.duration("power_off_delay", Duration::from_secs(20)),
            execute_command: reader.execute_command(),
            sudo_password: reader.text("sudo_password").map(Zeroizing::new),
            remote_folder: reader.remote_folder(),
            start_retry_timeout: reader.duration("start_retry_timeout", Duration::from_secs(300)),
            build_name: input.build.name.clone(),
            builder_type: input.build.builder_type.clone(),
            unknown: std::mem::take(&mut reader.unknown),
        };
        settings.check(&mut reader.problems);
        reader.problems.into_result().map(|()| settings)
    }

    /// What is wrong between options, or on this machine.
    fn check(&self, problems: &mut Problems) {
        let mut files: Vec<(&str, &Path)> = Vec::new();
        files.extend(self.guest_binary.iter().map(|path| ("guest_binary", path.as_path())));
        files.extend(self.firstboot_binary.iter().map(|path| ("firstboot_binary", path.as_path())));
        for (option, path) in files {
            match path.metadata() {
                Ok(meta) if meta.is_file() => {}
                Ok(_) => problems.add(option, format!("{} is not a file", path.display())),
                Err(error) => {
                    problems.add(option, format!("cannot read {}: {error}", path.display()));
                }
            }
        }
        for user in self.remove_users.iter().filter(|user| self.keep_users.contains(user)) {
            problems.add("remove_users", format!("{user} is in keep_users too; choose one"));
        }
        if self.remove_users.iter().any(|user| user == "root") {
            problems.add("remove_users", "root cannot be removed; its password and keys go anyway");
        }
        if let Some(path) = &self.report_path {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            if path.is_dir() {
                problems.add("report_path", format!("{} is a folder; name a file", path.display()));
            } else if folder.is_some_and(|folder| !folder.is_dir()) {
                let what = format!("the folder of {} does not exist; create it", path.display());
                problems.add("report_path", what);
            }
        }
        if self.power_off_delay.is_zero() {
            problems.add("power_off_delay", "must be longer than 0s: Packer needs time to end");
        }
        policy::check(self, problems);
    }

    /// Whether the guest shall switch itself off: builders that stop a machine over SSH or wait for
    /// it to stop need it, clouds stop theirs through an API.
    #[must_use]
    pub fn powers_off(&self) -> bool {
        match self.power_off {
            PowerOff::Yes => true,
            PowerOff::No => false,
            PowerOff::Auto => stops_over_ssh(&self.builder_type),
        }
    }

    /// Settings that are allowed and probably not meant.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let builder = &self.builder_type;
        if self.power_off == PowerOff::Yes && !stops_over_ssh(builder) && !builder.is_empty() {
            warnings.push(format!("power_off = true: the builder {builder} stops its machine itself and may fail, or bill on, when it is off before"));
        }
        if self.power_off == PowerOff::No && stops_over_ssh(builder) {
            warnings.push(format!("power_off = false: after the scrub the shutdown_command of the builder {builder} cannot use sudo or a password any more"));
        }
        let command = self.execute_command.as_deref().unwrap_or_default();
        if command.contains("sudo") && command.contains("echo ") {
            warnings.push("execute_command: a password after echo can be read in the guest's process list; set sudo_password, it goes through standard input".into());
        }
        if self.keep_going && self.strict {
            warnings.push("keep_going = true makes strict = true a mere warning".into());
        }
        warnings
    }
}

/// Builders that power off over the connection that a scrub takes away.
fn stops_over_ssh(builder_type: &str) -> bool {
    ["qemu", "virtualbox", "vmware", "vsphere", "proxmox", "parallels"]
        .iter()
        .any(|prefix| builder_type.starts_with(prefix))
}

/// Never the password.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("build_name", &self.build_name)
            .field("builder_type", &self.builder_type)
            .field("sudo_password", &self.sudo_password.as_ref().map(|_| "set"))
            .finish_non_exhaustive()
    }
}
