use super::*;

fn account(name: &str, had_password: bool) -> (String, Account) {
    let account = Account {
        name: name.to_owned(),
        uid: Some(1000),
        home: format!("/home/{name}"),
        shell: "/bin/bash".to_owned(),
        had_password,
    };
    (name.to_owned(), account)
}

#[test]
fn the_first_published_form_is_read_for_ever() {
    let pinned = include_bytes!("../../data/manifest-schema-1.json");
    let manifest = Manifest::from_json(pinned).unwrap();
    assert_eq!(manifest.accounts["builder"].uid, Some(1000));
    assert!(manifest.seals(&KeyHash([0x11; 32])));
    assert_eq!(manifest.to_json().as_bytes(), pinned, "pinned bytes");
}

#[test]
fn another_schema_is_refused_and_unknown_members_are_not() {
    let newer = br#"{"schema":2,"version":"9"}"#;
    let report = Manifest::from_json(newer).unwrap_err().report();
    assert!(report.contains("schema 2"), "{report}");
    assert!(Manifest::from_json(br#"{"schema":1,"version":"9","later":true}"#).is_ok());
}

#[test]
fn extending_never_forgets() {
    let mut first = Manifest::default();
    first.keys.insert(KeyHash([1; 32]));
    first.accounts.extend([account("builder", true)]);
    let mut second = Manifest::default();
    second.keys.insert(KeyHash([2; 32]));
    second.accounts.extend([account("builder", false), account("app", false)]);
    let first = first.extend(&second);
    assert_eq!(first.keys.len(), 2);
    assert!(first.accounts["builder"].had_password, "scrubbed before, still inherited");
    assert!(!first.accounts["app"].had_password);
    assert_eq!(first.clone().extend(&second), first);
}

#[test]
fn fingerprints_are_those_of_ssh_keygen() {
    let empty = KeyHash::of(b"");
    assert_eq!(empty.fingerprint(), "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU");
}
