//! For whom a configuration is asked about.

use std::net::IpAddr;

/// An account as far as sshd's configuration looks at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Login name.
    pub name: Vec<u8>,
    /// User id.
    pub uid: u32,
    /// Home directory as passwd has it.
    pub home: Vec<u8>,
    /// Names of all groups, the primary one among them.
    pub groups: Vec<Vec<u8>>,
}

/// A user and what is known about the connection; what is `None` makes a condition undecidable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Who {
    /// The account.
    pub user: User,
    /// Where the client is.
    pub addr: Option<IpAddr>,
    /// The client's host name in lower case; with `UseDNS no` (the default) its address.
    pub host: Option<Vec<u8>>,
    /// The address that the client connected to.
    pub local_addr: Option<IpAddr>,
    /// The port that the client connected to.
    pub local_port: Option<u16>,
    /// The routing domain.
    pub rdomain: Option<Vec<u8>>,
}

impl Who {
    /// A user about whose connection nothing is known.
    pub const fn new(user: User) -> Self {
        Self { user, addr: None, host: None, local_addr: None, local_port: None, rdomain: None }
    }
}
