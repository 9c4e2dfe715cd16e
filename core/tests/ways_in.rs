//! What docs/firstboot.md calls open and reported is reported: an audit names it.

use std::fs;
use std::os::unix::fs::symlink;

use disinherit_core::pipeline::{self, Job};
use disinherit_core::policy::{Fragment, Settings};
use disinherit_core::report::Mode;
use disinherit_core::root::Root;

#[test]
fn an_audit_names_the_ways_in_that_stay_open() {
    let folder = tempfile::tempdir().unwrap();
    let put = |path: &str, text: &str| {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    put("etc/passwd", "root:x:0:0::/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\n");
    put("etc/shadow", "root:*:1::::::\nann:*:1::::::\n");
    put("etc/ssh/sshd_config", "Include /etc/ssh/sshd_config.d/*.conf\n");
    let autologin = "/etc/systemd/system/getty@tty1.service.d/autologin.conf";
    put(
        autologin.trim_start_matches('/'),
        "[Service]\nExecStart=\nExecStart=-/sbin/agetty --autologin ann %I\n",
    );
    let sudo = "/etc/sudoers.d/90-ann";
    put(sudo.trim_start_matches('/'), "ann ALL=(ALL) NOPASSWD: ALL\n");
    let shell = "/etc/systemd/system/sysinit.target.wants/debug-shell.service";
    put("usr/lib/systemd/system/debug-shell.service", "[Service]\nExecStart=/bin/sh\n");
    fs::create_dir_all(folder.path().join("etc/systemd/system/sysinit.target.wants")).unwrap();
    symlink(
        "/usr/lib/systemd/system/debug-shell.service",
        folder.path().join(shell.trim_start_matches('/')),
    )
    .unwrap();

    let settings = Settings::new(Fragment::default()).unwrap();
    let root = Root::offline(folder.path()).unwrap();
    let job = Job { settings: &settings, firstboot: None, mode: Mode::Audit };
    let report = pipeline::run(&root, &job, &mut ()).unwrap().1;
    for (rule, path) in
        [("acc-autologin", autologin), ("acc-sudoers-dropin", sudo), ("acc-debug-shell", shell)]
    {
        let named = report.findings.iter().any(|f| f.rule == rule && f.path.to_string() == path);
        assert!(named, "{rule} at {path} is not reported: {:#?}", report.findings);
    }
}
