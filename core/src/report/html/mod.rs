//! The report as one page that a person reads in a minute: the verdict, what remains with its
//! remedy, who may log in, what was not reached. No script, no resource from elsewhere; every text
//! from the image is escaped.

mod parts;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::finding::RUN_SCRUB;
use super::{Finding, Mode, Report};
use crate::catalogue::Severity;
use parts::{Escaped, actions, logins, residual};

const STYLE: &str = include_str!("page.css");

/// Paths of one rule that are shown before the rest is folded.
const SHOWN: usize = 6;
/// Paths of one rule in the page at all; the JSON report has them all.
const MOST: usize = 500;

/// The report as a self-contained HTML page.
pub fn html(report: &Report) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    _ = write!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n\
         <title>{} of {}: {}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n",
        mode(report),
        Escaped(&report.root),
        verdict(report).1,
    );
    head(&mut out, report);
    findings(&mut out, report);
    logins(&mut out, report);
    residual(&mut out, report);
    actions(&mut out, report);
    _ = write!(
        out,
        "<footer>disinherit {} · exit code {} · findings of severity {} and above fail the run. \
         The JSON report has every path.</footer>\n</main>\n</body>\n</html>\n",
        Escaped(&report.version),
        report.exit_code,
        report.fail_on.unwrap_or(Severity::High),
    );
    out
}

fn mode(report: &Report) -> &'static str {
    match report.mode {
        Mode::Audit => "Audit",
        Mode::DryRun => "Dry run",
        Mode::Scrub => "Scrub",
    }
}

/// The class of the verdict and its words.
fn verdict(report: &Report) -> (&'static str, &'static str) {
    match report.exit_code {
        0 => ("good", "Nothing is left that this policy minds"),
        1 => ("bad", "Credentials or risks remain"),
        _ => ("part", "The run is incomplete"),
    }
}

fn head(out: &mut String, report: &Report) {
    let (class, words) = verdict(report);
    let summary = &report.summary;
    let did = match report.mode {
        Mode::Audit => format!("{} things a scrub would change", summary.planned),
        Mode::DryRun => format!("{} changes planned, none made", summary.planned),
        Mode::Scrub => {
            format!(
                "{} of {} changes made, {} failed",
                summary.done, summary.planned, summary.failed
            )
        }
    };
    _ = write!(
        out,
        "<section class=\"verdict {class}\">\n<h1>{words}</h1>\n\
         <p class=\"soft\">{} of <span class=\"path\">{}</span>{} · {did}</p>\n<ul class=\"tiles\">\n",
        mode(report),
        Escaped(&report.root),
        if report.live { " (running system)" } else { "" },
    );
    for severity in [Severity::Critical, Severity::High, Severity::Medium, Severity::Low] {
        let count = report.findings.iter().filter(|f| f.severity == severity).count();
        let class = if count == 0 { "none".to_owned() } else { severity.to_string() };
        _ = writeln!(out, "<li class=\"{class}\"><b>{count}</b>{severity}</li>");
    }
    let keys = report.logins.len();
    _ = write!(out, "<li class=\"wide\"><b>{keys}</b>login keys</li>\n</ul>\n</section>\n");
}

/// What remains: first what somebody has to decide, then what the next scrub takes along.
fn findings(out: &mut String, report: &Report) {
    let (scrubbed, decided): (Vec<&Finding>, Vec<&Finding>) =
        report.findings.iter().partition(|finding| finding.remedy == RUN_SCRUB);
    if !decided.is_empty() {
        out.push_str("<h2>Needs a decision</h2>\n");
        cards(out, &decided, true);
    }
    if !scrubbed.is_empty() {
        out.push_str(
            "<h2>What a scrub takes away</h2>\n<p class=\"soft\">Remedy for all of these: run \
             <code>scrub</code> on the image, or keep one by policy.</p>\n",
        );
        cards(out, &scrubbed, false);
    }
}

/// One card for each rule, the worst first.
fn cards(out: &mut String, findings: &[&Finding], remedy: bool) {
    let mut cards: BTreeMap<_, Vec<&Finding>> = BTreeMap::new();
    for finding in findings {
        let key = (Reverse(finding.severity), &finding.rule, &finding.what, &finding.remedy);
        cards.entry(key).or_default().push(finding);
    }
    for ((Reverse(severity), rule, what, how), all) in cards {
        _ = write!(
            out,
            "<article class=\"card\">\n<header><span class=\"chip {severity}\">{severity}</span>\
             <h3>{}</h3><code class=\"soft\">{}</code></header>\n<p class=\"soft\">{}</p>\n",
            Escaped(what),
            Escaped(rule),
            Escaped(all.first().map_or("", |first| &first.why)),
        );
        places(out, &all);
        if remedy {
            _ = writeln!(out, "<p class=\"remedy\"><b>Remedy:</b> {}</p>", Escaped(how));
        }
        out.push_str("</article>\n");
    }
}

fn places(out: &mut String, all: &[&Finding]) {
    let list = |out: &mut String, some: &[&Finding]| {
        out.push_str("<ul>\n");
        for finding in some {
            _ = write!(
                out,
                "<li><code class=\"path\">{}</code>",
                Escaped(&finding.path.to_string())
            );
            if let Some(subject) = &finding.subject {
                _ = write!(out, " <span>{}</span>", Escaped(subject));
            }
            out.push_str("</li>\n");
        }
        out.push_str("</ul>\n");
    };
    let (shown, folded) = all.split_at(all.len().min(SHOWN));
    list(out, shown);
    if folded.is_empty() {
        return;
    }
    _ = writeln!(out, "<details><summary>{} more</summary>", folded.len());
    list(out, folded.get(..MOST).unwrap_or(folded));
    if folded.len() > MOST {
        _ = writeln!(
            out,
            "<p class=\"soft\">and {} more in the JSON report</p>",
            folded.len() - MOST
        );
    }
    out.push_str("</details>\n");
}

#[cfg(test)]
mod tests;
