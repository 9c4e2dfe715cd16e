//! The scrubbed tree of the written corpus boots, twice, as two machines.

use std::collections::BTreeSet;
use std::time::Duration;

use disinherit_tests::layer::Layer;
use disinherit_tests::needs::Need;
use disinherit_tests::nspawn::{Boot, Container};
use disinherit_tests::promise::DEFAULT_USER;
use disinherit_tests::ssh::{Door, KeyPair, Proof};
use disinherit_tests::{Context, Result, expect};

use super::{Trialled, corpus};

pub(super) const NEEDS: &[Need] =
    &[Need::Root, Need::Mount, Need::Nspawn, Need::BaseTools, Need::Ssh, Need::Dist];

const SOON: Duration = Duration::from_secs(60);

/// What tells one machine from another.
struct Identity {
    machine_id: String,
    host_keys: BTreeSet<String>,
}

/// T36, T37, T43: sshd and cloud-init run, each clone with an identity that neither the image nor the
/// other clone has, whatever agents and services have left in the tree.
pub(super) fn boot() -> Result {
    let trial = Trialled::run(corpus::plant, &["--content", "remove"])?;
    let secrets = trial.world.secrets().iter();
    let planted: BTreeSet<String> = secrets
        .filter(|secret| secret.path.ends_with("machine-id"))
        .map(|secret| String::from_utf8_lossy(&secret.needle).into_owned())
        .collect();
    expect(!planted.is_empty(), || "no machine ID was planted".to_owned())?;
    let one = launch(&trial.layer, "11111111-0000-4000-8000-000000000001")?;
    let two = launch(&trial.layer, "22222222-0000-4000-8000-000000000002")?;
    let ids = [&one.machine_id, &two.machine_id];
    let inherited = ids.iter().any(|id| planted.contains(id.as_str()));
    expect(!inherited && ids[0] != ids[1], || format!("machine IDs {ids:?}, planted {planted:?}"))?;
    let shared: Vec<&String> = one.host_keys.intersection(&two.host_keys).collect();
    expect(shared.is_empty(), || format!("host keys of both: {shared:?}"))
}

fn launch(scrubbed: &Layer, uuid: &str) -> Result<Identity> {
    let layer = Layer::over(&scrubbed.root())?;
    let (owner, seed) = (KeyPair::generate("owner@laptop")?, tempfile::tempdir()?);
    let about = serde_json::json!({
        "instance-id": format!("i-{uuid}"), "public-keys": [owner.public()?],
    });
    std::fs::write(seed.path().join("meta-data"), about.to_string())?;
    std::fs::write(seed.path().join("user-data"), "#cloud-config\nlocale: false\n")?;
    let boot = Boot {
        options: vec![
            format!("--set-credential=disinherit.identity:{uuid}"),
            format!("--uuid={uuid}"),
            format!("--bind-ro={}:/var/lib/cloud/seed/nocloud", seed.path().display()),
        ],
        ..Boot::default()
    };
    let container = Container::boot(&layer, &boot)?;
    container.wait_running()?;
    let door = Door::of_container(&container);
    door.wait_login(DEFAULT_USER, Proof::Key(&owner.private()), SOON)
        .context(|| format!("console:\n{}", container.console()))?;
    let status = container.exec(&["cloud-init", "status", "--long"])?;
    let status = String::from_utf8_lossy(&status.stdout).into_owned();
    expect(status.contains("status: done"), || format!("cloud-init: {status}"))?;
    for unit in ["ssh.service", "cloud-final.service"] {
        let state = container.exec(&["systemctl", "is-active", unit])?;
        let state = String::from_utf8_lossy(&state.stdout).trim().to_owned();
        expect(state == "active", || format!("{unit} is {state}\n{}", container.console()))?;
    }
    let machine_id = container.run(&["cat", "/etc/machine-id"])?.trim().to_owned();
    let identity = Identity { machine_id, host_keys: door.host_keys()? };
    container.power_off()?;
    Ok(identity)
}
