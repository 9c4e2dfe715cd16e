//! What a plan would still change, as findings.

use std::collections::BTreeMap;

use super::Finding;
use super::finding::RUN_SCRUB;
use crate::ImagePath;
use crate::facts::Facts;
use crate::plan::{Plan, SEAL};
use crate::policy::Settings;

/// One finding for each rule of each step, with those whom that rule found there: an empty password
/// and a hash in one file are one step and two findings about two people.
pub(crate) fn left(settings: &Settings, facts: &Facts, plan: &Plan) -> Vec<Finding> {
    let mut whose: BTreeMap<(&str, &ImagePath), Vec<&str>> = BTreeMap::new();
    for hit in &facts.hits {
        let subjects = whose.entry((&hit.rule, &hit.path)).or_default();
        subjects.extend(hit.subject.as_deref().filter(|subject| !subjects.contains(subject)));
    }
    let mut findings = Vec::new();
    for step in &plan.steps {
        for rule in step.rules.iter().filter(|rule| rule.as_str() != SEAL) {
            let subjects = whose.get(&(rule.as_str(), &step.path)).filter(|all| !all.is_empty());
            let subject = subjects.map(|all| all.join(", "));
            let (path, remedy) = (step.path.clone(), RUN_SCRUB.to_owned());
            findings.push(Finding::of_rule(settings, rule, path, subject, remedy));
        }
    }
    findings
}
