//! A search for planted values, written without a look at how the program searches.
//!
//! Every regular file is read whole, packed ones are unpacked. A value counts as readable in its
//! own bytes, in UTF-16 of both byte orders, and in base64 at each of the three offsets.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use aho_corasick::AhoCorasick;
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use super::world::Secret;
use crate::{Context, Result, failed};

/// First bytes of packed files, and what unpacks them.
const UNPACKERS: &[(&[u8], &str)] = &[
    (b"\x1f\x8b", "gzip"),
    (b"\xfd7zXZ\0", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"BZh", "bzip2"),
];

/// Looks for a list of values in any number of files.
#[derive(Debug)]
pub struct Search {
    automaton: AhoCorasick,
    /// Which value a pattern stands for.
    meaning: Vec<usize>,
}

impl Search {
    /// For all `secrets`; a hit is an index into them.
    ///
    /// # Errors
    /// When there are too many.
    pub fn new(secrets: &[Secret]) -> Result<Self> {
        let (mut patterns, mut meaning) = (Vec::new(), Vec::new());
        for (index, secret) in secrets.iter().enumerate() {
            for pattern in forms(&secret.needle) {
                patterns.push(pattern);
                meaning.push(index);
            }
        }
        Ok(Self { automaton: AhoCorasick::new(patterns)?, meaning })
    }

    /// Which values are readable below `root`, by file.
    ///
    /// # Errors
    /// When a file cannot be read or unpacked.
    pub fn tree(&self, root: &Path) -> Result<BTreeMap<PathBuf, BTreeSet<usize>>> {
        let mut found = BTreeMap::new();
        let mut folders = vec![root.to_path_buf()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).context(|| format!("list {}", folder.display()))? {
                let entry = entry?;
                let kind = entry.file_type()?;
                if kind.is_dir() {
                    folders.push(entry.path());
                } else if kind.is_file() {
                    let hits = self.file(&entry.path())?;
                    if !hits.is_empty() {
                        let path = entry.path();
                        found.insert(Path::new("/").join(path.strip_prefix(root)?), hits);
                    }
                }
            }
        }
        Ok(found)
    }

    fn file(&self, path: &Path) -> Result<BTreeSet<usize>> {
        let bytes = fs::read(path).context(|| format!("read {}", path.display()))?;
        let mut hits = self.bytes(&bytes);
        if let Some((_, tool)) = UNPACKERS.iter().find(|(magic, _)| bytes.starts_with(magic)) {
            hits.extend(self.bytes(&unpack(tool, path)?));
        }
        Ok(hits)
    }

    /// Which values are readable in `bytes`.
    pub fn bytes(&self, bytes: &[u8]) -> BTreeSet<usize> {
        let hits = self.automaton.find_overlapping_iter(bytes);
        hits.filter_map(|hit| self.meaning.get(hit.pattern().as_usize()).copied()).collect()
    }
}

/// What a program unpacks, broken endings included: the part before them is readable.
fn unpack(tool: &str, path: &Path) -> Result<Vec<u8>> {
    let output = Command::new(tool)
        .args(["--decompress", "--stdout", "--force"])
        .arg(path)
        .stdin(Stdio::null())
        .output()
        .context(|| format!("start {tool}"))?;
    // Nothing at all: not packed in spite of its first bytes, or the tool is broken.
    let whole = output.status.success() || !output.stdout.is_empty();
    whole
        .then_some(output.stdout)
        .ok_or_else(|| failed(format!("{tool} cannot read {}", path.display())))
}

fn forms(needle: &[u8]) -> Vec<Vec<u8>> {
    let little: Vec<u8> = needle.iter().flat_map(|byte| [*byte, 0]).collect();
    let big: Vec<u8> = needle.iter().flat_map(|byte| [0, *byte]).collect();
    let encoded = (0..3).map(|offset| inner_base64(needle, offset));
    [needle.to_vec(), little, big].into_iter().chain(encoded).collect()
}

/// The characters that depend on the needle alone when it begins `offset` bytes into a group.
fn inner_base64(needle: &[u8], offset: usize) -> Vec<u8> {
    let text = STANDARD_NO_PAD.encode([&vec![0; offset][..], needle].concat());
    let first = (offset * 8).div_ceil(6);
    let last = (offset + needle.len()) * 8 / 6;
    text.as_bytes().get(first..last).unwrap_or_default().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::STANDARD;

    fn search() -> Search {
        let secret = Secret {
            category: String::new(),
            kind: String::new(),
            path: PathBuf::new(),
            needle: b"correct horse battery".to_vec(),
        };
        Search::new(&[secret]).unwrap()
    }

    #[test]
    fn every_form_of_a_value_is_found() {
        let search = search();
        for before in ["", "a", "ab", "abc", "abcd"] {
            let text = format!("{before}correct horse battery staple");
            let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
            for bytes in [text.clone().into_bytes(), wide, STANDARD.encode(&text).into_bytes()] {
                assert_eq!(search.bytes(&bytes).len(), 1, "{before:?}");
            }
        }
        assert!(search.bytes(b"correct horse").is_empty());
    }

    #[test]
    fn packed_files_are_unpacked() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("log");
        fs::write(&file, "a line with correct horse battery\n").unwrap();
        crate::command::run(Command::new("gzip").arg(&file)).unwrap();
        let found = search().tree(folder.path()).unwrap();
        assert_eq!(found.keys().collect::<Vec<_>>(), [Path::new("/log.gz")]);
    }
}
