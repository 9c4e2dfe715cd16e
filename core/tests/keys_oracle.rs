//! Keys and `authorized_keys` lines as `ssh-keygen` sees them, with keys made for each run.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice, reason = "a test")]

mod oracle;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use disinherit_core::manifest::KeyHash;
use disinherit_core::seal::revocation_list;
use disinherit_core::text::authorized_keys::{Line, lines};
use disinherit_core::text::public_key::{
    Kind, Weakness, check, digest, fingerprint, is_certificate, kind,
};
use libtest_mimic::Failed;

fn main() {
    let missing = Command::new("ssh-keygen").arg("-?").output().is_err();
    oracle::run(
        missing.then(|| "ssh-keygen is not installed".to_string()),
        vec![
            ("kinds_and_fingerprints", kinds_and_fingerprints),
            ("lines_of_a_file", lines_of_a_file),
            ("revocation_lists", revocation_lists),
        ],
    );
}

fn keygen(args: &[&str]) -> String {
    let output = Command::new("ssh-keygen").args(args).output().unwrap();
    // -l ends with a failure when a file has lines that are no keys, and has printed the others.
    String::from_utf8(output.stdout).unwrap()
}

fn generate(dir: &Path, kind: &str, bits: &str) -> PathBuf {
    let path = dir.join(format!("{kind}{bits}"));
    let mut args = vec!["-q", "-t", kind, "-N", "", "-C", "c", "-f", path.to_str().unwrap()];
    if !bits.is_empty() {
        args.extend(["-b", bits]);
    }
    keygen(&args);
    path.with_extension("pub")
}

/// Fingerprints and kinds as `ssh-keygen -l` lists them.
fn listed(path: &Path) -> Vec<(String, String)> {
    keygen(&["-l", "-f", path.to_str().unwrap()])
        .lines()
        .map(|line| {
            let kind = line.rsplit(['(', ')']).nth(1).unwrap();
            (line.split(' ').nth(1).unwrap().to_string(), kind.to_string())
        })
        .collect()
}

fn blobs(path: &Path) -> Vec<Vec<u8>> {
    lines(&fs::read(path).unwrap())
        .filter_map(|line| match line {
            Line::Key(key) => Some(key.blob),
            Line::Skipped { .. } => None,
        })
        .collect()
}

fn kinds_and_fingerprints() -> Result<(), Failed> {
    let dir = tempfile::tempdir().unwrap();
    let authority = generate(dir.path(), "ed25519", "").with_extension("");
    let all = [
        ("ed25519", "", Ok(())),
        ("ecdsa", "256", Ok(())),
        ("ecdsa", "384", Ok(())),
        ("ecdsa", "521", Ok(())),
        ("rsa", "2048", Ok(())),
        ("rsa", "3072", Ok(())),
        ("rsa", "1024", Err(Weakness::RsaShort(1024))),
    ];
    for (name, bits, expected) in all {
        let subject = dir.path().join("subject");
        fs::create_dir_all(&subject).unwrap();
        let public = generate(&subject, name, bits);
        keygen(&[
            "-q",
            "-s",
            authority.to_str().unwrap(),
            "-I",
            "id",
            "-n",
            "ann",
            public.to_str().unwrap(),
        ]);
        let certificate = subject.join(format!("{name}{bits}-cert.pub"));
        for (path, certified) in [(&public, false), (&certificate, true)] {
            let blob = blobs(path).pop().unwrap();
            let expected_kind =
                if certified { format!("{}-CERT", kind(&blob)) } else { kind(&blob).to_string() };
            assert_eq!(listed(path), [(fingerprint(&blob), expected_kind)], "{}", path.display());
            assert_eq!(is_certificate(&blob), certified);
            assert_ne!(kind(&blob), Kind::Unknown);
            assert_eq!(check(&blob), expected, "{}", path.display());
        }
        assert_eq!(fingerprint(&blobs(&public)[0]), fingerprint(&blobs(&certificate)[0]));
    }
    Ok(())
}

fn lines_of_a_file() -> Result<(), Failed> {
    let dir = tempfile::tempdir().unwrap();
    let keys: Vec<String> = ["ed25519", "ecdsa"]
        .map(|kind| {
            let text = fs::read_to_string(generate(dir.path(), kind, "")).unwrap();
            text.trim_end().trim_end_matches(" c").to_string()
        })
        .into();
    let (first, second) = (&keys[0], &keys[1]);
    let blob = first.split(' ').nth(1).unwrap();
    let file = dir.path().join("authorized_keys");
    for text in [
        format!("{first}\n{second} comment\n"),
        format!("# c\n\n  {first} a  b#c\r\n\t{second}"),
        format!("command=\"a b\" {first}\nno-pty\t{second}\n"),
        format!("command=\"say \\\"x y\\\"\",from=\"*\" {first} c\n"),
        format!("command=\"✓✓\" {first}\n"),
        format!("command=\"open {first}\n{second}\n"),
        format!("ssh-rsa {blob}\n{second}\n"),
        format!("{}\n{second}\n", &first[..40]),
        format!("{first}=\n{second}\n"),
        format!("{}\n", first.replace(' ', "  \t")),
        format!("junk\n{first}\njunk junk\n{second}"),
    ] {
        fs::write(&file, &text).unwrap();
        let ours: Vec<_> =
            blobs(&file).iter().map(|b| (fingerprint(b), kind(b).to_string())).collect();
        assert_eq!(ours, listed(&file), "{text}");
    }
    Ok(())
}

/// What our list revokes, ssh-keygen finds revoked, and nothing else; the empty list is one.
fn revocation_lists() -> Result<(), Failed> {
    let dir = tempfile::tempdir().unwrap();
    let list = dir.path().join("list");
    let revoked = |key: &Path| {
        let output = Command::new("ssh-keygen").arg("-Q").arg("-f").arg(&list).arg(key).output();
        let output = output.unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(text.contains(": ok") || text.contains(": REVOKED"), "{text} {output:?}");
        text.contains(": REVOKED")
    };
    let keys: Vec<PathBuf> = [("ed25519", ""), ("ecdsa", "256"), ("rsa", "2048")]
        .map(|(k, b)| generate(dir.path(), k, b))
        .into();
    let hash = |key: &Path| KeyHash(digest(&blobs(key)[0]));
    fs::write(&list, revocation_list(&BTreeSet::new())).unwrap();
    assert!(keys.iter().all(|key| !revoked(key)));
    let hashes = BTreeSet::from([hash(&keys[0]), hash(&keys[2])]);
    fs::write(&list, revocation_list(&hashes)).unwrap();
    assert_eq!(keys.iter().map(|key| revoked(key)).collect::<Vec<_>>(), [true, false, true]);
    Ok(())
}
