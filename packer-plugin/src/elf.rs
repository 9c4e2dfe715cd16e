//! What a program file says about the machine it is for. Source: elf(5).

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// The architecture of a guest or a program, as Linux' uname(2) names it.
pub type Arch = &'static str;

/// What can be known from the first bytes of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An ELF program for this architecture.
    Elf(Arch),
    /// An ELF program for an architecture that has no name here.
    Unknown,
    /// A script with an interpreter line.
    Script,
    /// Neither.
    Other,
}

const MACHINES: &[(u16, Arch)] = &[
    (3, "i686"),
    (21, "ppc64le"),
    (22, "s390x"),
    (40, "armv7l"),
    (62, "x86_64"),
    (183, "aarch64"),
    (243, "riscv64"),
    (258, "loongarch64"),
];

/// Judges a file.
///
/// # Errors
/// When it cannot be opened or read.
pub fn kind(path: &Path) -> io::Result<Kind> {
    let mut head = Vec::new();
    File::open(path)?.take(20).read_to_end(&mut head)?;
    Ok(judge(&head))
}

/// Judges the first 20 bytes of a file.
#[must_use]
pub fn judge(head: &[u8]) -> Kind {
    if head.starts_with(b"#!") {
        return Kind::Script;
    }
    if !head.starts_with(b"\x7fELF") {
        return Kind::Other;
    }
    // e_ident[EI_DATA] is 1 for little and 2 for big endian; e_machine lies at 18.
    let machine = match (head.get(5), head.get(18..20)) {
        (Some(1), Some(&[low, high])) | (Some(2), Some(&[high, low])) => {
            u16::from_le_bytes([low, high])
        }
        _ => return Kind::Unknown,
    };
    MACHINES
        .iter()
        .find(|(id, _)| *id == machine)
        .map_or(Kind::Unknown, |(_, arch)| Kind::Elf(arch))
}

/// The architecture behind a name that uname(1), Go or Rust prints.
#[must_use]
pub fn arch(name: &str) -> Option<Arch> {
    let name = match name {
        "amd64" => "x86_64",
        "arm64" => "aarch64",
        "i386" | "i486" | "i586" | "x86" => "i686",
        other => other,
    };
    MACHINES.iter().map(|(_, arch)| *arch).find(|arch| *arch == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_program_is_for_this_machine() {
        let own = std::env::current_exe().unwrap();
        assert_eq!(kind(&own).unwrap(), Kind::Elf(arch(std::env::consts::ARCH).unwrap()));
    }

    #[test]
    fn heads() {
        let mut head = *b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\xb7\0";
        assert_eq!(judge(&head), Kind::Elf("aarch64"));
        head[18] = 0xff;
        assert_eq!(judge(&head), Kind::Unknown);
        assert_eq!(judge(&head[..10]), Kind::Unknown);
        assert_eq!(judge(b"\x7fELF\x02\x02\x01\0\0\0\0\0\0\0\0\0\0\x02\0\x16"), Kind::Elf("s390x"));
        assert_eq!(judge(b"#!/bin/sh\n"), Kind::Script);
        assert_eq!(judge(b""), Kind::Other);
        assert_eq!(arch("arm64"), Some("aarch64"));
        assert_eq!(arch("vax"), None);
    }
}
