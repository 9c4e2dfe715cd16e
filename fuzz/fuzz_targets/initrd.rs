#![no_main]

use disinherit_core::initrd::look;
use libfuzzer_sys::fuzz_target;

// Hostile archives end in an answer or an error; twice the same one.
fuzz_target!(|image: &[u8]| {
    let first = look(&mut &*image);
    let second = look(&mut &*image);
    match (first, second) {
        (Ok(first), Ok(second)) => {
            assert_eq!(first, second);
            assert!(first.is_sorted());
            assert!(first.iter().all(|found| !found.path.contains('\n')));
        }
        (Err(_), Err(_)) => {}
        _ => panic!("two answers about one image"),
    }
});
