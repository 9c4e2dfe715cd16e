//! The corpus that people wrote: one file for each chapter in `tests/corpus`.

use std::fs;
use std::path::PathBuf;

use serde::Deserialize;

use super::world::{Item, World};
use crate::base::repository;
use crate::{Context, Result};

/// One chapter.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chapter {
    /// Its name, as the report's categories have it or nearly so.
    pub category: String,
    /// Files with credentials, in the order in which they are written.
    pub secrets: Vec<Item>,
    /// Files that stay as they are.
    #[serde(default)]
    pub controls: Vec<Item>,
}

/// All chapters by the names of their files; accounts come first, because later files have owners.
///
/// # Errors
/// Names the file that cannot be read.
pub fn chapters() -> Result<Vec<Chapter>> {
    let folder = repository().join("tests/corpus");
    let listed = fs::read_dir(&folder).context(|| format!("list {}", folder.display()))?;
    let mut files: Vec<PathBuf> =
        listed.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    files.sort();
    let read = |file: &PathBuf| {
        let text = fs::read_to_string(file).context(|| format!("read {}", file.display()))?;
        serde_yaml::from_str(&text).context(|| format!("parse {}", file.display()))
    };
    files.iter().map(read).collect()
}

/// Puts every chapter into `world`.
///
/// # Errors
/// When a file cannot be planted.
pub fn plant(world: &mut World) -> Result {
    for chapter in chapters()? {
        for item in &chapter.secrets {
            world.plant(&chapter.category, item)?;
        }
        for item in &chapter.controls {
            world.control(item)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers that the benchmark promises.
    #[test]
    fn the_corpus_is_as_large_as_promised() {
        let chapters = chapters().unwrap();
        let secrets: usize = chapters
            .iter()
            .flat_map(|chapter| &chapter.secrets)
            .map(|item| {
                item.text.matches("{{").count()
                    - item.text.matches("{{~").count()
                    - item.text.matches("{{=").count()
            })
            .sum();
        let controls: usize = chapters.iter().map(|chapter| chapter.controls.len()).sum();
        let categories: std::collections::BTreeSet<&str> =
            chapters.iter().map(|chapter| chapter.category.as_str()).collect();
        assert!(secrets >= 280, "{secrets} secrets");
        assert!(controls >= 60, "{controls} controls");
        assert!(categories.len() >= 18, "{categories:?}");
    }
}
