//! Every way by which a key comes, through everything that happens to a machine.
//!
//! | event | what differs from the boot before | expected |
//! |---|---|---|
//! | first boot | | opens to the owner |
//! | reboot | nothing | opens, same host keys |
//! | stop and start | another MAC address | opens, same host keys |
//! | resize | a larger disk, fewer processors | opens, same host keys |
//! | snapshot restored | the disk as it was after the first boot | opens, same host keys |
//! | clone, not scrubbed, no key | another identity | closed, `identity-changed` |
//! | clone, not scrubbed, a key | another identity and key | opens to the heir alone |
//! | clone, scrubbed, no key | another identity | closed, `no-key` |
//! | clone, scrubbed, a key | another identity and key | opens to the heir alone |

use std::collections::BTreeSet;

use disinherit_tests::base::Base;
use disinherit_tests::ssh::{KeyPair, Proof};
use disinherit_tests::{Context, Result, expect};
use rand::Rng;

use super::disk::{A, B, C, Disk, Instance, Platform};
use super::ways::Way;

pub(crate) fn nocloud() -> Result {
    whole(Way::NoCloud, Base::bookworm()?)
}

pub(crate) fn config_drive() -> Result {
    whole(Way::ConfigDrive, Base::bookworm()?)
}

pub(crate) fn credential() -> Result {
    whole(Way::Credential, Base::bookworm()?)
}

pub(crate) fn drop_in() -> Result {
    whole(Way::DropIn, Base::bookworm()?)
}

pub(crate) fn offline() -> Result {
    whole(Way::Offline, Base::bookworm()?)
}

pub(crate) fn authorize() -> Result {
    whole(Way::Authorize, Base::bookworm()?)
}

/// All rows for one way.
pub(crate) fn whole(way: Way, base: Base) -> Result {
    let disk = way.disk(base)?;
    let owner = KeyPair::generate("owner")?;
    let first = way.give(&disk, with_card(way.platform(A, Some(&owner))?)?, &owner)?;
    first.expect_in(way.user(), &owner).context(|| "first boot".to_owned())?;
    first.expect_builder_refused(&disk.base)?;
    let host_keys = first.host_keys()?;
    let first_card = card(&first)?;
    first.off()?;
    let snapshot = disk.copy()?;
    let life = Life { way, owner: &owner, host_keys };

    life.goes_on(&disk, Ok, |_| Ok(())).context(|| "reboot".to_owned())?;
    life.goes_on(&disk, with_card, |instance| {
        let card = card(instance)?;
        expect(card != first_card, || format!("the card is {card} again"))
    })
    .context(|| "stop and start".to_owned())?;
    disk.layer.resize("3g")?;
    life.goes_on(&disk, on_one_processor, |instance| {
        let status = instance.file("/proc/1/status")?;
        expect(status.contains("Cpus_allowed_list:\t0\n"), || status.clone())
    })
    .context(|| "resize".to_owned())?;
    life.goes_on(&snapshot.copy()?, Ok, |_| Ok(())).context(|| "snapshot restored".to_owned())?;

    let clone = snapshot.copy()?;
    life.is_closed(&clone, "identity-changed").context(|| "clone, not scrubbed".to_owned())?;
    life.opens_to_an_heir(&clone).context(|| "clone, not scrubbed, with a key".to_owned())?;
    disk.scrub()?;
    let denied = disk.copy()?;
    life.is_closed(&denied, "no-key").context(|| "clone, scrubbed".to_owned())?;
    // A file that lay there before the boot may as well have been meant for the denied machine.
    if !matches!(way, Way::Offline | Way::DropIn) {
        life.opens_to_an_heir(&denied).context(|| "denied, then another machine".to_owned())?;
    }
    life.opens_to_an_heir(&disk).context(|| "clone, scrubbed, with a key".to_owned())
}

/// An instance that was adopted.
struct Life<'a> {
    way: Way,
    owner: &'a KeyPair,
    host_keys: BTreeSet<String>,
}

impl Life<'_> {
    /// The same machine boots again: the owner gets in, and nobody has to learn a new host key.
    fn goes_on(
        &self,
        disk: &Disk,
        change: impl FnOnce(Platform) -> Result<Platform>,
        check: impl FnOnce(&Instance) -> Result,
    ) -> Result {
        let instance = disk.boot(&change(self.way.platform(A, Some(self.owner))?)?)?;
        check(&instance)?;
        instance.expect_in(self.way.user(), self.owner)?;
        let same = instance.host_keys()? == self.host_keys;
        expect(same, || "host keys changed".to_owned())?;
        instance.off()
    }

    /// Another machine about which its platform says nothing.
    fn is_closed(&self, disk: &Disk, reason: &str) -> Result {
        let instance = disk.boot(&Platform::silent(B)?)?;
        instance.expect_closed(reason)?;
        instance.off()
    }

    /// A third machine, given to somebody else.
    fn opens_to_an_heir(&self, disk: &Disk) -> Result {
        let heir = KeyPair::generate("heir")?;
        let instance = self.handed_over(disk, &heir)?;
        let user = self.way.user();
        instance.expect_in(user, &heir)?;
        instance.expect_refused(user, Proof::Key(&self.owner.private()))?;
        let now = instance.host_keys()?;
        let kept: Vec<&String> = now.intersection(&self.host_keys).collect();
        expect(kept.is_empty(), || format!("host keys of the original: {kept:?}"))?;
        instance.off()
    }

    fn handed_over(&self, disk: &Disk, heir: &KeyPair) -> Result<Instance> {
        let platform = self.way.platform(C, Some(heir))?;
        let foreign = disk.path("/var/lib/disinherit/quarantine").exists();
        match self.way {
            // Only what the platform says itself counts on a disk that was somebody else's.
            Way::Offline | Way::Authorize if foreign => {
                let instance = disk.boot(&platform)?;
                instance.expect_closed("identity-changed")?;
                instance.authorize(self.way.user(), heir)?;
                Ok(instance)
            }
            way => way.give(disk, platform, heir),
        }
    }
}

/// A network card, whose MAC address systemd-nspawn makes from the machine's name.
fn with_card(platform: Platform) -> Result<Platform> {
    let number: u64 = rand::rng().random();
    Ok(platform.with("--network-veth".to_owned()).with(format!("--machine=m{number:x}")))
}

fn card(instance: &Instance) -> Result<String> {
    instance.file("/sys/class/net/host0/address")
}

fn on_one_processor(mut platform: Platform) -> Result<Platform> {
    platform.boot.one_processor = true;
    Ok(platform)
}
