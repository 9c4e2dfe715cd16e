//! No name in a plan, a report or a line of progress is a piece of a secret.

use proptest::prelude::*;

use super::tests::{FINDERS, text};
use super::{KeyPattern, Unfit, find};
use crate::catalogue::Finder;

/// A file of each family; `%` stands for the secret.
const FILES: &[(Finder, &[&str])] = &[
    (
        Finder::Settings,
        &[
            "password %\n",
            "password=%\n",
            "password:%\n",
            "password = %\n",
            "password : %\n",
            "\tset password %\n",
            "export db_password=%\n",
            "\"password\": \"%\"\n",
            "# password %\n",
            "#password:%\n",
            "user a password % b=c\n",
            "name: %passw=x1y2z3\n",
            "auth = { user = a, password % }\n",
            "auth { password:%; }\n",
            "auth { token %=a1b2c3 }\n",
        ],
    ),
    (Finder::Shell, &["TOKEN=%\n", "export TOKEN='%'\n", "# TOKEN=%\n", "setenv API_TOKEN %\n"]),
    (
        Finder::Code,
        &[
            "'password' => '%',\n",
            "'password %' => 'x1',\n",
            "\"password=%\": \"x1\"\n",
            "// $password = '%';\n",
        ],
    ),
    (
        Finder::Unit,
        &[
            "Environment=TOKEN=%\n",
            "Environment=\"TOKEN %=x1\" A=b\n",
            "Environment=\"TOKEN:%=x1\"\n",
            "SetCredential=token:%\n",
        ],
    ),
    (
        Finder::UnitArguments,
        &[
            "ExecStart=/a --token=% b\n",
            "ExecStart=/a --token %\n",
            "ExecStart=/a \"--token:%=x1\"\n",
        ],
    ),
    (Finder::CommandLine, &["a password=% ro\n", "password:%=x1\n"]),
    (Finder::MountOptions, &["//h/s /m cifs password=%,ro 0 0\n", "h /m cifs a,password:%=x1\n"]),
    (Finder::MountCredentials, &["password=%\n", "password %\n"]),
    (Finder::Rows, &["password %\n", "password:%\n"]),
    (Finder::Urls, &["https://user:%@h/x\n", "https://%@h/\n"]),
    (Finder::Json, &["{\"password\": \"%\"}", "{\"password %\": \"x1\", \"a\": 1}"]),
    (
        Finder::Yaml,
        &[
            "password: \"%\"\n",
            "password %: x1\na: b\n",
            "a: b\n# password: %\n",
            "a: b\n# password %: x1y2z3\n",
            "a: b\n# the password=%:x1y2z3\n",
        ],
    ),
    (Finder::Kubernetes, &["kind: Secret\ndata:\n  a: \"%\"\n"]),
    (Finder::Xml, &["<a><b password=\"%\"/></a>", "<a><b><password>%</password></b></a>"]),
    (Finder::Debconf, &["Name: a/password\nValue: %\n", "Name: a/password %\nValue: x1\n"]),
    (Finder::Grub, &["password root %\n", "GRUB2_PASSWORD=%\n"]),
];

fn keys() -> Vec<KeyPattern> {
    vec!["@secrets".parse().unwrap()]
}

fn names(finder: Finder, text: &[u8]) -> Result<Vec<String>, Unfit> {
    Ok(find(finder, text, &keys())?.into_iter().map(|cut| cut.what).collect())
}

#[test]
fn a_blank_that_separates_ends_the_name() {
    for text in ["password abc=def\n", "password:abc=def\n", "a = { password abc=def }\n"] {
        assert_eq!(names(Finder::Settings, text.as_bytes()).unwrap(), ["password"], "{text}");
    }
    let cuts = find(Finder::Settings, b"password abc=def\n", &keys()).unwrap();
    assert_eq!(cuts[0].secret, (9, 16), "all of it is searched for");
    assert_eq!(names(Finder::Settings, b"name: MyPassw0rd=x1\n").unwrap(), ["setting"]);
    assert_eq!(names(Finder::Yaml, b"# password abc: x1y2z3\n").unwrap(), ["password"]);
    let npm = b"//npm.example/:_authToken=npm_1\n";
    assert_eq!(names(Finder::Settings, npm).unwrap(), ["//npm.example/:_authToken"]);
}

#[test]
fn every_family_has_files_in_which_something_is_found() {
    for finder in FINDERS {
        let (_, files) = FILES.iter().find(|(f, _)| *f == finder).expect("files of the family");
        let first = files[0].replace('%', "QX7ZQ9");
        assert_eq!(names(finder, first.as_bytes()).map(|n| n.len()), Ok(1), "{finder:?}");
    }
}

/// Pieces in letters that no name has, between everything that separates.
fn secret() -> impl Strategy<Value = Vec<String>> {
    proptest::collection::vec("[QXZ][QXZ0-9]{3,5}[QXZ]", 1..4)
}

proptest! {
    #[test]
    fn no_name_holds_a_piece_of_the_secret(
        pieces in secret(),
        separators in proptest::collection::vec("[=:,;]| |=>|\t", 3),
    ) {
        let mut value = String::new();
        for (piece, separator) in pieces.iter().zip(&separators) {
            value = if value.is_empty() { piece.clone() } else { format!("{value}{separator}{piece}") };
        }
        for (finder, files) in FILES {
            for file in *files {
                let text = file.replacen('%', &value, 1);
                for name in names(*finder, text.as_bytes()).unwrap_or_default() {
                    let leaks = pieces.iter().any(|piece| name.contains(piece.as_str()));
                    prop_assert!(!leaks, "{finder:?}: {name:?} of {text:?}");
                }
            }
        }
    }

    #[test]
    fn no_name_goes_on_behind_a_separator(text in text()) {
        for finder in FINDERS {
            for name in names(finder, &text).unwrap_or_default() {
                let fixed = ["commented-out variable", "login in a URL"].contains(&name.as_str());
                let one = !name.contains([' ', '\t', '=', ':']) || name.starts_with("//");
                prop_assert!(fixed || one, "{finder:?}: {name:?}");
            }
        }
    }
}
