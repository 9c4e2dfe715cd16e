//! What kind of place a folder is, which decides what a match in it means.

use serde::Deserialize;

use crate::catalogue::{Part, Pattern};
use crate::{Error, ImagePath, Result};

/// The places as they are written down.
const PLACES: &str = include_str!("../../catalogue/content-places.yaml");

/// A kind of place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Zone {
    /// Documentation and what packages test themselves with: not looked into.
    Exempt,
    /// A home of a person, or a hidden name in that of a service.
    Home,
    /// What is written here is meant for a while.
    Temporary,
    /// Logs.
    Log,
    /// Older copies of something.
    Backup,
    /// Came with the system.
    Vendor,
    /// Everything else: configuration, applications, data.
    System,
}

impl Zone {
    /// True where what is surely a secret goes without being asked.
    pub fn is_leftover(self) -> bool {
        matches!(self, Self::Home | Self::Temporary | Self::Log | Self::Backup)
    }

    /// True where a file with a secret in it goes as a whole.
    pub fn is_disposable(self) -> bool {
        matches!(self, Self::Temporary | Self::Log | Self::Backup)
    }
}

/// The homes of an image, by their real paths.
#[derive(Debug, Clone, Default)]
pub struct Homes {
    /// Of people: everything in them is theirs.
    pub people: Vec<ImagePath>,
    /// Of services: only hidden names in them are what somebody left, the rest is the service's data.
    pub services: Vec<ImagePath>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    exempt: Vec<Pattern>,
    temporary: Vec<Pattern>,
    log: Vec<Pattern>,
    backup: Vec<Pattern>,
    vendor: Vec<Pattern>,
    own: Vec<Pattern>,
    boot: Vec<Pattern>,
    copies: Vec<String>,
}

/// The kinds of all places.
#[derive(Debug)]
pub struct Zones {
    kinds: Vec<(Zone, Vec<Pattern>)>,
    boot: Vec<Pattern>,
    copies: Vec<Part>,
    homes: Homes,
}

impl Zones {
    /// The places of the catalogue, and these homes.
    ///
    /// # Errors
    /// A broken catalogue, which the tests exclude for a release.
    pub fn new(homes: Homes) -> Result<Self> {
        let failed = |e: String| Error::failed("read", "the places of the content scan").because(e);
        let places: Written = serde_yaml::from_str(PLACES).map_err(|e| failed(e.to_string()))?;
        let mut copies = Vec::new();
        for text in places.copies {
            let pattern: Pattern = format!("/{text}").parse().map_err(|_| failed(text))?;
            copies.extend(pattern.alternatives().iter().flat_map(|a| a.parts.clone()));
        }
        let kinds = vec![
            (Zone::Exempt, places.exempt),
            (Zone::Temporary, places.temporary),
            (Zone::Log, places.log),
            (Zone::Backup, places.backup),
            (Zone::System, places.own),
            (Zone::Vendor, places.vendor),
        ];
        Ok(Self { kinds, boot: places.boot, copies, homes })
    }

    /// The kind of the folder `path`, which lies in a folder of the kind `above`. `path` is real.
    pub fn of_folder(&self, path: &ImagePath, above: Zone) -> Zone {
        if above == Zone::Exempt {
            return above;
        }
        let named =
            self.kinds.iter().find(|(_, patterns)| patterns.iter().any(|p| p.matches(path)));
        match named {
            Some((zone, _)) => *zone,
            None if self.homes.people.contains(path) => Zone::Home,
            None if self.is_hidden_in_service(path) => Zone::Home,
            None => above,
        }
    }

    /// The kind of the file `name` in the folder `folder` of the kind `above`.
    pub fn of_file(&self, folder: &ImagePath, name: &[u8], above: Zone) -> Zone {
        match above {
            Zone::System if self.copies.iter().any(|part| part.matches(name)) => Zone::Backup,
            Zone::System if name.starts_with(b".") && self.homes.services.contains(folder) => {
                Zone::Home
            }
            _ => above,
        }
    }

    /// True for kernels and their modules: a byte that changes in one keeps the image from booting.
    pub fn is_boot(&self, path: &ImagePath) -> bool {
        self.boot.iter().any(|pattern| pattern.matches(path))
    }

    fn is_hidden_in_service(&self, path: &ImagePath) -> bool {
        let hidden = path.file_name().is_some_and(|name| name.starts_with(b"."));
        hidden && path.parent().is_some_and(|above| self.homes.services.contains(&above))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The kind of a file, from the root down.
    fn zone(path: &str) -> Zone {
        let homes = Homes {
            people: ["/root", "/srv/Ann Lee"].map(ImagePath::literal).to_vec(),
            services: vec![ImagePath::literal("/var/lib/pg")],
        };
        let zones = Zones::new(homes).unwrap();
        let path = ImagePath::new(path).unwrap();
        let (mut zone, mut at) = (Zone::System, ImagePath::root());
        let folder = path.parent().unwrap();
        for name in folder.components() {
            at = at.join(name).unwrap();
            zone = zones.of_folder(&at, zone);
        }
        zones.of_file(&folder, path.file_name().unwrap(), zone)
    }

    #[test]
    fn places_are_what_they_are_called() {
        assert_eq!(zone("/etc/app/conf"), Zone::System);
        assert_eq!(zone("/root/x/conf"), Zone::Home);
        assert_eq!(zone("/srv/Ann Lee/a"), Zone::Home);
        assert_eq!(zone("/var/lib/pg/15/server.key"), Zone::System);
        assert_eq!(zone("/var/lib/pg/.pgpass"), Zone::Home);
        assert_eq!(zone("/var/lib/pg/.aws/credentials"), Zone::Home);
        assert_eq!(zone("/var/log/app/x.log"), Zone::Log);
        assert_eq!(zone("/etc/app/conf.bak"), Zone::Backup);
        assert_eq!(zone("/usr/share/doc/x/key.pem"), Zone::Exempt);
        assert_eq!(zone("/usr/lib/python3/dist-packages/x/tests/key.pem"), Zone::Exempt);
        assert_eq!(zone("/usr/lib/python3/dist-packages/x/conf.py"), Zone::Vendor);
        assert_eq!(zone("/usr/local/bin/deploy"), Zone::System);
        assert_eq!(zone("/root/venv/lib/python3/site-packages/x.py"), Zone::Vendor);
        assert_eq!(zone("/root/tests/key.pem"), Zone::Home);
    }
}
