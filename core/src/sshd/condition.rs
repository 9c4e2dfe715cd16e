//! The condition of a `Match` block, and whether it holds for somebody.

use super::address;
use super::pattern::{Listed, listed, matches};
use super::who::Who;

/// Whether a condition holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// It does.
    Yes,
    /// It does not.
    No,
    /// It depends on something that is not known here; both must be reckoned with.
    Unknown,
}

impl Holds {
    /// Both hold.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::No, _) | (_, Self::No) => Self::No,
            (Self::Yes, Self::Yes) => Self::Yes,
            _ => Self::Unknown,
        }
    }

    const fn from(yes: bool) -> Self {
        if yes { Self::Yes } else { Self::No }
    }
}

/// What stands behind `Match`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Condition(Vec<Criterion>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Criterion {
    All,
    User(Vec<u8>),
    Group(Vec<u8>),
    Host(Vec<u8>),
    Address(Vec<u8>),
    LocalAddress(Vec<u8>),
    LocalPort(u16),
    RDomain(Vec<u8>),
    InvalidUser,
    /// `exec`, or a criterion of another release.
    Undecidable,
}

impl Condition {
    /// Takes criteria and values in turn. The flag is true when sshd (9.2) would refuse the line.
    pub(super) fn parse(words: &[Vec<u8>]) -> (Self, bool) {
        let mut criteria = Vec::new();
        let mut refused = words.is_empty();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let name = word.to_ascii_lowercase();
            if name == b"all" || name == b"invalid-user" {
                let criterion =
                    if name == b"all" { Criterion::All } else { Criterion::InvalidUser };
                criteria.push(criterion);
                continue;
            }
            let Some(value) = words.next() else {
                refused = true;
                criteria.push(Criterion::Undecidable);
                break;
            };
            let criterion = Criterion::new(&name, value);
            refused |= criterion == Criterion::Undecidable;
            criteria.push(criterion);
        }
        refused |= criteria.contains(&Criterion::All) && criteria.len() > 1;
        (Self(criteria), refused)
    }

    /// True for `Match all`, which sshd also takes for global text.
    pub(super) fn is_all(&self) -> bool {
        self.0 == [Criterion::All]
    }

    pub(super) fn holds(&self, who: &Who) -> Holds {
        self.0.iter().fold(Holds::Yes, |holds, criterion| holds.and(criterion.holds(who)))
    }
}

impl Criterion {
    fn new(name: &[u8], value: &[u8]) -> Self {
        let value = value.to_vec();
        match name {
            b"user" => Self::User(value),
            b"group" => Self::Group(value),
            b"host" => Self::Host(value.to_ascii_lowercase()),
            b"address" if address::valid(&value) => Self::Address(value),
            b"localaddress" if address::valid(&value) => Self::LocalAddress(value),
            b"localport" => match std::str::from_utf8(&value).ok().and_then(|v| v.parse().ok()) {
                Some(port) => Self::LocalPort(port),
                // Out of range, or the name of a service.
                None => Self::Undecidable,
            },
            b"rdomain" => Self::RDomain(value),
            _ => Self::Undecidable,
        }
    }

    fn holds(&self, who: &Who) -> Holds {
        let known = |text: Option<&[u8]>, list: &[u8]| match text {
            Some(text) => Holds::from(listed(list, |p| matches(text, p)) == Listed::Yes),
            None => Holds::Unknown,
        };
        let network = |address: Option<_>, list: &[u8]| match address {
            Some(address) => Holds::from(address::lookup(address, list) == Some(Listed::Yes)),
            None => Holds::Unknown,
        };
        match self {
            Self::All => Holds::Yes,
            Self::User(list) => known(Some(&who.user.name), list),
            Self::Group(list) => Holds::from(in_group(&who.user.groups, list)),
            Self::Host(list) => known(who.host.as_deref(), list),
            Self::Address(list) => network(who.addr, list),
            Self::LocalAddress(list) => network(who.local_addr, list),
            Self::LocalPort(port) => {
                who.local_port.map_or(Holds::Unknown, |p| Holds::from(p == *port))
            }
            Self::RDomain(list) => known(who.rdomain.as_deref(), list),
            // Only for names that are no accounts; a `User` is one.
            Self::InvalidUser => Holds::No,
            Self::Undecidable => Holds::Unknown,
        }
    }
}

/// Negation wins over every group of the user.
fn in_group(groups: &[Vec<u8>], list: &[u8]) -> bool {
    let mut found = false;
    for group in groups {
        match listed(list, |pattern| matches(group, pattern)) {
            Listed::Negated => return false,
            Listed::Yes => found = true,
            Listed::No => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::who::User;
    use super::*;

    fn holds(words: &str, who: &Who) -> Holds {
        let words: Vec<_> = words.split(' ').map(|w| w.as_bytes().to_vec()).collect();
        Condition::parse(&words).0.holds(who)
    }

    #[test]
    fn criteria_are_joined_by_and() {
        let ann = User {
            name: b"ann".into(),
            uid: 1000,
            home: b"/home/ann".into(),
            groups: vec![b"ann".into(), b"ops".into()],
        };
        let mut who = Who::new(ann);
        for (words, expected) in [
            ("all", Holds::Yes),
            ("User ann", Holds::Yes),
            ("USER a*,!ann", Holds::No),
            ("user bob,ann group ops", Holds::Yes),
            ("group wheel,o?s", Holds::Yes),
            ("group *,!ops", Holds::No),
            ("address 10.0.0.0/8", Holds::Unknown),
            ("user bob address 10.0.0.0/8", Holds::No),
            ("exec true", Holds::Unknown),
            ("user bob exec true", Holds::No),
            ("invalid-user", Holds::No),
            ("localport 22", Holds::Unknown),
            ("host *.example.org", Holds::Unknown),
        ] {
            assert_eq!(holds(words, &who), expected, "{words}");
        }
        who.addr = Some("10.9.8.7".parse().unwrap());
        who.host = Some(b"a.example.org".into());
        who.local_port = Some(22);
        assert_eq!(holds("address 10.0.0.0/8", &who), Holds::Yes);
        assert_eq!(holds("host *.EXAMPLE.org", &who), Holds::Yes);
        assert_eq!(holds("localport 2222", &who), Holds::No);
    }

    #[test]
    fn what_sshd_refuses() {
        let refused = |words: &str| {
            let words: Vec<_> = words.split_whitespace().map(|w| w.as_bytes().to_vec()).collect();
            Condition::parse(&words).1
        };
        for words in ["", "user", "all user ann", "exec x", "localport 65536", "address 10.0.0.1/8"]
        {
            assert!(refused(words), "{words}");
        }
        assert!(!refused("user ann localport 22 rdomain x"));
    }
}
