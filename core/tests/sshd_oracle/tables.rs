//! Configurations with a point each.

use disinherit_core::sshd::What;

/// File names below `/etc/ssh` and their texts.
pub(crate) type Tree = &'static [(&'static str, &'static str)];

pub(crate) const TABLE: &[&str] = &[
    "",
    "pOrT=2200\nPort = 2201 # two\n\"Port\" 2202\nPort\t\"2203\"\r\n",
    "AuthorizedKeysFile \"/a b\" /c\\ d '/e f' # none\n",
    "AuthorizedKeysFile none\nAuthorizedKeysFile /x\n",
    "AuthorizedKeysFile /a#b /%u/%h\t/%%\n",
    "MaxSessions 3\nMaxSessions 4\nMatch User root\nMaxSessions 5\nMaxSessions 6\nMatch all\nMaxSessions 7\n",
    "Match User roo?,nobod* Address 10.0.0.0/8\nMaxSessions 5\nMatch User *,!root\nMaxSessions 6\n",
    "Match Group root\nMaxSessions 2\nMatch Group nog*,daemon\nMaxSessions 3\n",
    "Match Group *,!root\nMaxSessions 2\n",
    "Match Address 10.1.*,2001:db8::/32,!10.1.2.3\nMaxSessions 2\n",
    "Match Host *.EXAMPLE.org,!b.*\nMaxSessions 2\nMatch Host *.net\nMaxSessions 3\n",
    "Match LocalPort 22 LocalAddress 192.0.2.0/24\nMaxSessions 2\n",
    "Match User=root\nMaxSessions 2\nMatch \"User\" \"daemon\" # c\nMaxSessions 3\n",
    "UsePAM no\nMatch all\nUsePAM yes\nPort 22\nPort 23\n",
    "Match all\nUsePAM no\nAllowUsers a\nMatch User root\nAllowUsers b c\n",
    "AllowUsers a b\nAllowUsers c\nMatch User root\nAllowUsers d\nMatch all\nAllowUsers e\n",
    "AllowGroups a\nMatch User root\nDenyUsers x y\nDenyUsers z\n",
    "ChallengeResponseAuthentication no\nPasswordAuthentication yes\nMatch User root\nSkeyAuthentication yes\n",
    "Max\0gone\nSessions 5\nMaxAuthTries 3\n",
    "Banner /a\\b\nMaxSessions 3 \x0c\n \t MaxAuthTries 2\n",
    "AcceptEnv A B\nAcceptEnv C*\nMatch User nobody\nAcceptEnv D\n",
    "Match User root\nPasswordAuthentication yes\nPermitRootLogin yes\nMatch all\nPasswordAuthentication no\n",
];

pub(crate) const TREES: &[Tree] = &[
    &[
        ("sshd_config", "Include d/*.conf\nMaxSessions 9\n"),
        ("d/2.conf", "MaxSessions 2\n"),
        ("d/1.conf", "MaxSessions 1\n"),
        ("d/.0.conf", "MaxSessions 8\n"),
        ("d/3.bak", "MaxAuthTries 1\n"),
    ],
    &[
        ("sshd_config", "Include /etc/ssh/b \"/etc/ssh/a\" none-such\n"),
        ("a", "MaxSessions 1\nMaxAuthTries 1\n"),
        ("b", "MaxSessions 2\n"),
    ],
    &[("sshd_config", "Include a\nMaxAuthTries 4\n"), ("a", "Match User root\nMaxAuthTries 3\n")],
    &[
        (
            "sshd_config",
            "Match User root\nInclude a\nMaxAuthTries 4\nMatch User daemon\nMaxAuthTries 5\n",
        ),
        ("a", "Match Address 10.0.0.0/8\nMaxAuthTries 3\nMaxSessions 2\n"),
    ],
    &[
        ("sshd_config", "Match User root\nInclude a\n"),
        ("a", "MaxSessions 3\nMatch all\nMaxAuthTries 3\n"),
    ],
    &[
        ("sshd_config", "Match all\nInclude a\nMaxSessions 1\n"),
        ("a", "UsePAM no\nMatch all\nMaxAuthTries 3\nPort 7\n"),
    ],
    &[
        ("sshd_config", "Include x/*/y.conf\n"),
        ("x/a/y.conf", "MaxSessions 3\n"),
        ("x/b/y.conf", "MaxAuthTries 3\n"),
        ("x/b/z.conf", "MaxSessions 1\n"),
    ],
    &[
        ("sshd_config", "Include [^a]x [!b]y [a-c]z \\*w\n"),
        ("cx", "MaxSessions 1\n"),
        ("^x", "MaxSessions 2\n"),
        ("by", "MaxAuthTries 1\n"),
        ("ay", "MaxAuthTries 2\n"),
        ("bz", "UsePAM no\n"),
        ("*w", "Port 7\n"),
        ("ww", "Port 8\n"),
    ],
    &[
        ("sshd_config", "Include 00\nInclude 99\nPasswordAuthentication yes\n"),
        ("00", "PasswordAuthentication no\nMatch all\nPasswordAuthentication no\n"),
        ("99", "Match User root\nPasswordAuthentication yes\n"),
    ],
];

pub(crate) const REFUSED: &[(Tree, What)] = &[
    (&[("sshd_config", "Port\n")], What::NoArgument),
    (&[("sshd_config", "Banner \"/x\n")], What::OpenQuote),
    (&[("sshd_config", "Banner it's\n")], What::OpenQuote),
    (&[("sshd_config", "Match exec true\nPort 1\n")], What::BadMatch),
    (&[("sshd_config", "Match all User root\n")], What::BadMatch),
    (&[("sshd_config", "Match User\n")], What::BadMatch),
    (&[("sshd_config", "Match Address 10.0.0.1/8\n")], What::BadMatch),
    (&[("sshd_config", "Match Address 10.0.0.0/33\n")], What::BadMatch),
    (&[("sshd_config", "Match LocalPort 65536\n")], What::BadMatch),
    (&[("sshd_config", "Include a\n"), ("a", "Include a\n")], What::IncludeTooDeep),
    (&[("sshd_config", "Include \"\"\n")], What::NoArgument),
];
