//! What we write, read by others: the published schemas and the official one of SARIF, applied by
//! Python's jsonschema (`tests/setup.sh test` installs both).

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops where it fails")]

#[path = "../oracle/mod.rs"]
mod oracle;
mod policies;
mod sarif;
mod validator;

fn main() {
    oracle::run(
        validator::missing(),
        vec![
            ("sarif_of_an_audit_fits_the_official_schema", sarif::of_an_audit),
            ("sarif_of_a_failed_scrub_fits_the_official_schema", sarif::of_a_failed_scrub),
            ("examples_of_policies_fit_the_published_schema", policies::examples),
            (
                "the_policy_schema_refuses_what_the_parser_refuses",
                policies::what_the_parser_refuses,
            ),
            ("reports_fit_the_published_schema", sarif::reports),
        ],
    );
}
