//! The tables of the page.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use crate::report::{Mode, Report};

/// Rows of one table in the page; the JSON report has them all.
const MOST: usize = 200;

/// Text from the image, as HTML text or attribute value.
pub(super) struct Escaped<'a>(pub &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                // Right-to-left marks would show another path than the one that is there.
                '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                    write!(f, "\\u{{{:x}}}", u32::from(c))?;
                }
                _ => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// Every key that sshd accepted when the run began.
pub(super) fn logins(out: &mut String, report: &Report) {
    if report.logins.is_empty() {
        return;
    }
    let when =
        if report.mode == Mode::Scrub { "Who could log in before" } else { "Who may log in" };
    _ = write!(
        out,
        "<h2>{when}</h2>\n<table>\n<thead><tr><th>account</th><th>key</th><th>file</th></tr></thead>\n<tbody>\n"
    );
    for login in report.logins.iter().take(MOST) {
        _ = write!(
            out,
            "<tr><td data-name=\"account\">{}</td><td data-name=\"key\"><code>{}</code><br>{}",
            Escaped(&login.user),
            Escaped(&login.fingerprint),
            Escaped(&login.key_type),
        );
        if let Some(weakness) = &login.weakness {
            _ = write!(out, " <span class=\"chip critical\">{}</span>", Escaped(weakness));
        }
        let path = login.path.to_string();
        _ = writeln!(out, "</td><td data-name=\"file\"><code>{}</code></td></tr>", Escaped(&path));
    }
    out.push_str("</tbody>\n</table>\n");
    more(out, report.logins.len());
}

/// What this run could not reach, and the file systems that it left alone.
pub(super) fn residual(out: &mut String, report: &Report) {
    if report.residual.is_empty() && report.skipped.is_empty() {
        return;
    }
    out.push_str("<h2>Not reached by this run</h2>\n");
    for left in report.residual.iter().take(MOST) {
        _ = write!(
            out,
            "<article class=\"card\">\n<h3>{}</h3>\n<p class=\"soft\">{}</p>\n\
             <p class=\"remedy\"><b>Remedy:</b> {}</p>\n</article>\n",
            Escaped(&left.what),
            Escaped(&left.why),
            Escaped(&left.remedy),
        );
    }
    for mount in report.skipped.iter().take(MOST) {
        _ = writeln!(
            out,
            "<p><code class=\"path\">{}</code> <span class=\"soft\">left alone: {} on {}</span></p>",
            Escaped(&mount.at.to_string()),
            Escaped(&mount.fstype),
            Escaped(&mount.source),
        );
    }
}

/// What failed, each; what was done, by rule and folded.
pub(super) fn actions(out: &mut String, report: &Report) {
    let failed: Vec<_> = report.actions.iter().filter(|done| done.error.is_some()).collect();
    if !failed.is_empty() {
        out.push_str("<h2>What failed</h2>\n");
        for done in failed.iter().take(MOST) {
            _ = write!(
                out,
                "<article class=\"card\">\n<h3 class=\"path\">{}</h3>\n<p>{}</p>\n</article>\n",
                Escaped(&done.path.to_string()),
                Escaped(done.error.as_deref().unwrap_or_default()),
            );
        }
        more(out, failed.len());
    }
    let mut by_rule: BTreeMap<&str, (usize, &str)> = BTreeMap::new();
    for done in report.actions.iter().filter(|done| done.error.is_none()) {
        for rule in &done.rules {
            by_rule.entry(rule).or_insert((0, &done.action)).0 += 1;
        }
    }
    if by_rule.is_empty() {
        return;
    }
    let verb = if report.mode == Mode::Scrub { "was changed" } else { "a scrub would change" };
    _ = write!(
        out,
        "<h2>What {verb}</h2>\n<details><summary>{} rules, by count</summary>\n<table>\n\
         <thead><tr><th>rule</th><th>count</th><th>for instance</th></tr></thead>\n<tbody>\n",
        by_rule.len()
    );
    for (rule, (count, example)) in by_rule {
        _ = writeln!(
            out,
            "<tr><td><code>{}</code></td><td class=\"number\" data-name=\"count\">{count}</td>\
             <td data-name=\"for instance\">{}</td></tr>",
            Escaped(rule),
            Escaped(example),
        );
    }
    out.push_str("</tbody>\n</table>\n</details>\n");
}

fn more(out: &mut String, all: usize) {
    if all > MOST {
        _ = writeln!(out, "<p class=\"soft\">and {} more in the JSON report</p>", all - MOST);
    }
}
