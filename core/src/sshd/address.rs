//! Address lists of `Match Address`: wildcards, addresses and CIDR networks (sshd_config(5)).

use std::net::IpAddr;

use super::pattern::{Listed, listed, matches};

/// Looks an address up in a comma separated list. `None` when an entry is empty, or a network has
/// a prefix that is too long or host bits set: sshd does not start with such a list.
pub(super) fn lookup(address: IpAddr, list: &[u8]) -> Option<Listed> {
    if !valid(list) {
        return None;
    }
    let text = address.to_string();
    Some(listed(list, |entry| match Network::parse(entry) {
        Some(network) => network.contains(address),
        None => matches(text.as_bytes(), entry),
    }))
}

/// True when sshd accepts the list.
pub(super) fn valid(list: &[u8]) -> bool {
    list.split(|b| *b == b',').all(|entry| {
        let entry = entry.strip_prefix(b"!").unwrap_or(entry);
        !entry.is_empty() && Network::parse(entry).is_none_or(|network| network.valid())
    })
}

/// Addresses with a common prefix, of one family.
struct Network {
    address: u128,
    prefix: u32,
    v6: bool,
}

impl Network {
    /// `None` for what is no address and no network: a wildcard, or text.
    fn parse(entry: &[u8]) -> Option<Self> {
        let entry = std::str::from_utf8(entry).ok()?;
        let (address, prefix) = match entry.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix.parse::<u32>().ok()?)),
            None => (entry, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let prefix = prefix.unwrap_or(if address.is_ipv6() { 128 } else { 32 });
        // Up to 128 it is meant as a prefix, also for IPv4 where it is then wrong; beyond, as text.
        (prefix <= 128).then_some(Self { address: bits(address), prefix, v6: address.is_ipv6() })
    }

    fn valid(&self) -> bool {
        self.prefix <= self.width() && self.address & self.host_mask() == 0
    }

    fn width(&self) -> u32 {
        if self.v6 { 128 } else { 32 }
    }

    fn host_mask(&self) -> u128 {
        match self.width().saturating_sub(self.prefix) {
            128 => u128::MAX,
            host => (1 << host) - 1,
        }
    }

    fn contains(&self, address: IpAddr) -> bool {
        self.v6 == address.is_ipv6() && (bits(address) ^ self.address) & !self.host_mask() == 0
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(u32::from(v4)),
        IpAddr::V6(v6) => u128::from(v6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_wildcards_and_negation() {
        let look = |address: &str, list: &str| lookup(address.parse().unwrap(), list.as_bytes());
        assert_eq!(look("10.1.2.3", "10.0.0.0/8"), Some(Listed::Yes));
        assert_eq!(look("10.1.2.3", "10.0.0.0/8,!10.1.2.3"), Some(Listed::Negated));
        assert_eq!(look("10.1.2.3", "10.1.*"), Some(Listed::Yes));
        assert_eq!(look("11.1.2.3", "10.0.0.0/8,::/0"), Some(Listed::No));
        assert_eq!(look("11.1.2.3", "0.0.0.0/0"), Some(Listed::Yes));
        assert_eq!(look("fe80::1", "fe80::/10"), Some(Listed::Yes));
        assert_eq!(look("fe80::1", "::/0"), Some(Listed::Yes));
        assert_eq!(look("10.1.2.3", "10.1.2.0/8"), None, "host bits");
        assert_eq!(look("10.1.2.3", "10.0.0.0/33"), None, "too long");
        assert_eq!(look("10.1.2.3", "10.0.0.0/129"), Some(Listed::No), "text");
        assert_eq!(look("10.1.2.3", "10.0.0.0/8,"), None, "empty entry");
    }
}
