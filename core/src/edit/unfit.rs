//! Why a file is left as it is although an editor knows its format.

/// The file stays, and the report names it: it may hold a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// It is not in the format that its name promises.
    #[error("it is no valid {0}, so that no secret in it can be told from the rest")]
    Broken(&'static str),
    /// Other settings refer to the secret, by an anchor of YAML for instance.
    #[error("a secret in it is referred to by other settings and cannot be taken out alone")]
    Shared,
    /// Without the secret it would not be read as before.
    #[error("a secret in it cannot be taken out without changing something else")]
    Tangled,
}
