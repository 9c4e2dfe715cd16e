//! Services that write when they stop: after a scrub an ordinary shutdown writes nothing of theirs.
//! The base has neither chrony nor NetworkManager; units with their names do what they do.

use std::os::unix::fs::symlink;

use disinherit_tests::base::Base;
use disinherit_tests::layer::Layer;
use disinherit_tests::nspawn::{Boot, Container};
use disinherit_tests::{Result, expect, failed};

/// A unit and the file that it writes as its last words.
const WRITERS: &[(&str, &str)] = &[
    ("chrony", "var/lib/chrony/chrony.drift"),
    ("NetworkManager", "var/lib/NetworkManager/timestamps"),
];

pub(super) fn have_no_last_words() -> Result {
    let tree = Base::bookworm()?.tree()?;
    // Without a scrub they write: else the test would prove nothing.
    for scrubbed in [false, true] {
        let layer = Layer::over(&tree)?;
        install(&layer)?;
        let container = Container::boot(&layer, &Boot::with_programs()?)?;
        container.wait_running()?;
        for (unit, _) in WRITERS {
            container.run(&["systemctl", "is-active", unit])?;
        }
        if scrubbed {
            scrub(&container)?;
        }
        container.power_off()?;
        for (unit, file) in WRITERS {
            let there = layer.root().join(file).exists();
            expect(there != scrubbed, || format!("scrubbed: {scrubbed}; {unit}: {there}"))?;
        }
    }
    Ok(())
}

fn install(layer: &Layer) -> Result {
    let script = "#!/bin/sh\n\
        trap 'mkdir -p \"${1%/*}\"; echo last words > \"$1\"; exit 0' TERM\n\
        systemd-notify --ready\n\
        while :; do sleep 1000 & wait $!; done\n";
    layer.write("/usr/local/sbin/last-words", 0o755, script)?;
    for (unit, file) in WRITERS {
        let text = format!(
            "[Service]\nType=notify\nNotifyAccess=all\nRestart=on-failure\n\
             ExecStart=/usr/local/sbin/last-words /{file}\n"
        );
        layer.write(&format!("/etc/systemd/system/{unit}.service"), 0o644, text)?;
        let wants = layer.root().join("etc/systemd/system/multi-user.target.wants");
        symlink(format!("../{unit}.service"), wants.join(format!("{unit}.service")))?;
    }
    Ok(())
}

fn scrub(container: &Container) -> Result {
    container.run(&["umount", "/etc/fstab"])?;
    let program = "/opt/programs/packer-plugin-disinherit";
    let words = [program, "scrub", "--live", "--yes", "--erase", "files", "--firstboot", "none"];
    let output = container.exec(&words)?;
    if output.status.code() != Some(0) {
        let said = disinherit_tests::command::said(&output);
        return Err(failed(format!("{}: {said}", output.status)));
    }
    Ok(())
}
