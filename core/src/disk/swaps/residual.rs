//! What is said of swap areas that were not treated.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use super::area::Area;
use super::named::Spec;
use crate::Error;
use crate::path::escape;
use crate::report::Residual;

pub(super) fn left(name: &str, why: &str, remedy: &str) -> Residual {
    Residual {
        what: format!("pages of memory in the swap area {name}"),
        why: why.to_owned(),
        remedy: remedy.to_owned(),
    }
}

/// An area that could not be treated.
pub(in super::super) fn failed(area: &Area, error: &Error) -> Residual {
    left(&area.name(), &error.report(), "run mkswap on it after overwriting it with zeros")
}

/// Policy says to leave the areas alone.
pub(in super::super) fn untouched(area: &Area) -> Residual {
    left(&area.name(), "policy leaves it alone", "run again with erase: auto")
}

pub(super) fn unknown(spec: &Spec) -> Residual {
    let name = match spec {
        Spec::File(path) => path.to_string(),
        Spec::Device(path) => escape(path.as_bytes()).into_owned(),
        Spec::Uuid(uuid) => format!("UUID={}", escape(uuid.as_bytes())),
        Spec::Label(label) => format!("LABEL={}", escape(label)),
        Spec::Link(link) => format!("/dev/disk/{}", escape(link.as_bytes())),
    };
    let why = "it does not lie on a disk of the image's file systems";
    left(&name, why, "overwrite it where it is, then run mkswap with the same UUID")
}

pub(super) fn unnamed(path: &Path) -> Residual {
    let name = escape(path.as_os_str().as_bytes()).into_owned();
    let why = "it lies on a disk of the image, which does not name it in fstab";
    left(&name, why, "name it in the image's fstab, or overwrite it")
}
