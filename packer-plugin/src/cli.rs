//! The command line. Packer's own words, `describe` and `start`, are recognised before it.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Parser, Subcommand, ValueEnum};
use disinherit_core::Result;
use disinherit_core::catalogue::Severity;
use disinherit_core::policy::{ContentMode, EraseMode, Limit, ProofMode};

use crate::config::parse;
use crate::plugin::{Invocation, describe_json, serve};
use crate::provision::{Programs, Scrubber};
use crate::{commands, output};

/// Removes every credential of the builder from a Linux image, and proves it.
///
/// Packer runs this program as the provisioner "disinherit". Without Packer it looks through or
/// scrubs a mounted image, or the running system.
///
/// Exit codes: 0 nothing found that matters, 1 findings remain, 2 wrong use, 3 could not run or
/// finished in part, 4 refused and nothing written.
#[derive(Debug, Parser)]
#[command(name = "packer-plugin-disinherit", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Look for credentials; never writes
    Audit(AuditArgs),
    /// Remove credentials, then look again
    Scrub(ScrubArgs),
    /// List the rules of the catalogue
    Rules(RulesArgs),
    /// Make a plugin that carries guest programs
    #[command(hide = true)]
    Bundle(BundleArgs),
}

/// The system to work on: one of the two.
#[derive(Debug, Clone, Args)]
#[group(required = true, multiple = false)]
pub struct RootArgs {
    /// The mounted image, chroot or unpacked tree
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// The running system
    #[arg(long)]
    pub live: bool,
}

/// The form of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// For a person.
    #[default]
    Text,
    /// For programs; schema in docs/report.schema.json.
    Json,
    /// SARIF 2.1.0, for code hosts and editors.
    Sarif,
    /// One self-contained page, for a browser or a mail.
    Html,
}

/// Options of `audit`.
#[derive(Debug, Clone, Args)]
pub struct AuditArgs {
    /// The system to work on.
    #[command(flatten)]
    pub root: RootArgs,
    /// A policy file; later ones win, lists in them add up
    #[arg(long = "policy", value_name = "FILE")]
    pub policies: Vec<PathBuf>,
    /// Fingerprint of a public key that may log in (SHA256:...)
    #[arg(long = "expect-key", value_name = "FINGERPRINT")]
    pub expect_keys: Vec<String>,
    /// From which severity findings make exit code 1: low, medium, high, critical [default: high]
    #[arg(long, value_name = "SEVERITY")]
    pub fail_on: Option<Severity>,
    /// The form of the report
    #[arg(long, default_value = "text")]
    pub format: Format,
    /// Write the report to a file instead of standard output
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Options of `scrub`.
#[derive(Debug, Clone, Args)]
pub struct ScrubArgs {
    /// The system to work on.
    #[command(flatten)]
    pub root: RootArgs,
    /// Do not ask for the host name before the running system is scrubbed
    #[arg(long, conflicts_with = "root")]
    pub yes: bool,
    /// A policy file; later ones win, lists in them add up
    #[arg(long = "policy", value_name = "FILE")]
    pub policies: Vec<PathBuf>,
    /// Print the plan and write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Secrets that only the content scan finds: report, remove [default: report]
    #[arg(long, value_name = "WHAT", value_parser = parse::<ContentMode>)]
    pub content: Option<ContentMode>,
    /// How free space and journal are treated: auto, trim, fill, files, off [default: auto]
    #[arg(long, value_name = "HOW", value_parser = parse::<EraseMode>)]
    pub erase: Option<EraseMode>,
    /// How much of the raw disk is searched for what was removed: full, touched, off [default: full]
    #[arg(long, value_name = "HOW", value_parser = parse::<ProofMode>)]
    pub proof: Option<ProofMode>,
    /// How long that search may take, for example 10m; what was not searched is said
    #[arg(long, value_name = "DURATION", value_parser = parse::<Limit>)]
    pub proof_limit: Option<Limit>,
    /// Unmount the image for a moment, so that e2fsck or xfs_repair can treat what a mounted file
    /// system keeps to itself
    #[arg(long, conflicts_with = "live")]
    pub offline: bool,
    /// Every finding and every residual risk counts
    #[arg(long)]
    pub strict: bool,
    /// From which severity findings make exit code 1: low, medium, high, critical [default: high]
    #[arg(long, value_name = "SEVERITY")]
    pub fail_on: Option<Severity>,
    /// disinherit-firstboot to install, or `none`
    #[arg(long, value_name = "PATH|none")]
    pub firstboot: Option<PathBuf>,
    /// Write the report (JSON) to a file
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// The form of the report on standard output
    #[arg(long, default_value = "text")]
    pub format: Format,
    /// Switch the machine off afterwards
    #[arg(long, conflicts_with = "root")]
    pub power_off: bool,
    /// Speak the event protocol of the Packer plugin on standard output
    #[arg(long, hide = true, conflicts_with = "root")]
    pub packer: bool,
    /// Remove this folder, where this program lies, as the last step of a success
    #[arg(long, hide = true, value_name = "DIR", requires = "packer")]
    pub cleanup: Option<PathBuf>,
    /// Arm a timer that switches the machine off this many seconds after the scrub
    #[arg(long, hide = true, value_name = "SECONDS", requires = "packer")]
    pub power_off_after: Option<u64>,
}

/// Options of `rules`.
#[derive(Debug, Clone, Args)]
pub struct RulesArgs {
    /// Only rules whose id contains one of these words, or whose category is one of them
    #[arg(value_name = "WORD")]
    pub filter: Vec<String>,
    /// The form of the list
    #[arg(long, default_value = "text")]
    pub format: RulesFormat,
}

/// The form of the list of rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum RulesFormat {
    /// A line for each, for a person.
    #[default]
    Text,
    /// An array in the grammar of the catalogue, for programs.
    Json,
}

/// Options of `bundle`.
#[derive(Debug, Clone, Args)]
pub struct BundleArgs {
    /// The plugin to start from; this program by default
    #[arg(long, value_name = "FILE")]
    pub plugin: Option<PathBuf>,
    /// The plugin to write
    #[arg(long, value_name = "FILE")]
    pub output: PathBuf,
    /// ELF programs; they are found again by file name and architecture
    #[arg(required = true, value_name = "PROGRAM")]
    pub programs: Vec<PathBuf>,
}

/// The whole program, given its argument vector.
#[must_use]
pub fn main(args: &[OsString]) -> ExitCode {
    match Invocation::from_args(args) {
        Invocation::Describe => conclude(
            output::out(&(describe_json(env!("CARGO_PKG_VERSION")) + "\n"))
                .map(|()| ExitCode::SUCCESS),
        ),
        Invocation::Start { name, protobuf } => {
            serve(&name, protobuf, Arc::new(Scrubber::new(Programs::of_this_process())))
        }
        Invocation::Other => match Cli::try_parse_from(args) {
            Ok(cli) => {
                env_logger::init_from_env(
                    env_logger::Env::new().filter_or("DISINHERIT_LOG", "warn"),
                );
                conclude(run(cli.command))
            }
            // Help and version are such errors too.
            Err(error) if error.use_stderr() => {
                output::err(error.render().to_string().trim_end());
                ExitCode::from(2)
            }
            Err(text) => {
                conclude(output::out(&text.render().to_string()).map(|()| ExitCode::SUCCESS))
            }
        },
    }
}

fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Audit(args) => commands::audit(args),
        Command::Scrub(args) => commands::scrub(args),
        Command::Rules(args) => commands::rules(&args),
        Command::Bundle(args) => commands::bundle(&args),
    }
}

fn conclude(result: Result<ExitCode>) -> ExitCode {
    result.unwrap_or_else(|error| {
        output::err(&format!("packer-plugin-disinherit: {}", error.report()));
        ExitCode::from(error.kind().exit_code())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split(' '))
    }

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn exactly_one_root() {
        assert!(parse("p audit").is_err());
        assert!(parse("p audit --live --root /mnt").is_err());
        assert!(parse("p scrub --root /mnt --yes").is_err());
        assert!(parse("p audit --root /mnt --format json --fail-on low").is_ok());
    }

    /// The manual page knows every command and every option that a person may write.
    #[test]
    fn the_manual_page_is_complete() {
        let page = include_str!("../../docs/man/packer-plugin-disinherit.1").replace('\\', "");
        for command in Cli::command().get_subcommands().filter(|c| !c.is_hide_set()) {
            assert!(page.contains(&format!(".B {}\n", command.get_name())), "{command}");
            let shown = command.get_arguments().filter(|a| !a.is_hide_set());
            for long in shown.filter_map(clap::Arg::get_long).filter(|l| *l != "help") {
                assert!(page.contains(&format!("--{long}")), "{}: --{long}", command.get_name());
            }
        }
    }

    #[test]
    fn what_the_provisioner_passes_is_understood() {
        let line = "p scrub --live --yes --packer --cleanup /tmp/d --policy /tmp/d/options.yaml \
            --content remove --erase auto --proof touched --proof-limit 90s --fail-on high \
            --firstboot none --strict \
            --power-off-after 20";
        let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
        let Command::Scrub(args) = parse(&line).unwrap().command else { panic!("not scrub") };
        assert!(args.packer && args.yes && args.strict);
        assert_eq!(args.power_off_after, Some(20));
    }
}
