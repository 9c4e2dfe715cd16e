//! A tree with secrets and controls in it.

use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::dice::Dice;
use super::template::{Filled, fill};
use crate::escape::form::Form;
use crate::{Context, Result, failed};

/// One planted value.
#[derive(Debug, Clone)]
pub struct Secret {
    /// Which chapter of the catalogue of leftovers it belongs to.
    pub category: String,
    /// Its kind, as the template names it.
    pub kind: String,
    /// Where, absolute in the image.
    pub path: PathBuf,
    /// What to search for.
    pub needle: Vec<u8>,
}

/// A file to put into a world, as `tests/corpus` lists it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// Absolute in the image; a [template](super::template), `\xff` is that byte.
    pub path: String,
    /// The content, a template.
    #[serde(default)]
    pub text: String,
    /// How the text becomes bytes.
    #[serde(default)]
    pub form: Form,
    /// Octal; 0600 unless given, 0644 for a control.
    pub mode: Option<String>,
    /// Account; whoever owns the folder unless given.
    pub owner: Option<String>,
    /// A credential that its service needs: by default it is named and stays as it is.
    #[serde(default)]
    pub in_use: bool,
}

impl Item {
    /// A file of whoever owns the folder, with the default mode.
    pub fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        let (form, mode, owner) = (Form::Plain, None, None);
        Self { path: path.into(), text: text.into(), form, mode, owner, in_use: false }
    }
}

/// A tree and what was put into it.
#[derive(Debug)]
pub struct World {
    root: PathBuf,
    /// Where its random values come from.
    pub dice: Dice,
    secrets: Vec<Secret>,
    controls: Vec<PathBuf>,
    in_use: Vec<PathBuf>,
}

impl World {
    /// Nothing planted yet in the tree at `root`.
    pub fn new(root: &Path, dice: Dice) -> Self {
        let (secrets, controls, in_use) = Default::default();
        Self { root: root.to_path_buf(), dice, secrets, controls, in_use }
    }

    /// The tree.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Every planted value.
    pub fn secrets(&self) -> &[Secret] {
        &self.secrets
    }

    /// Files that no scrub may change.
    pub fn controls(&self) -> &[PathBuf] {
        &self.controls
    }

    /// Files with a credential that a service of the image needs: not changed by default.
    pub fn in_use(&self) -> &[PathBuf] {
        &self.in_use
    }

    /// Writes a file whose values are secrets.
    ///
    /// # Errors
    /// When a template is wrong, the file cannot be written, or nothing in it is secret.
    pub fn plant(&mut self, category: &str, item: &Item) -> Result {
        let (path, filled) = self.write(item, 0o600)?;
        if filled.secrets.is_empty() {
            return Err(failed(format!("{} holds no secret", item.path)));
        }
        for (kind, needle) in filled.secrets {
            let (category, path) = (category.to_owned(), path.clone());
            self.secrets.push(Secret { category, kind, path, needle: needle.into_bytes() });
        }
        if item.in_use {
            self.in_use.push(path);
        }
        Ok(())
    }

    /// Writes a file that has to stay as it is.
    ///
    /// # Errors
    /// As [`Self::plant`].
    pub fn control(&mut self, item: &Item) -> Result {
        let (path, _) = self.write(item, 0o644)?;
        self.controls.push(path);
        Ok(())
    }

    /// Adds `text` without any secret to a file; `\xNN` is one byte.
    ///
    /// # Errors
    /// As [`Self::plant`].
    pub fn append(&mut self, path: &str, text: &str) -> Result {
        self.write(&Item { form: Form::Append, ..Item::new(path, text) }, 0o600)?;
        Ok(())
    }

    fn write(&mut self, item: &Item, mode: u32) -> Result<(PathBuf, Filled)> {
        let path = unescape(&fill(&item.path, &mut self.dice)?.text);
        let filled = fill(&item.text, &mut self.dice)?;
        let target = self.root.join(path.strip_prefix("/").unwrap_or(&path));
        let about = || format!("plant {}", path.display());
        let owner = self.owner(&target, item.owner.as_deref()).context(about)?;
        self.make_parents(&target).context(about)?;
        let bytes = item.form.encode(&filled.text, &mut self.dice).context(about)?;
        let before = if item.form == Form::Append { fs::metadata(&target).ok() } else { None };
        let mut file = fs::File::options()
            .create(true)
            .write(true)
            .append(before.is_some())
            .truncate(before.is_none())
            .open(&target)
            .context(about)?;
        file.write_all(&bytes).context(about)?;
        if before.is_none() {
            chown(&target, Some(owner.0), Some(owner.1)).context(about)?;
            let mode = match &item.mode {
                Some(text) => u32::from_str_radix(text, 8).context(about)?,
                None => mode,
            };
            fs::set_permissions(&target, fs::Permissions::from_mode(mode)).context(about)?;
        }
        Ok((path, filled))
    }

    /// A new folder belongs to whoever owns the one above it.
    fn make_parents(&self, target: &Path) -> Result {
        let missing: Vec<&Path> =
            target.ancestors().skip(1).take_while(|folder| !folder.exists()).collect();
        for folder in missing.into_iter().rev() {
            let (user, group) = self.owner(folder, None)?;
            fs::create_dir(folder)?;
            chown(folder, Some(user), Some(group))?;
        }
        Ok(())
    }

    fn owner(&self, target: &Path, name: Option<&str>) -> Result<(u32, u32)> {
        let Some(name) = name else {
            let above = target.ancestors().skip(1).find(|folder| folder.exists());
            let meta = fs::metadata(above.unwrap_or(&self.root))?;
            return Ok((meta.uid(), meta.gid()));
        };
        let rows = fs::read(self.root.join("etc/passwd"))?;
        let found = rows.split(|byte| *byte == b'\n').find_map(|row| {
            let mut fields = row.split(|byte| *byte == b':');
            let number = |field: Option<&[u8]>| std::str::from_utf8(field?).ok()?.parse().ok();
            let is_it = fields.next()? == name.as_bytes();
            is_it.then(|| Some((number(fields.nth(1))?, number(fields.next())?))).flatten()
        });
        found.ok_or_else(|| failed(format!("no account {name:?} in the tree")))
    }
}

/// `\xNN` is one byte, `\\` a backslash; so does the report write paths.
pub fn unescape(text: &str) -> PathBuf {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        bytes.extend(before.as_bytes());
        let number = after.strip_prefix('x').and_then(|hex| hex.get(..2));
        match number.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(3..).unwrap_or_default();
            }
            None => {
                bytes.push(b'\\');
                rest = after.strip_prefix('\\').unwrap_or(after);
            }
        }
    }
    bytes.extend(OsString::from(rest).as_bytes());
    PathBuf::from(OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_unescaped_to_bytes() {
        assert_eq!(unescape(r"/a\xff\\b").as_os_str().as_bytes(), b"/a\xff\\b");
        assert_eq!(unescape("/ž x").as_os_str().as_bytes(), "/ž x".as_bytes());
    }
}
