//! Root's rights in the guest: the command around every program that needs them.

use disinherit_core::{Error, Result};
use zeroize::Zeroizing;

use super::probe::{Facts, Sudo};
use crate::config::Settings;

/// When the SSH user is root.
const AS_ROOT: &str = "{{.Vars}} {{.Path}}";
/// When sudo asks nothing.
const SUDO: &str = "sudo -n env {{.Vars}} {{.Path}}";
/// When sudo wants a password; without a prompt, which would mix with the output.
const SUDO_PASSWORD: &str = "sudo -S -p '' env {{.Vars}} {{.Path}}";

/// How to become root in this guest.
pub(super) struct Privilege {
    template: String,
    password: Option<Zeroizing<String>>,
}

impl Privilege {
    /// Chooses the command for this guest.
    ///
    /// # Errors
    /// When the user is not root, no command was given, and sudo would not do.
    pub(super) fn choose(settings: &Settings, facts: &Facts) -> Result<Self> {
        let password = settings.sudo_password.clone();
        let template = match (&settings.execute_command, facts.uid, facts.sudo, &password) {
            (Some(own), ..) => own.as_str(),
            (None, 0, ..) => AS_ROOT,
            (None, _, Sudo::Missing, _) => return Err(no_sudo(facts)),
            (None, _, _, Some(_)) => SUDO_PASSWORD,
            (None, _, Sudo::Free, None) => SUDO,
            (None, _, Sudo::Password, None) => return Err(wants_password(facts)),
        };
        Ok(Self { template: template.to_owned(), password })
    }

    /// The command line that runs `path` as root.
    pub(super) fn command(&self, path: &str, vars: &str) -> String {
        render(&self.template, path, vars)
    }

    /// What the command reads: the password and a newline, or nothing.
    pub(super) fn stdin(&self) -> Option<Zeroizing<Vec<u8>>> {
        let password = self.password.as_ref()?;
        let mut line = Zeroizing::new(Vec::with_capacity(password.len() + 1));
        line.extend_from_slice(password.as_bytes());
        line.push(b'\n');
        Some(line)
    }
}

fn no_sudo(facts: &Facts) -> Error {
    Error::failed("become root in the guest", format!("as the user with uid {}", facts.uid))
        .because("the guest has no sudo")
        .remedy(
            "set ssh_username to root, install sudo, or set execute_command, for example to \
             \"doas -n env {{.Vars}} {{.Path}}\"",
        )
}

fn wants_password(facts: &Facts) -> Error {
    Error::failed("become root in the guest", format!("as the user with uid {}", facts.uid))
        .because("sudo asks for a password")
        .remedy("set sudo_password, let sudoers give the user NOPASSWD, or set execute_command")
}

/// The fields of a template, each with the text before it; and the text after the last one.
type Fields<'a> = (Vec<(&'a str, &'a str)>, &'a str);

fn fields(template: &str) -> Result<Fields<'_>, String> {
    let mut found = Vec::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let (field, after) = after.split_once("}}").ok_or("has {{ without }}")?;
        found.push((before, field.trim_matches('-').trim()));
        rest = after;
    }
    Ok((found, rest))
}

/// What is wrong with an execute_command.
///
/// # Errors
/// When `{{.Path}}` is missing, another field is used, or a brace is left open.
pub(crate) fn check(template: &str) -> Result<(), String> {
    let (fields, _) = fields(template)?;
    let known = |field: &str| matches!(field, ".Path" | ".Vars");
    if let Some((_, other)) = fields.iter().find(|(_, field)| !known(field)) {
        return Err(format!(
            "uses {{{{{other}}}}}; only {{{{.Path}}}} and {{{{.Vars}}}} exist here"
        ));
    }
    if fields.iter().any(|(_, field)| *field == ".Path") {
        return Ok(());
    }
    Err("must hold {{.Path}}, the program to run".into())
}

fn render(template: &str, path: &str, vars: &str) -> String {
    let Ok((fields, rest)) = fields(template) else { return template.to_owned() };
    let mut command = String::new();
    for (before, field) in fields {
        command.push_str(before);
        command.push_str(if field == ".Vars" { vars } else { path });
    }
    command.push_str(rest);
    command.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_as_users_write_them() {
        let typical = "{{ .Vars }} sudo -S -E sh -eux '{{.Path}}'";
        for template in [AS_ROOT, SUDO, SUDO_PASSWORD, typical] {
            assert_eq!(check(template), Ok(()), "{template}");
        }
        let command = render("{{ .Vars }} sudo -E '{{- .Path -}}'", "/t/run", "A='b'");
        assert_eq!(command, "A='b' sudo -E '/t/run'");
    }

    #[test]
    fn bad_templates_say_what_is_missing() {
        assert!(check("sudo sh").unwrap_err().contains("{{.Path}}"));
        assert!(check("{{.Path}} {{.EnvVarFile}}").unwrap_err().contains(".EnvVarFile"));
        assert!(check("{{.Path").unwrap_err().contains("without }}"));
    }
}
