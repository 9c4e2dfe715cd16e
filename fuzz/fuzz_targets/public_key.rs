#![no_main]

use disinherit_core::text::public_key::{
    Kind, Weakness, check, digest, fingerprint, is_broken, is_certificate, kind, plain, rsa_modulus,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|blob: &[u8]| {
    let known = kind(blob) != Kind::Unknown;
    assert_eq!(check(blob) != Err(Weakness::Malformed), known);
    assert_eq!(rsa_modulus(blob).is_some(), kind(blob) == Kind::Rsa);
    assert!(!(known && is_broken(blob)));
    let Some(inner) = plain(blob) else {
        assert!(!known);
        return;
    };
    // The key inside is a key of its own, and the same one.
    assert!(!is_certificate(&inner));
    assert_eq!(is_certificate(blob), inner != blob);
    assert_eq!((kind(&inner), check(&inner)), (kind(blob), check(blob)));
    assert_eq!((fingerprint(&inner), digest(&inner)), (fingerprint(blob), digest(blob)));
    assert_eq!(plain(&inner).as_ref(), Some(&inner));
});
