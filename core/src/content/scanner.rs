//! The rules of the content scan, ready to run: one search for all anchors, then a rule's own reading
//! where an anchor stands. Pure: bytes in, spans out.

use std::ops::Range;
use std::sync::OnceLock;

use regex::bytes::{Regex, RegexBuilder};

use super::anchors::Anchors;
use super::{armour, assignment, check};
use crate::catalogue::{Certainty, Reader, Rule, Signature};
use crate::{Error, Result};

/// What kind of text it is, which decides which rules may say something about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// A program, a library, an image, or a text that came with the system: only what is sure by
    /// its own shape.
    Shapes,
    /// Source code: everything, but assignments only of quoted texts.
    Code,
    /// Everything.
    All,
}

/// A secret, or what may be one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    /// Index of the rule among those that the scanner was made of.
    pub rule: usize,
    /// The bytes that go when the rule acts.
    pub cut: Range<usize>,
    /// The secret in them.
    pub secret: Range<usize>,
    /// How sure it is.
    pub certainty: Certainty,
}

/// All rules of the content scan.
#[derive(Debug)]
pub struct Scanner {
    rules: Vec<Compiled>,
    shapes: Anchors,
    all: Anchors,
}

#[derive(Debug)]
struct Compiled {
    id: String,
    signature: Signature,
    regex: OnceLock<Option<Regex>>,
}

/// The category of rules that a policy adds.
const POLICY: &str = "policy";

impl Scanner {
    /// Prepares `rules`; those without a signature are passed over and keep their index.
    ///
    /// # Errors
    /// [`crate::Kind::Usage`] for a pattern that is no regular expression.
    pub fn new<'a>(rules: impl IntoIterator<Item = &'a Rule>) -> Result<Self> {
        let mut compiled = Vec::new();
        for rule in rules {
            let Some(signature) = rule.content.clone() else { continue };
            let one = Compiled { id: rule.id.clone(), signature, regex: OnceLock::new() };
            // The catalogue's own are checked by its tests; compiling all of them takes a while.
            if rule.category == POLICY {
                one.regex.get_or_init(|| one.compile().ok());
                one.compile()?;
            }
            compiled.push(one);
        }
        let by_shape = |s: &Signature| s.certainty == Certainty::Sure && !s.any_case;
        let shapes = anchors(&compiled, by_shape);
        let all = anchors(&compiled, |_| true);
        Ok(Self { rules: compiled, shapes, all })
    }

    /// The id of the rule of a match.
    pub fn id(&self, found: &Match) -> &str {
        self.rules.get(found.rule).map_or("", |rule| &rule.id)
    }

    /// What stands in the place of the secret afterwards.
    pub fn put(&self, found: &Match) -> &str {
        self.rules.get(found.rule).map_or("", |rule| &rule.signature.put)
    }

    /// How many bytes before and behind an anchor a rule may look at.
    pub const WINDOW: usize = 64 << 10;

    /// Every secret in `text` whose anchor begins in `within`, in no order, each once for each rule.
    pub fn scan(&self, text: &[u8], within: Range<usize>, reading: Reading) -> Vec<Match> {
        let anchors = if reading == Reading::Shapes { &self.shapes } else { &self.all };
        let mut found: Vec<Match> = Vec::new();
        anchors.each(text, within, |at, rules| {
            for index in rules {
                // The same secret by another of its anchors.
                let seen = |m: &Match| m.rule == *index && m.cut.contains(&at);
                if found.iter().rev().take(8).any(seen) {
                    continue;
                }
                let Some(rule) = self.rules.get(*index) else { continue };
                found.extend(rule.read(*index, text, at, reading));
            }
        });
        found.sort_by_key(|m| (m.cut.start, m.cut.end, m.rule));
        found.dedup();
        found
    }
}

/// The anchors of those rules that are `wanted`.
fn anchors(rules: &[Compiled], wanted: impl Fn(&Signature) -> bool) -> Anchors {
    let signatures = rules.iter().map(|rule| &rule.signature).enumerate();
    Anchors::new(signatures.filter(|(_, s)| wanted(s)).flat_map(|(index, signature)| {
        let own = signature.anchors.iter();
        // Where one begins the other, the shorter one stands for both.
        let covered = |text: &str| {
            own.clone().any(|other| other.len() < text.len() && text.starts_with(other.as_str()))
        };
        let kept: Vec<&str> = own.clone().map(String::as_str).filter(|a| !covered(a)).collect();
        kept.into_iter().map(move |text| (text, signature.any_case, index))
    }))
}

impl Compiled {
    fn compile(&self) -> Result<Regex> {
        RegexBuilder::new(self.signature.pattern.as_deref().unwrap_or_default())
            .unicode(false)
            .multi_line(true)
            .size_limit(4 << 20)
            .build()
            .map_err(|e| Error::usage("use the pattern of the rule", &self.id).because(e))
    }

    /// What the rule says about the anchor at `at`.
    fn read(&self, index: usize, text: &[u8], at: usize, reading: Reading) -> Option<Match> {
        let whole = |(span, certainty): (Range<usize>, Certainty)| {
            Some(Match { rule: index, cut: span.clone(), secret: span, certainty })
        };
        let found = match self.signature.read {
            Reader::Pattern => return self.read_pattern(index, text, at),
            Reader::Armour => armour::read(text, at),
            Reader::EncodedArmour => armour::read_encoded(text, at).map(|s| (s, Certainty::Sure)),
            Reader::Assignment => assignment::read(text, at, reading == Reading::Code),
        };
        let (span, certainty) = found?;
        whole((span, certainty.min(self.signature.certainty)))
    }

    fn read_pattern(&self, index: usize, text: &[u8], at: usize) -> Option<Match> {
        let signature = &self.signature;
        let regex = self.regex.get_or_init(|| self.compile().ok()).as_ref()?;
        let from = at.saturating_sub(signature.before);
        // What stands before is looked at by word boundaries too.
        let text = text.get(..(at + signature.after).min(text.len()))?;
        let mut next = from;
        loop {
            let groups = regex.captures_at(text, next)?;
            let all = groups.get(0)?;
            if all.start() > at {
                return None;
            }
            if all.end() > at {
                let (secret, cut) = (groups.name("secret"), groups.name("cut"));
                let secret = secret.or(cut).unwrap_or(all);
                let cut = cut.unwrap_or(secret);
                let certainty = self.judge(secret.as_bytes())?;
                return Some(Match {
                    rule: index,
                    cut: cut.range(),
                    secret: secret.range(),
                    certainty,
                });
            }
            next = all.end().max(next + 1);
        }
    }

    fn judge(&self, secret: &[u8]) -> Option<Certainty> {
        let signature = &self.signature;
        if check::is_placeholder(secret)
            || !signature.checks.iter().all(|c| check::fulfils(*c, secret))
        {
            return None;
        }
        let proven = signature.proof.is_none_or(|proof| check::fulfils(proof, secret));
        Some(if proven { signature.certainty } else { Certainty::Likely })
    }
}
