//! Secrets for a guest: random for each run, planted by `tests/plant-in-guest.sh`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use rand::distr::{Alphanumeric, SampleString as _};

use crate::command::said;
use crate::{Context, Result, expect};

/// How many of each class, 596 in all; the names are those that the script knows.
const PLAN: [(&str, usize); 14] = [
    ("small", 150),
    ("large", 40),
    ("edited", 80),
    ("truncated", 40),
    ("attribute", 40),
    ("target", 40),
    ("name", 60),
    ("prealloc", 20),
    ("esp", 25),
    ("history", 20),
    ("key", 20),
    ("cloud", 20),
    ("tmp", 20),
    ("swap", 20),
];

/// The one that a process holds open after it was deleted.
pub const HELD: &str = "held";

/// Records end at zero bytes: a disk has few newlines and many of these.
const SEARCH: &str = r#"LC_ALL=C grep -azoF -f "$1" "$2" | tr '\0' '\n' | sort -u"#;

/// Values with their classes.
#[derive(Debug)]
pub struct Values(Vec<(&'static str, String)>);

impl Values {
    /// New ones.
    pub fn random() -> Self {
        let classes = PLAN.iter().flat_map(|(class, count)| std::iter::repeat_n(*class, *count));
        let value = || Alphanumeric.sample_string(&mut rand::rng(), 32);
        Self(classes.chain([HELD]).map(|class| (class, value())).collect())
    }

    /// How many they are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Writes them as the script reads them.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> Result {
        let lines: String =
            self.0.iter().map(|(class, value)| format!("{class} {value}\n")).collect();
        fs::write(path, lines).context(|| format!("write {}", path.display()))
    }

    /// How many of each class a foreign search finds in the file or device `raw`.
    ///
    /// # Errors
    /// When grep fails.
    pub fn left(&self, raw: &Path) -> Result<BTreeMap<&'static str, usize>> {
        let folder = tempfile::tempdir()?;
        let list = folder.path().join("words");
        let words: Vec<&str> = self.0.iter().map(|(_, value)| value.as_str()).collect();
        fs::write(&list, words.join("\n"))?;
        let output = Command::new("sh")
            .args(["-c", SEARCH, "sh"])
            .args([&list, raw])
            .output()
            .context(|| "start grep".to_owned())?;
        expect(output.status.success() && output.stderr.is_empty(), || {
            format!("grep in {}: {}", raw.display(), said(&output))
        })?;
        let text = String::from_utf8_lossy(&output.stdout);
        let mut left = BTreeMap::new();
        for (class, value) in &self.0 {
            if text.lines().any(|found| found == value) {
                *left.entry(*class).or_default() += 1;
            }
        }
        Ok(left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_found_and_counted_by_class() {
        let values = Values::random();
        assert!(values.count() > 500);
        let folder = tempfile::tempdir().unwrap();
        let raw = folder.path().join("raw");
        values.write(&raw).unwrap();
        assert_eq!(values.left(&raw).unwrap().values().sum::<usize>(), values.count());
        let value = &values.0.iter().find(|(class, _)| *class == "swap").unwrap().1;
        fs::write(&raw, [&[0; 5000], value.as_bytes(), &[0xff; 5000]].concat()).unwrap();
        assert_eq!(values.left(&raw).unwrap(), BTreeMap::from([("swap", 1)]));
        fs::write(&raw, vec![0; 9000]).unwrap();
        assert!(values.left(&raw).unwrap().is_empty());
    }
}
