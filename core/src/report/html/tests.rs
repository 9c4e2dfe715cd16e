use super::*;
use crate::ImagePath;

fn finding(path: &str, severity: Severity) -> Finding {
    Finding {
        rule: "his-shell".into(),
        category: "shell-history".into(),
        severity,
        path: ImagePath::new(path).unwrap(),
        subject: Some("<img src=x onerror=alert(1)>".into()),
        what: "history of a shell & more".into(),
        why: "holds \"passwords\"".into(),
        remedy: "run scrub".into(),
    }
}

fn report(findings: Vec<Finding>) -> Report {
    let mut report = Report::of_nothing();
    report.root = "/mnt/<image>".into();
    report.findings = findings;
    report.conclude(Severity::High, false);
    report
}

#[test]
fn nothing_from_the_image_becomes_markup() {
    let page = html(&report(vec![finding("/home/a<b>/\u{202e}x", Severity::High)]));
    assert!(
        !page.contains("<img") && !page.contains("<image>") && !page.contains("<b>/"),
        "{page}"
    );
    assert!(page.contains("/home/a&lt;b&gt;/") && page.contains("&lt;img src=x"));
    assert!(!page.contains('\u{202e}'));
}

#[test]
fn the_page_needs_nothing_from_elsewhere() {
    let page = html(&report(vec![finding("/root/.bash_history", Severity::High)]));
    for forbidden in ["<script", "<link", "url(", "@import", "http://", "https://", " src="] {
        let shown = page.replace("&lt;img src=x onerror=alert(1)&gt;", "");
        assert!(!shown.contains(forbidden), "{forbidden}");
    }
}

#[test]
fn what_is_alike_stands_on_one_card_and_the_worst_comes_first() {
    let mut findings: Vec<Finding> =
        (0..20).map(|i| finding(&format!("/home/u{i}/.bash_history"), Severity::Low)).collect();
    findings.push(finding("/root/.bash_history", Severity::Critical));
    let page = html(&report(findings));
    assert_eq!(page.matches("<article").count(), 2);
    assert!(page.contains("14 more") && page.contains("/home/u19/.bash_history"));
    let at = |text: &str| page.find(text).unwrap();
    assert!(at("/root/.bash_history") < at("/home/u0/.bash_history"));
    assert!(
        page.contains("Credentials or risks remain") && page.contains("severity high and above")
    );
}

#[test]
fn a_clean_image_says_so() {
    let page = html(&report(Vec::new()));
    assert!(page.contains("Nothing is left that this policy minds") && !page.contains("<h2>"));
}

/// Every tag that is opened is closed, in order.
#[test]
fn tags_are_balanced() {
    let page = html(&report(vec![finding("/a", Severity::High), finding("/b", Severity::Low)]));
    let mut open: Vec<String> = Vec::new();
    for piece in page.split('<').skip(1) {
        let tag = piece.split('>').next().unwrap();
        let name = tag.trim_start_matches('/').split(' ').next().unwrap().to_owned();
        match (tag.starts_with('/'), name.as_str()) {
            (_, "!doctype" | "meta" | "br") => {}
            (true, _) => assert_eq!(open.pop(), Some(name)),
            (false, _) => open.push(name),
        }
    }
    assert!(open.is_empty(), "{open:?}");
}
