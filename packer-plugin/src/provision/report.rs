//! The report on Packer's machine, and the closing table in Packer's output.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use disinherit_core::{Error, Result};
use serde_json::Value;

use super::session::printable;

/// Findings that the table shows; the report has them all.
const MOST: usize = 20;

/// Writes the report with mode 0600, whole or not at all, and returns its absolute path.
///
/// # Errors
/// When the folder or the file cannot be written.
pub(super) fn write(path: &Path, report: &Value) -> Result<PathBuf> {
    let store = || -> std::io::Result<PathBuf> {
        let path = std::path::absolute(path)?;
        let folder = path.parent().unwrap_or(Path::new("/"));
        let mut text = serde_json::to_vec_pretty(report)?;
        text.push(b'\n');
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{:08x}", rand::random::<u32>()));
        let temporary = folder.join(name);
        let written = new_file(&temporary, &text).and_then(|()| fs::rename(&temporary, &path));
        if written.is_err() && temporary.exists() {
            fs::remove_file(&temporary)?;
        }
        written.map(|()| path)
    };
    store().map_err(|e| {
        Error::failed("write the report", path.display())
            .because(e)
            .remedy("set report_path to a place that can be written")
    })
}

fn new_file(path: &Path, text: &[u8]) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text)?;
    file.sync_all()
}

/// The closing table.
pub(super) fn table(report: &Value, exit: u8, path: Option<&Path>) -> String {
    let count = |name: &str| report.pointer(&format!("/summary/{name}")).and_then(Value::as_u64);
    let count = |name: &str| count(name).unwrap_or_default();
    let verdict = match exit {
        0 => "clean",
        1 => "credentials or risks remain",
        _ => "not finished",
    };
    let mut lines = vec![
        format!("disinherit: {verdict}"),
        format!(
            "  changes    {} of {} made, {} failed",
            count("done"),
            count("planned"),
            count("failed")
        ),
        format!("  erased     {} bytes overwritten", count("bytes_erased")),
        format!(
            "  remaining  {} findings, {} of them fail the build",
            count("findings"),
            count("failing")
        ),
    ];
    if let Some(path) = path {
        lines.push(format!("  report     {}", path.display()));
    }
    let findings = list(report, "findings");
    for finding in findings.iter().take(MOST) {
        lines.push(format!("  {:<9}  {}", text(finding, "severity"), place(finding)));
        lines.push(format!("             {} [{}]", text(finding, "what"), text(finding, "rule")));
    }
    if findings.len() > MOST {
        lines.push(format!("  and {} more in the report", findings.len() - MOST));
    }
    for risk in list(report, "residual").iter().take(MOST) {
        lines.push(format!("  not reached: {}; {}", text(risk, "what"), text(risk, "remedy")));
    }
    lines.iter().map(|line| printable(line)).collect::<Vec<_>>().join("\n")
}

/// What remains, in half a line: the number of findings that fail, and the first of them.
pub(super) fn remains(report: &Value) -> String {
    let findings = list(report, "findings");
    let failing = report.pointer("/summary/failing").and_then(Value::as_u64);
    let number = failing.unwrap_or(findings.len() as u64);
    let order = ["critical", "high", "medium", "low"];
    let rank = |finding: &&Value| order.iter().position(|word| *word == text(finding, "severity"));
    let worst = findings.iter().min_by_key(|finding| rank(finding).unwrap_or(order.len()));
    let first = worst.map(|finding| {
        let what = format!("; the worst is {} ({})", place(finding), text(finding, "what"));
        printable(&what)
    });
    let plural = if number == 1 { "finding" } else { "findings" };
    format!("{number} {plural}{}", first.unwrap_or_default())
}

fn place(finding: &Value) -> String {
    let subject = text(finding, "subject");
    let path = text(finding, "path");
    if subject.is_empty() { path.to_owned() } else { format!("{path} ({subject})") }
}

fn list<'a>(report: &'a Value, name: &str) -> &'a [Value] {
    report.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::os::unix::fs::PermissionsExt;

    fn report() -> Value {
        json!({
            "summary": {"planned": 3, "done": 3, "failed": 0, "findings": 2, "failing": 1, "bytes_erased": 42},
            "findings": [
                {"severity": "low", "path": "/a", "what": "log", "rule": "log-x"},
                {"severity": "high", "path": "/etc/k\u{1b}[31m", "subject": "ann", "what": "private key", "rule": "key-x"},
            ],
            "residual": [{"what": "xfs log", "why": "online", "remedy": "unmount it"}],
        })
    }

    #[test]
    fn the_table_counts_first_and_obeys_no_escape() {
        let table = table(&report(), 1, Some(Path::new("/r.json")));
        assert_eq!(
            table,
            "disinherit: credentials or risks remain\n  \
             changes    3 of 3 made, 0 failed\n  \
             erased     42 bytes overwritten\n  \
             remaining  2 findings, 1 of them fail the build\n  \
             report     /r.json\n  \
             low        /a\n             log [log-x]\n  \
             high       /etc/k[31m (ann)\n             private key [key-x]\n  \
             not reached: xfs log; unmount it"
        );
        assert_eq!(remains(&report()), "1 finding; the worst is /etc/k[31m (ann) (private key)");
    }

    #[test]
    fn a_report_of_another_shape_is_no_panic() {
        assert!(table(&json!([1]), 0, None).starts_with("disinherit: clean"));
        assert_eq!(remains(&json!({})), "0 findings");
    }

    #[test]
    fn the_file_is_private_and_replaced_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("report.json");
        fs::write(&path, "old").unwrap();
        assert_eq!(write(&path, &report()).unwrap(), path);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let read: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        assert_eq!(read, report());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        assert!(write(&dir.path().join("no/r.json"), &report()).is_err());
    }
}
