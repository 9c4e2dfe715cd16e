//! Trials with Debian's Packer 1.6.6 and the plugin as it is installed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use libtest_mimic::Trial;
use tempfile::TempDir;

use crate::sshd::{Sshd, may_log_in, packer, text, user};
use crate::tools::{missing, needing};

const GUEST: &str = r#"#!/bin/sh
[ "$1" = scrub ] || exit 2
while [ $# -gt 0 ]; do if [ "$1" = --cleanup ]; then dir=$2; fi; shift; done
echo '{"disinherit":{"progress":{"step":"apply","done":1,"total":1,"text":"lock ann"}}}'
echo "builder=$PACKER_BUILDER_TYPE"
FINDINGS
rm -rf "$dir"
echo '{"disinherit":{"end":{"exit":EXIT}}}'
exit EXIT
"#;

pub(crate) fn trials() -> Vec<Trial> {
    let packer = missing(&["packer"]);
    let mut ssh = missing(&["packer", "sshd", "ssh-keygen", "scp"]);
    if !may_log_in() {
        ssh.push("a login shell of the account that runs the tests".to_owned());
    }
    vec![
        needing(packer.clone(), "packer166::hcl2_blocks_are_checked", hcl2_blocks_are_checked),
        needing(packer.clone(), "packer166::json_blocks_are_checked", json_blocks_are_checked),
        needing(packer.clone(), "packer166::none_is_refused", none_is_refused),
        needing(packer.clone(), "packer166::a_bundle_has_firstboot", a_bundle_has_firstboot),
        needing(packer, "packer166::the_alicloud_example_is_valid", the_alicloud_example_is_valid),
        needing(ssh, "packer166::builds_over_ssh", builds_over_ssh),
    ]
}

/// A folder in which Packer 1.6.6 finds the plugin.
fn workshop() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let plugins = folder.path().join("plugins");
    fs::create_dir(&plugins).unwrap();
    let plugin = env!("CARGO_BIN_EXE_packer-plugin-disinherit");
    fs::copy(plugin, plugins.join("packer-provisioner-disinherit")).unwrap();
    folder
}

fn validate(folder: &Path, name: &str, template: &str) -> String {
    fs::write(folder.join(name), template).unwrap();
    let output = packer(folder, "validate", name);
    let shown = text(&output);
    if output.status.success() { format!("valid {shown}") } else { shown }
}

fn hcl2(block: &str) -> String {
    format!(
        "source \"null\" \"n\" {{\n communicator = \"none\"\n}}\nbuild {{\n \
         sources = [\"source.null.n\"]\n provisioner \"disinherit\" {{\n{block}\n }}\n}}\n"
    )
}

fn hcl2_blocks_are_checked() {
    let folder = workshop();
    let folder = folder.path();
    let check = |block: &str| validate(folder, "t.pkr.hcl", &hcl2(block));
    let all = "firstboot = false\n keep_users = [\"ann\"]\n rules = { his-shell = \"off\" }\n \
               strict = true\n report_path = \"${build.ID}.json\"\n power_off_delay = \"1m\"";
    let shown = check(all);
    assert!(shown.starts_with("valid"), "{shown}");
    let shown = check("erase = \"shred\"\n proof = \"some\"\n firstboot = false");
    assert!(shown.contains("2 errors occurred:") && shown.contains("* erase: must be"), "{shown}");
    let shown = check("");
    assert!(shown.contains("* firstboot: this plugin does not carry"), "{shown}");
    let shown = check("keep_user = [\"ann\"]");
    assert!(shown.contains("Did you mean \"keep_users\"?"), "{shown}");
    let shown = check("keep_users = { a = 1 }");
    assert!(shown.contains("list of string required"), "{shown}");
}

fn a_bundle_has_firstboot() {
    let folder = workshop();
    let folder = folder.path();
    let plugin = env!("CARGO_BIN_EXE_packer-plugin-disinherit");
    // Any ELF program will do: it is carried here, not run.
    fs::copy(plugin, folder.join("disinherit-firstboot")).unwrap();
    let bundled = Command::new(plugin)
        .args([
            "bundle",
            "--output",
            "plugins/packer-provisioner-disinherit",
            "disinherit-firstboot",
        ])
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(bundled.status.success(), "{}", text(&bundled));
    let shown = validate(folder, "t.pkr.hcl", &hcl2(""));
    assert!(shown.starts_with("valid"), "{shown}");
}

fn json_blocks_are_checked() {
    let folder = workshop();
    let folder = folder.path();
    let check = |block: &str| {
        let template = format!(
            r#"{{"variables": {{"yes": "true", "name": "out"}},
            "builders": [{{"type": "null", "name": "n1", "communicator": "none"}}],
            "provisioners": [{{"type": "disinherit", "firstboot": false{block}}}]}}"#
        );
        validate(folder, "t.json", &template)
    };
    let shown = check(
        r#", "strict": "{{user `yes`}}", "keep_users": "ann", "report_path": "{{user `name`}}.json",
        "sudo_password": "{{build `Password`}}", "power_off_delay": "5m",
        "override": {"n1": {"erase": "off"}}"#,
    );
    assert!(shown.starts_with("valid"), "{shown}");
    let shown = check(r#", "keep_user": "ann", "strict": "yes", "report_path": "{{timestamp}}""#);
    assert!(shown.contains("3 errors occurred:"), "{shown}");
    assert!(shown.contains("did you mean keep_users?"), "{shown}");
    assert!(shown.contains("report_path: uses {{timestamp}}"), "{shown}");
}

fn none_is_refused() {
    let folder = workshop();
    fs::write(folder.path().join("t.pkr.hcl"), hcl2("firstboot = false")).unwrap();
    let output = packer(folder.path(), "build", "t.pkr.hcl");
    let shown = text(&output);
    assert!(!output.status.success(), "{shown}");
    assert!(shown.contains("refused to scrub"), "{shown}");
    assert!(
        shown.contains("set communicator = \"ssh\"") || shown.contains("ran nothing"),
        "{shown}"
    );
}

fn the_alicloud_example_is_valid() {
    let folder = workshop();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/alicloud/image.pkr.hcl");
    let template = fs::read_to_string(example).unwrap();
    // The builder looks for an account, firstboot for a plugin that was made for release.
    let template = template
        .replace("  region       = ", "  access_key = \"a\"\n  secret_key = \"b\"\n  skip_region_validation = true\n  skip_image_validation = true\n  region       = ")
        .replace("    report_path = ", "    firstboot   = false\n    report_path = ");
    let shown = validate(folder.path(), "image.pkr.hcl", &template);
    assert!(shown.starts_with("valid"), "{shown}");
}

/// A folder for uploads of its own: the real /tmp is used by others.
fn guest(folder: &Path, name: &str, exit: u8, findings: &str) -> PathBuf {
    let report = format!(
        "echo '{{\"disinherit\":{{\"report\":{{\"summary\":{{\"findings\":{exit},\"failing\":{exit}}},\"findings\":[{findings}]}}}}}}'"
    );
    let path = folder.join(name);
    let text = GUEST.replace("FINDINGS", &report).replace("EXIT", &exit.to_string());
    fs::write(&path, text).unwrap();
    path
}

fn builds_over_ssh() {
    let workshop = workshop();
    let folder = workshop.path();
    let sshd = Sshd::start(folder);
    fs::create_dir(folder.join("remote")).unwrap();
    fs::create_dir(folder.join("bin")).unwrap();
    let clean = guest(folder, "clean", 0, "");
    let finding = r#"{"severity":"high","path":"/etc/leak","what":"private key","rule":"key-x"}"#;
    let leaky = guest(folder, "leaky", 1, finding);
    // The account of the test need not be root; the script asks id.
    let id = folder.join("bin/id");
    fs::write(&id, "#!/bin/sh\necho 0\n").unwrap();
    fs::set_permissions(&id, fs::Permissions::from_mode(0o755)).unwrap();
    let at = folder.display();
    for (name, guest) in [("clean", &clean), ("leaky", &leaky)] {
        let template = format!(
            "source \"null\" \"n\" {{\n communicator = \"ssh\"\n ssh_host = \"127.0.0.1\"\n \
             ssh_port = {}\n ssh_username = \"{}\"\n ssh_private_key_file = \"{at}/user\"\n}}\n\
             build {{\n sources = [\"source.null.n\"]\n provisioner \"disinherit\" {{\n \
             firstboot = false\n guest_binary = \"{}\"\n remote_folder = \"{at}/remote\"\n \
             report_path = \"{name}.json\"\n \
             execute_command = \"PATH={at}/bin:$PATH {{{{.Vars}}}} {{{{.Path}}}}\"\n }}\n}}\n",
            sshd.port,
            user(),
            guest.display(),
        );
        fs::write(folder.join(format!("{name}.pkr.hcl")), template).unwrap();
    }
    let output = packer(folder, "build", "clean.pkr.hcl");
    let shown = text(&output);
    assert!(output.status.success(), "{shown}");
    for line in ["null.n: apply 1/1: lock ann", "builder=null", "disinherit: clean"] {
        assert!(shown.contains(line), "{line} is missing in {shown}");
    }
    assert!(folder.join("clean.json").is_file());

    let output = packer(folder, "build", "leaky.pkr.hcl");
    let shown = text(&output);
    assert!(!output.status.success(), "{shown}");
    assert!(shown.contains("the worst is /etc/leak (private key)"), "{shown}");
    assert!(shown.contains(&format!("{at}/leaky.json")), "{shown}");
    assert_eq!(fs::read_dir(folder.join("remote")).unwrap().count(), 0);
}
