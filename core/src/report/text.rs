//! The report for a person: counts first, then what remains, then what was done, by rule.

use std::collections::BTreeMap;

use super::{Mode, Report};
use crate::erase::{FsReport, Journal, Way};

/// At most this many lines of one kind; the JSON report has them all.
const MOST: usize = 40;

/// The report as plain text, lines of at most a terminal's width where paths allow.
pub fn text(report: &Report) -> String {
    let mut out = String::new();
    head(&mut out, report);
    findings(&mut out, report);
    residual(&mut out, report);
    actions(&mut out, report);
    out
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.push_str(&text.to_string());
    out.push('\n');
}

fn head(out: &mut String, report: &Report) {
    let s = &report.summary;
    let verdict = match report.exit_code {
        0 => "nothing is left that this policy minds",
        1 => "credentials or risks remain",
        _ => "the run is incomplete",
    };
    let did = match report.mode {
        Mode::Audit => format!("{} credentials and identities found", s.planned),
        Mode::DryRun => format!("{} changes planned, none made", s.planned),
        Mode::Scrub => format!("{} of {} changes made, {} failed", s.done, s.planned, s.failed),
    };
    line(out, format_args!("disinherit {}: {verdict}", report.version));
    line(
        out,
        format_args!(
            "  root       {}{}",
            report.root,
            if report.live { " (running system)" } else { "" }
        ),
    );
    line(out, format_args!("  changes    {did}"));
    line(
        out,
        format_args!("  remaining  {} findings, {} of them fail this run", s.findings, s.failing),
    );
    if s.bytes_erased > 0 {
        line(out, format_args!("  erased     {} bytes overwritten", s.bytes_erased));
    }
    for fs in &report.erased {
        line(out, format_args!("  free space {} ({}): {}", fs.point, fs.fstype, below(fs)));
    }
    for swap in &report.swaps {
        let was = if swap.hibernated { ", an image of hibernated memory removed" } else { "" };
        let written = swap.written >> 10;
        line(out, format_args!("  swap       {}: {written} KiB overwritten{was}", swap.path));
    }
    if let Some(proof) = &report.proof {
        let bytes: u64 = proof.devices.iter().map(|d| d.searched).sum();
        let hits = proof.hits.len() as u64 + proof.more;
        line(
            out,
            format_args!(
                "  proof      {} secrets searched for in {} MiB of raw disk: {hits} hits; {} too short or too regular to search for",
                proof.secrets,
                bytes >> 20,
                proof.not_provable
            ),
        );
    }
    for mount in &report.skipped {
        line(out, format_args!("  skipped    {} ({} on {})", mount.at, mount.fstype, mount.source));
    }
}

fn below(fs: &FsReport) -> String {
    let way = match fs.way {
        Way::Trim => "discarded and read back",
        Way::Device => "overwritten where something was",
        Way::ThroughFiles => "filled through files",
        Way::None => return "not treated".into(),
    };
    let journal = match fs.journal {
        Journal::Overwritten => ", journal overwritten",
        Journal::None => "",
        Journal::Left => ", journal left",
    };
    format!("{way} ({} KiB written){journal}", fs.written >> 10)
}

fn findings(out: &mut String, report: &Report) {
    if report.findings.is_empty() {
        return;
    }
    line(out, format_args!("\nremaining"));
    for finding in report.findings.iter().take(MOST) {
        let subject = finding.subject.as_deref().map(|s| format!(" ({s})")).unwrap_or_default();
        line(out, format_args!("  {:<8} {}{subject}", finding.severity.to_string(), finding.path));
        line(out, format_args!("           {} [{}]", finding.what, finding.rule));
        line(out, format_args!("           {}", finding.remedy));
    }
    more(out, report.findings.len());
}

fn residual(out: &mut String, report: &Report) {
    if report.residual.is_empty() {
        return;
    }
    line(out, format_args!("\nnot reached by this run"));
    for risk in report.residual.iter().take(MOST) {
        line(out, format_args!("  {}: {}; {}", risk.what, risk.why, risk.remedy));
    }
    more(out, report.residual.len());
}

fn actions(out: &mut String, report: &Report) {
    for done in report.actions.iter().filter(|a| a.error.is_some()).take(MOST) {
        line(
            out,
            format_args!("\nfailed  {}: {}", done.path, done.error.as_deref().unwrap_or_default()),
        );
    }
    let mut by_rule: BTreeMap<&str, (usize, &str)> = BTreeMap::new();
    for done in report.actions.iter().filter(|a| a.error.is_none()) {
        for rule in &done.rules {
            let entry = by_rule.entry(rule).or_insert((0, ""));
            entry.0 += 1;
            if entry.1.is_empty() {
                entry.1 = done.action.as_str();
            }
        }
    }
    if by_rule.is_empty() {
        return;
    }
    let verb = if report.mode == Mode::Scrub { "done" } else { "would be done" };
    line(out, format_args!("\n{verb}, by rule"));
    for (rule, (count, example)) in by_rule {
        line(out, format_args!("  {count:>5}  {rule:<26} {example}"));
    }
}

fn more(out: &mut String, all: usize) {
    if all > MOST {
        line(out, format_args!("  ... and {} more, see the JSON report", all - MOST));
    }
}
