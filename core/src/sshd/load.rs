//! Reading the main file and its includes out of an image.

use super::condition::Condition;
use super::config::{Config, Scope, Setting, Source};
use super::insert::without;
use super::keywords::canonical;
use super::lexer::{Directive, Fault, parse};
use super::pattern::{glob, is_glob, unescape};
use super::problem::{Problem, What};
use crate::root::Root;
use crate::{ImagePath, Result};

/// Nesting that sshd allows (`SERVCONF_MAX_DEPTH`).
const MAX_DEPTH: usize = 16;
/// More files than any real configuration has; bounds the work on one that was made to be read.
const MAX_FILES: usize = 4096;
/// Largest file that is read, in bytes.
const MAX_BYTES: u64 = 8 << 20;

const MAIN: [&str; 2] = ["/etc/ssh/sshd_config", "/usr/etc/ssh/sshd_config"];
/// Where relative includes are looked for.
const DIRECTORY: &[u8] = b"/etc/ssh/";
/// A name that sorts first in the drop-in folder and stands for any of them.
const DROPIN: &str = "/etc/ssh/sshd_config.d/00-disinherit.conf";
const HOST_KEYS: [&str; 3] =
    ["/etc/ssh/ssh_host_rsa_key", "/etc/ssh/ssh_host_ecdsa_key", "/etc/ssh/ssh_host_ed25519_key"];

impl Config {
    /// Reads `/etc/ssh/sshd_config`, else `/usr/etc/ssh/sshd_config`, and all includes. An image
    /// without either gives an empty configuration, which is sshd's default.
    ///
    /// # Errors
    /// The main file exists and cannot be read, or the host keys cannot be looked for. What is wrong
    /// with the text or an include comes back beside the configuration.
    pub fn load(root: &Root) -> Result<(Self, Vec<Problem>)> {
        match main_file(root)? {
            Some(main) => Self::load_from(root, main),
            None => {
                let mut config = Self::default();
                config.find_host_keys(root)?;
                Ok((config, Vec::new()))
            }
        }
    }

    /// The main file that sshd reads without `-f`; `None` when the image has none.
    ///
    /// # Errors
    /// It cannot be looked for.
    pub fn main_of(root: &Root) -> Result<Option<ImagePath>> {
        main_file(root)
    }

    /// The configuration of a main file as it would be without what sealing installs.
    ///
    /// # Errors
    /// Those of [`Config::load`].
    pub fn load_without_ours(root: &Root, main: &ImagePath) -> Result<Self> {
        Ok(Self::read(root, main.clone(), Some(ImagePath::literal(DROPIN)))?.0)
    }

    /// Reads one main file (`sshd -f`) and all includes.
    ///
    /// # Errors
    /// Those of [`Config::load`].
    pub fn load_from(root: &Root, main: ImagePath) -> Result<(Self, Vec<Problem>)> {
        Self::read(root, main, None)
    }

    fn read(
        root: &Root,
        main: ImagePath,
        skipped: Option<ImagePath>,
    ) -> Result<(Self, Vec<Problem>)> {
        let mut loader = Loader {
            root,
            skipped,
            config: Self::default(),
            problems: Vec::new(),
            open: Vec::new(),
            files: 0,
        };
        if let Some(text) = root.read(&main, MAX_BYTES)? {
            let ours = loader.skipped.as_ref().and_then(|_| without(&text));
            loader.config.main = Some(main.clone());
            loader.file(&main, ours.as_deref().unwrap_or(&text), None);
        }
        let Loader { mut config, mut problems, .. } = loader;
        config.find_host_keys(root)?;
        problems.extend(config.bad_tokens());
        Ok((config, problems))
    }

    fn find_host_keys(&mut self, root: &Root) -> Result<()> {
        for path in HOST_KEYS.map(ImagePath::literal) {
            if root.stat(&path)?.is_some() {
                self.default_host_keys.push(path);
            }
        }
        Ok(())
    }
}

fn main_file(root: &Root) -> Result<Option<ImagePath>> {
    for main in MAIN.map(ImagePath::literal) {
        if root.stat(&main)?.is_some() {
            return Ok(Some(main));
        }
    }
    Ok(None)
}

struct Loader<'a> {
    root: &'a Root,
    /// An include that is passed over.
    skipped: Option<ImagePath>,
    config: Config,
    problems: Vec<Problem>,
    /// The files that are being read, outermost first.
    open: Vec<ImagePath>,
    files: usize,
}

impl Loader<'_> {
    /// Reads one file inside `outer`. Its own `Match` blocks end with it.
    fn file(&mut self, path: &ImagePath, text: &[u8], outer: Option<usize>) {
        self.open.push(path.clone());
        self.files += 1;
        let at = |line| Source { file: path.clone(), line };
        let (directives, faults) = parse(text);
        self.problems.extend(faults.into_iter().map(|(line, fault)| Problem {
            source: at(line),
            what: match fault {
                Fault::NoArgument => What::NoArgument,
                Fault::OpenQuote => What::OpenQuote,
            },
        }));
        let mut scope = outer;
        for Directive { keyword, args, line } in directives {
            let source = at(line);
            match keyword.as_str() {
                "match" => scope = Some(self.open_block(&args, source, outer)),
                "include" => {
                    for pattern in &args {
                        self.include(pattern, &source, scope);
                    }
                }
                _ => {
                    let keyword = canonical(&keyword);
                    self.config.settings.push(Setting { keyword, args, source, scope });
                }
            }
        }
        self.open.pop();
    }

    fn open_block(&mut self, args: &[Vec<u8>], source: Source, parent: Option<usize>) -> usize {
        let (condition, refused) = Condition::parse(args);
        if refused {
            self.problems.push(Problem { source, what: What::BadMatch });
        }
        self.config.scopes.push(Scope { parent, condition });
        self.config.scopes.len() - 1
    }

    fn include(&mut self, pattern: &[u8], source: &Source, scope: Option<usize>) {
        self.config.uses_include = true;
        let problem = |what| Problem { source: source.clone(), what };
        let pattern = match pattern.first() {
            Some(b'/') => pattern.to_vec(),
            Some(b'~') => {
                self.problems.push(problem(What::IncludeTilde));
                return;
            }
            Some(_) => [DIRECTORY, pattern].concat(),
            None => {
                self.problems.push(problem(What::NoArgument));
                return;
            }
        };
        let first = self.open.len() == 1
            && self.config.settings.is_empty()
            && self.config.scopes.is_empty();
        if first && covers(&pattern, &ImagePath::literal(DROPIN)) {
            self.config.dropin_include = true;
        }
        let (paths, complete) = expand(self.root, &pattern);
        if !complete {
            self.problems.push(problem(What::Unreadable));
        }
        for path in paths {
            if self.skipped.as_ref() == Some(&path) {
                continue;
            }
            let circle = self.open.contains(&path);
            if circle || self.open.len() > MAX_DEPTH || self.files >= MAX_FILES {
                self.problems.push(problem(What::IncludeTooDeep));
                continue;
            }
            match self.root.read(&path, MAX_BYTES) {
                Ok(Some(text)) => self.file(&path, &text, scope),
                Ok(None) => {}
                Err(_) => self.problems.push(problem(What::Unreadable)),
            }
        }
    }
}

/// True when the pattern names that path, component by component.
fn covers(pattern: &[u8], path: &ImagePath) -> bool {
    let parts: Vec<_> = components(pattern).collect();
    parts.len() == path.components().count()
        && path.components().zip(parts).all(|(name, part)| glob(name, part))
}

/// The names that glob(3) finds, sorted by their bytes; false when a folder could not be listed,
/// which glob(3) passes over too.
fn expand(root: &Root, pattern: &[u8]) -> (Vec<ImagePath>, bool) {
    let mut found = vec![ImagePath::root()];
    let mut complete = true;
    for component in components(pattern) {
        let mut next = Vec::new();
        for folder in &found {
            if !is_glob(component) {
                next.extend(folder.join(unescape(component)));
                continue;
            }
            match root.read_dir(folder) {
                Ok(entries) => next.extend(
                    entries
                        .iter()
                        .filter(|entry| glob(&entry.name, component))
                        .filter_map(|entry| folder.join(&entry.name)),
                ),
                Err(_) => complete = false,
            }
        }
        found = next;
    }
    found.sort();
    (found, complete)
}

fn components(pattern: &[u8]) -> impl Iterator<Item = &[u8]> {
    pattern.split(|b| *b == b'/').filter(|part| !part.is_empty() && *part != b".")
}
