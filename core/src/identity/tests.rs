use super::uuid::{hyphenate, swapped};
use super::*;
use proptest::prelude::*;

fn dmi(value: &str) -> Identity {
    Identity::from_sources([("dmi-product-uuid", Some(value.to_owned()))])
}

#[test]
fn case_hyphens_and_line_ends_do_not_matter() {
    let plain = dmi("4c4c4544-0042-3510-8052-b4c04f4a4d31");
    for other in [
        "4C4C4544-0042-3510-8052-B4C04F4A4D31\n",
        "{4c4c4544-0042-3510-8052-b4c04f4a4d31}",
        "4c4c45440042351080 52b4c04f4a4d31".replace(' ', "").as_str(),
        "4c4c4544-0042-3510-8052-b4c04f4a4d31\0",
    ] {
        assert_eq!(dmi(other), plain, "{other:?}");
    }
}

#[test]
fn the_byte_swapped_form_is_the_same_machine() {
    let before = dmi("4c4c4544-0042-3510-8052-b4c04f4a4d31");
    let after = dmi("44454c4c-4200-1035-8052-b4c04f4a4d31");
    assert_eq!(after.compare(&before), Comparison::Same);
    let other = dmi("44454c4c-4200-1035-8052-b4c04f4a4d32");
    assert!(matches!(other.compare(&before), Comparison::Different { .. }));
}

#[test]
fn junk_names_no_machine() {
    for junk in [
        "00000000-0000-0000-0000-000000000000",
        "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF",
        "03000200-0400-0500-0006-000700080009",
        "00020003-0004-0005-0006-000700080009",
        "Not Settable",
        "",
    ] {
        assert!(dmi(junk).is_empty(), "{junk}");
    }
}

#[test]
fn a_source_that_comes_or_goes_is_no_change() {
    let with = dmi("4c4c4544-0042-3510-8052-b4c04f4a4d31");
    let without = Identity::default();
    assert_eq!(without.compare(&with), Comparison::Unknown);
    assert_eq!(with.compare(&without), Comparison::Unknown);
    let mut recorded = without;
    assert!(recorded.complete(&with));
    assert_eq!(recorded, with);
}

#[test]
fn containers_take_the_managers_credential_and_machines_do_not() {
    let dir = tempfile::tempdir().unwrap();
    let put = |path: &str, text: &str| {
        let file = dir.path().join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    };
    put("etc/passwd", "");
    put("sys/class/dmi/id/product_uuid", "4c4c4544-0042-3510-8052-b4c04f4a4d31\n");
    put("run/credentials/@system/disinherit.identity", "0a0a0a0a-1111-2222-3333-444444444444");
    let read = || Identity::read(&Root::offline(dir.path()).unwrap()).to_string();
    assert_eq!(read(), "dmi-product-uuid 4c4c4544-0042-3510-8052-b4c04f4a4d31");
    put("run/systemd/container", "systemd-nspawn\n");
    assert_eq!(read(), "credential 0a0a0a0a-1111-2222-3333-444444444444");
}

#[test]
fn mainframes_name_the_guest_and_not_its_partition() {
    let lpar =
        "LPAR Number:          8\nLPAR UUID:            aaaaaaaa-1111-2222-3333-444444444444\n";
    assert_eq!(s390(lpar).unwrap(), "aaaaaaaa-1111-2222-3333-444444444444");
    let vm = format!(
        "{lpar}VM00 Name:            guest\nVM00 UUID:            bbbbbbbb-1111-2222-3333-444444444444\n"
    );
    assert_eq!(s390(&vm).unwrap(), "bbbbbbbb-1111-2222-3333-444444444444");
    assert_eq!(s390(&format!("{lpar}VM00 Name:            zvm\n")), None, "z/VM gives none");
}

#[test]
fn the_instance_id_decides_only_where_nothing_else_does() {
    let with = |id: &str, mut identity: Identity| {
        identity.0.insert(INSTANCE_ID.to_owned(), id.to_owned());
        identity
    };
    let uuid = || dmi("4c4c4544-0042-3510-8052-b4c04f4a4d31");
    let none = Identity::default;
    assert_eq!(with("two", uuid()).compare(&with("one", uuid())), Comparison::Same);
    assert!(matches!(
        with("two", none()).compare(&with("one", none())),
        Comparison::Different { .. }
    ));
    assert_eq!(with("one", none()).compare(&with("one", uuid())), Comparison::Same);
    assert_eq!(none().compare(&with("one", none())), Comparison::Unknown);
}

proptest! {
    #[test]
    fn swapping_twice_is_nothing(digits in "[0-9a-f]{32}") {
        let uuid = hyphenate(&digits).unwrap();
        prop_assert_eq!(swapped(&swapped(&uuid).unwrap()), Some(uuid));
    }

    #[test]
    fn any_text_is_taken_without_a_panic(text in "\\PC*") {
        let _identity = dmi(&text);
    }
}
