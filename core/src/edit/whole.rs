//! Files that are one value, machine-id(5) for instance.

use zeroize::Zeroizing;

use super::Edit;

pub(super) fn run(text: &[u8], edits: &[Edit]) -> Zeroizing<Vec<u8>> {
    match edits.last() {
        Some(Edit::Clear) => Zeroizing::new(Vec::new()),
        Some(Edit::Uninitialized) => Zeroizing::new(b"uninitialized\n".to_vec()),
        _ => Zeroizing::new(text.to_vec()),
    }
}
