//! Trials with Debian's Packer 1.6.6, ssh to a sshd of our own on a loopback port.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use libtest_mimic::Trial;

use crate::sshd::{Sshd, may_log_in, packer, text, user};
use crate::tools::{install_as, missing, needing};

pub(crate) fn trials() -> Vec<Trial> {
    let mut missing = missing(&["packer", "sshd", "ssh-keygen"]);
    if !may_log_in() {
        missing.push("a login shell of the account that runs the tests".to_owned());
    }
    let name = "packer166::validates_and_builds_over_ssh";
    vec![needing(missing, name, validates_and_builds_over_ssh)]
}

fn validates_and_builds_over_ssh() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    fs::create_dir(folder.join("plugins")).unwrap();
    install_as(&folder.join("plugins"), "packer-provisioner-disinherit");
    let sshd = Sshd::start(folder);
    let content: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_le_bytes).take(3_000_000).collect();
    fs::write(folder.join("a"), &content).unwrap();
    let source = format!(
        "source \"null\" \"n\" {{\n communicator = \"ssh\"\n ssh_host = \"127.0.0.1\"\n \
         ssh_port = {}\n ssh_username = \"{}\"\n ssh_private_key_file = \"{}/user\"\n}}\n",
        sshd.port,
        user(),
        folder.display()
    );
    let template = |name: &str, body: &str| {
        let text = format!(
            "{source}build {{\n sources = [\"source.null.n\"]\n provisioner \"disinherit\" {{\n{body}\n }}\n}}\n"
        );
        fs::write(folder.join(name), text).unwrap();
    };
    let at = folder.display();
    template(
        "good.pkr.hcl",
        &format!(
            "steps = [\"say hello\", \"run echo tok-$((40+2)); exit 3\", \"feed wc -c\", \
             \"upload {at}/a {at}/b\", \"download {at}/b {at}/c\"]\n text = build.ID\n \
             rows = [{{ a = \"b\" }}]"
        ),
    );
    template("bad.pkr.hcl", "steps = [\"bad\"]");
    template("unknown.pkr.hcl", "steps = []\n tex = \"x\"");

    let good = packer(folder, "validate", "good.pkr.hcl");
    assert!(good.status.success(), "{}", text(&good));
    let bad = packer(folder, "validate", "bad.pkr.hcl");
    assert!(!bad.status.success(), "{}", text(&bad));
    assert!(text(&bad).contains("* first\n* second"), "{}", text(&bad));
    let unknown = packer(folder, "validate", "unknown.pkr.hcl");
    assert!(text(&unknown).contains("Did you mean \"text\"?"), "{}", text(&unknown));

    let build = packer(folder, "build", "good.pkr.hcl");
    let log = fs::read_to_string(folder.join("sshd.log")).unwrap();
    let shown = text(&build);
    assert!(build.status.success(), "{shown}\n{log}");
    for line in ["null.n: hello", "out tok-42", "status 3", "out 1048576", "status 0"] {
        assert!(shown.contains(line), "{line}: {shown}");
    }
    assert!(fs::read(folder.join("c")).unwrap() == content, "the copy differs");
}
