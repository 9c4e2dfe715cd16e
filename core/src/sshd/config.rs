//! The settings of all files in reading order, and which of them is in effect.

use super::condition::{Condition, Holds};
use super::keywords::{adds_up, canonical, matchable};
use super::who::Who;
use crate::ImagePath;

/// The arguments of a line.
pub type Args = Vec<Vec<u8>>;

/// Where a line stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The file.
    pub file: ImagePath,
    /// 1-based line number.
    pub line: usize,
}

/// One line that sets something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The keyword in lower case, synonyms resolved.
    pub keyword: String,
    /// The arguments without quotes.
    pub args: Args,
    /// Where it stands.
    pub source: Source,
    /// The `Match` block around it.
    pub(super) scope: Option<usize>,
}

/// A `Match` block. A block in a file that was included inside another block needs both conditions.
#[derive(Debug, Clone)]
pub(super) struct Scope {
    pub(super) parent: Option<usize>,
    pub(super) condition: Condition,
}

/// sshd's configuration: the main file and everything that it includes.
#[derive(Debug, Clone, Default)]
pub struct Config {
    pub(super) main: Option<ImagePath>,
    pub(super) settings: Vec<Setting>,
    pub(super) scopes: Vec<Scope>,
    pub(super) dropin_include: bool,
    pub(super) uses_include: bool,
    pub(super) default_host_keys: Vec<ImagePath>,
}

impl Config {
    /// The main file; `None` when the image has none.
    pub fn main_file(&self) -> Option<&ImagePath> {
        self.main.as_ref()
    }

    /// Every line that sets something, in reading order.
    pub fn settings(&self) -> &[Setting] {
        &self.settings
    }

    /// True when the main file includes `/etc/ssh/sshd_config.d/*.conf` before its first `Match` and
    /// before anything else is set: a drop-in there comes first, and the first value wins.
    pub fn has_dropin_include(&self) -> bool {
        self.dropin_include
    }

    /// True when some file includes others: its sshd knows `Include`.
    pub fn uses_include(&self) -> bool {
        self.uses_include
    }

    /// The arguments in effect for somebody, conditions that cannot be decided taken as not
    /// fulfilled (see [`Config::candidates`] for the rest). `None` when nothing sets the keyword.
    pub fn effective(&self, keyword: &str, who: &Who) -> Option<Args> {
        // The candidate of the decided conditions is the last one, see there.
        self.candidates(keyword, who).pop().flatten()
    }

    /// Everything that may be in effect for somebody: one element when all conditions can be
    /// decided, else one more for each way in which the undecidable ones may fall out. `None` is
    /// sshd's default. The last element holds when none of the undecidable ones is fulfilled.
    pub fn candidates(&self, keyword: &str, who: &Who) -> Vec<Option<Args>> {
        let keyword = canonical(keyword);
        let mut matched = Vec::new();
        if matchable(&keyword) {
            for setting in self.named(&keyword).filter(|s| s.scope.is_some()) {
                match self.holds(setting.scope, who) {
                    Holds::No => {}
                    holds => matched.push((setting, holds)),
                }
            }
        }
        if adds_up(&keyword) {
            return self.candidates_added(&keyword, &matched);
        }
        let mut found = Vec::new();
        for (setting, holds) in matched {
            found.push(Some(setting.args.clone()));
            if holds == Holds::Yes {
                return found;
            }
        }
        found.push(self.global(&keyword).next().map(|setting| setting.args.clone()));
        found
    }

    /// For keywords that add up: with the undecidable lines, and without them.
    fn candidates_added(&self, keyword: &str, matched: &[(&Setting, Holds)]) -> Vec<Option<Args>> {
        let joined = |certain: bool| {
            let mut args: Vec<_> = matched
                .iter()
                .filter(|(_, holds)| !certain || *holds == Holds::Yes)
                .flat_map(|(setting, _)| setting.args.clone())
                .collect();
            if args.is_empty() {
                args = self.global(keyword).flat_map(|setting| setting.args.clone()).collect();
            }
            (!args.is_empty()).then_some(args)
        };
        let mut found = vec![joined(false), joined(true)];
        found.dedup();
        found
    }

    /// Every value that could be in effect for somebody, arguments joined by one blank, each once.
    /// sshd's default is not among them; see [`Config::may_be_default`].
    pub fn possible(&self, keyword: &str) -> Vec<Vec<u8>> {
        let mut values: Vec<Vec<u8>> = Vec::new();
        for setting in self.reachable(keyword) {
            let value = setting.args.join(&b' ');
            if !values.contains(&value) {
                values.push(value);
            }
        }
        values
    }

    /// True when for somebody no line sets the keyword, so that sshd's default holds.
    pub fn may_be_default(&self, keyword: &str) -> bool {
        self.global(&canonical(keyword)).next().is_none()
    }

    /// The lines that can be in effect for somebody: those in `Match` blocks up to the first one
    /// under `Match all`, then the first global one.
    pub(super) fn reachable(&self, keyword: &str) -> Vec<&Setting> {
        let keyword = canonical(keyword);
        let all = adds_up(&keyword);
        let mut found: Vec<&Setting> = Vec::new();
        if matchable(&keyword) {
            for setting in self.named(&keyword).filter(|s| s.scope.is_some()) {
                if all || !found.iter().any(|earlier| earlier.scope == setting.scope) {
                    found.push(setting);
                }
                if !all && self.unconditional(setting.scope) {
                    return found;
                }
            }
        }
        let take = if all { usize::MAX } else { 1 };
        for setting in self.global(&keyword).take(take) {
            if !found.contains(&setting) {
                found.push(setting);
            }
        }
        found
    }

    pub(super) fn named<'a>(&'a self, canonical: &str) -> impl Iterator<Item = &'a Setting> {
        self.settings.iter().filter(move |setting| setting.keyword == canonical)
    }

    /// The lines that hold before anybody connects: those outside every block and, as sshd reads
    /// them, those under `Match all`.
    pub(super) fn global<'a>(&'a self, canonical: &str) -> impl Iterator<Item = &'a Setting> {
        self.named(canonical).filter(|setting| self.unconditional(setting.scope))
    }

    /// True outside every block, and where every block around is a `Match all`.
    fn unconditional(&self, scope: Option<usize>) -> bool {
        self.chain(scope).all(|scope| scope.condition.is_all())
    }

    fn holds(&self, scope: Option<usize>, who: &Who) -> Holds {
        self.chain(scope).fold(Holds::Yes, |holds, scope| holds.and(scope.condition.holds(who)))
    }

    /// The blocks around a line, the innermost first.
    fn chain(&self, scope: Option<usize>) -> impl Iterator<Item = &Scope> {
        let first = scope.and_then(|index| self.scopes.get(index));
        std::iter::successors(first, |scope| self.scopes.get(scope.parent?))
    }
}
