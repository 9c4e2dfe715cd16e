//! Every sshd that an image may start, and the main file and options that its service gives it.

use super::command::{Environment, Invocation, Started, assignments, started, words};
use super::units::{Unit, Units};
use super::{openrc, servers};
use crate::root::Root;
use crate::{ImagePath, Result};

/// One way in which sshd is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Daemon {
    /// The service.
    pub service: String,
    /// The program, as the service names it.
    pub program: ImagePath,
    /// Its `-f`; `None` for sshd's own main file.
    pub main: Option<ImagePath>,
    /// Its `-o`, each as a line of a configuration file.
    pub options: Vec<String>,
}

/// The daemons of an image, and what could not be told about others.
#[derive(Debug, Default)]
pub(super) struct Daemons {
    pub(super) found: Vec<Daemon>,
    /// A sentence each: sealing must not go on as if it had closed them.
    pub(super) unclear: Vec<String>,
    /// Services of servers that are not OpenSSH's, and their programs.
    pub(super) other: Vec<(String, String)>,
}

/// Where sshd lies on most systems; always looked at, whatever starts it.
const SSHD: &str = "/usr/sbin/sshd";
/// Units that may be there beside those with names of their own.
const SERVICES: [&str; 7] = [
    "ssh.service",
    "sshd.service",
    "dropbear.service",
    "ssh@.service",
    "sshd@.service",
    "sshd-generated@.service",
    "dropbear@.service",
];
/// conf.d files of OpenRC's sshd: its script makes `-f` of the first two, and adds the others
/// (Alpine: openssh, sshd.initd; Gentoo: net-misc/openssh).
const OPENRC_MAIN: [&str; 2] = ["cfgfile", "SSHD_CONFIG"];
const OPENRC_OPTIONS: [&str; 2] = ["command_args", "SSHD_OPTS"];

impl Daemons {
    /// Reads the image's units, or OpenRC's configuration.
    pub(super) fn discover(root: &Root) -> Result<Self> {
        let mut all = Self::default();
        all.found.push(Daemon {
            service: "sshd".to_owned(),
            program: ImagePath::literal(SSHD),
            main: None,
            options: Vec::new(),
        });
        if openrc::boots(root)? {
            all.add("sshd", openrc(root)?);
            return Ok(all);
        }
        let units = Units::new(root);
        let names = SERVICES.iter().map(|name| (*name).to_owned()).chain(servers::other(root)?);
        for name in names {
            for unit in units.variants(&name)? {
                let environment = environment(root, &unit)?;
                for line in unit.commands() {
                    all.add(&name, started(line, &environment));
                }
            }
        }
        Ok(all)
    }

    fn add(&mut self, service: &str, started: Started) {
        match started {
            Started::Nothing => {}
            Started::Other(program) => self.other.push((service.to_owned(), program)),
            Started::Unclear => self.unclear.push(format!(
                "{service} starts sshd with options that only a running system can tell"
            )),
            Started::Sshd(Invocation { program, main, options }) => {
                let path = |text: &str| ImagePath::new(text).filter(|_| text.starts_with('/'));
                let main = match main.as_deref().map(path) {
                    Some(None) => {
                        self.unclear.push(format!("{service} names sshd's file by no full path"));
                        return;
                    }
                    main => main.flatten(),
                };
                let program = path(&program).unwrap_or_else(|| ImagePath::literal(SSHD));
                let daemon = Daemon { service: service.to_owned(), program, main, options };
                if !self.found.contains(&daemon) {
                    self.found.push(daemon);
                }
            }
        }
    }
}

/// `Environment=`, then `EnvironmentFile=`, which wins.
fn environment(root: &Root, unit: &Unit) -> Result<Environment> {
    let mut environment = Environment::new();
    for value in unit.list("Environment") {
        let pairs = words(value).unwrap_or_default();
        environment.extend(pairs.iter().filter_map(|pair| {
            pair.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()))
        }));
    }
    for value in unit.list("EnvironmentFile") {
        environment.extend(variables(root, value.trim_start_matches('-'))?);
    }
    Ok(environment)
}

fn variables(root: &Root, path: &str) -> Result<Vec<(String, String)>> {
    let Some(path) = ImagePath::new(path) else { return Ok(Vec::new()) };
    let text = root.read(&path, 1 << 20)?.unwrap_or_default();
    Ok(assignments(&String::from_utf8_lossy(&text)).collect())
}

/// The script of OpenRC's sshd takes its options from conf.d.
fn openrc(root: &Root) -> Result<Started> {
    let mut line = SSHD.to_owned();
    let mut environment = Environment::new();
    for file in ["/etc/rc.conf", "/etc/conf.d/sshd"] {
        environment.extend(variables(root, file)?);
    }
    let value = |name: &&str| environment.get(*name);
    if let Some(folder) = environment.get("SSHD_CONFDIR") {
        line.push_str(&format!(" -f {folder}/sshd_config"));
    }
    for main in OPENRC_MAIN.iter().rev().filter_map(value) {
        line.push_str(&format!(" -f {main}"));
    }
    for options in OPENRC_OPTIONS.iter().filter_map(value) {
        line.push_str(&format!(" {options}"));
    }
    if line.contains('$') {
        return Ok(Started::Unclear);
    }
    Ok(started(&line, &Environment::new()))
}
