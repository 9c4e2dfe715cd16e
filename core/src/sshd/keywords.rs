//! What sshd_config(5) says about single keywords: synonyms, which of them add up, and which may
//! stand in a `Match` block.

/// Synonyms that sshd still reads, and what they stand for.
const SYNONYMS: [(&str, &str); 7] = [
    ("challengeresponseauthentication", "kbdinteractiveauthentication"),
    ("skeyauthentication", "kbdinteractiveauthentication"),
    ("dsaauthentication", "pubkeyauthentication"),
    ("hostdsakey", "hostkey"),
    ("hostbasedacceptedkeytypes", "hostbasedacceptedalgorithms"),
    ("keepalive", "tcpkeepalive"),
    ("pubkeyacceptedkeytypes", "pubkeyacceptedalgorithms"),
];

/// Keywords of which every line counts, not the first only.
const ADDING: [&str; 10] = [
    "acceptenv",
    "allowgroups",
    "allowusers",
    "denygroups",
    "denyusers",
    "hostcertificate",
    "hostkey",
    "listenaddress",
    "port",
    "subsystem",
];

/// Keywords that a `Match` block can set for a connection (sshd_config(5), "Match").
const MATCHABLE: &[&str] = &[
    "acceptenv",
    "allowagentforwarding",
    "allowgroups",
    "allowstreamlocalforwarding",
    "allowtcpforwarding",
    "allowusers",
    "authenticationmethods",
    "authorizedkeyscommand",
    "authorizedkeyscommanduser",
    "authorizedkeysfile",
    "authorizedprincipalscommand",
    "authorizedprincipalscommanduser",
    "authorizedprincipalsfile",
    "banner",
    "casignaturealgorithms",
    "channeltimeout",
    "chrootdirectory",
    "clientalivecountmax",
    "clientaliveinterval",
    "denygroups",
    "denyusers",
    "disableforwarding",
    "exposeauthinfo",
    "forcecommand",
    "gatewayports",
    "gssapiauthentication",
    "hostbasedacceptedalgorithms",
    "hostbasedauthentication",
    "hostbasedusesnamefrompacketonly",
    "ignorerhosts",
    "ipqos",
    "kbdinteractiveauthentication",
    "kerberosauthentication",
    "loglevel",
    "maxauthtries",
    "maxsessions",
    "passwordauthentication",
    "permitemptypasswords",
    "permitlisten",
    "permitopen",
    "permitrootlogin",
    "permittty",
    "permittunnel",
    "permituserrc",
    "pubkeyacceptedalgorithms",
    "pubkeyauthentication",
    "pubkeyauthoptions",
    "rdomain",
    "refuseconnection",
    "rekeylimit",
    "revokedkeys",
    "setenv",
    "streamlocalbindmask",
    "streamlocalbindunlink",
    "subsystem",
    "trustedusercakeys",
    "unusedconnectiontimeout",
    "x11displayoffset",
    "x11forwarding",
    "x11uselocalhost",
];

/// The keyword in lower case, synonyms resolved.
pub(super) fn canonical(keyword: &str) -> String {
    let keyword = keyword.to_ascii_lowercase();
    SYNONYMS
        .iter()
        .find(|(synonym, _)| *synonym == keyword)
        .map_or(keyword, |(_, name)| (*name).to_string())
}

pub(super) fn adds_up(canonical: &str) -> bool {
    ADDING.contains(&canonical)
}

pub(super) fn matchable(canonical: &str) -> bool {
    MATCHABLE.contains(&canonical)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_lower_case_and_sorted() {
        assert!(MATCHABLE.is_sorted() && ADDING.is_sorted());
        assert!(MATCHABLE.iter().chain(&ADDING).all(|k| canonical(k) == **k));
        assert_eq!(canonical("ChallengeResponseAuthentication"), "kbdinteractiveauthentication");
    }
}
