//! docs/packer.md says what the attribute table says.
//!
//! After a change of the table: `BLESS=1 cargo test -p packer-plugin-disinherit --test docs`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub,
    reason = "a test fails by a panic, and rustc takes each file here for a crate of its own"
)]

use std::fs;
use std::path::Path;

use packer_plugin_disinherit::config::options;

const BEGIN: &str = "<!-- options: begin -->\n";
const END: &str = "<!-- options: end -->";

#[test]
fn the_table_of_options_is_the_schema() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/packer.md");
    let text = fs::read_to_string(&path).unwrap();
    let (head, rest) = text.split_once(BEGIN).unwrap();
    let (table, tail) = rest.split_once(END).unwrap();
    let wanted = options::markdown();
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, format!("{head}{BEGIN}{wanted}{END}{tail}")).unwrap();
    } else {
        assert!(table == wanted, "docs/packer.md is behind the schema; see the head of this test");
    }
}
