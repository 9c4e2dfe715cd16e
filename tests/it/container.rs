//! The dirty base boots in a container as it is; what the other topics build on.

use disinherit_tests::base::Base;
use disinherit_tests::layer::Layer;
use disinherit_tests::needs::{Need, trial};
use disinherit_tests::nspawn::{Boot, Container};
use disinherit_tests::{Result, expect};
use libtest_mimic::Trial;

const NEEDS: &[Need] = &[Need::Root, Need::Mount, Need::Nspawn, Need::BaseTools];

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("container::dirty_base_holds_what_it_lists", NEEDS, dirty_base_holds_what_it_lists),
        trial("container::dirty_base_boots_and_serves_ssh", NEEDS, dirty_base_boots_and_serves_ssh),
    ]
}

fn dirty_base_holds_what_it_lists() -> Result {
    let base = Base::bookworm()?;
    let tree = base.tree()?;
    let planted = base.planted()?;
    expect(planted.len() >= 15, || format!("only {} secrets planted", planted.len()))?;
    for secret in planted {
        expect(secret.value.len() >= 16, || format!("{}: too short to search for", secret.id))?;
        let content = std::fs::read(tree.join(secret.path.trim_start_matches('/')))?;
        let found = content.windows(secret.value.len()).any(|part| part == secret.value.as_bytes());
        expect(found, || format!("{} is not in {}", secret.id, secret.path))?;
    }
    Ok(())
}

fn dirty_base_boots_and_serves_ssh() -> Result {
    let layer = Layer::over(&Base::bookworm()?.tree()?)?;
    let container = Container::boot(&layer, &Boot::default())?;
    let state = container.wait_running()?;
    expect(state == "running", || format!("{state}\n{}", container.console()))?;
    let sshd = container.run(&["systemctl", "is-active", "ssh.service"])?;
    expect(sshd.trim() == "active", || format!("ssh.service is {sshd}"))?;
    // More than the pipes hold, in both directions at once.
    let much = vec![b'x'; 1 << 20];
    let echoed = container.exec_with(&["cat"], &much)?;
    expect(echoed.stdout == much, || format!("{} of {} bytes", echoed.stdout.len(), much.len()))?;
    container.power_off()
}
