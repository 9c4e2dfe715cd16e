//! apk's database: one file of records, `F:` a folder, `R:` a file in it, `Z:` its digest
//! (apk-tools, doc/apk-v2.5).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Algorithm, Packages, Sum};
use crate::root::Root;
use crate::{ImagePath, Result};

const INSTALLED: [&str; 2] = ["/lib/apk/db/installed", "/usr/lib/apk/db/installed"];
const LIMIT: u64 = 256 << 20;

pub(super) fn load(root: &Root, packages: &mut Packages) -> Result<()> {
    for path in INSTALLED.map(ImagePath::literal) {
        if let Some(text) = root.read(&path, LIMIT)? {
            records(&text, packages);
        }
    }
    Ok(())
}

fn records(text: &[u8], packages: &mut Packages) {
    let mut folder: &[u8] = b"";
    let mut file: Option<Vec<u8>> = None;
    for line in text.split(|b| *b == b'\n') {
        let (Some(kind), Some(value)) = (line.get(..2), line.get(2..)) else { continue };
        match kind {
            b"F:" => folder = value,
            b"R:" => {
                let path = [folder, value].join(&b'/');
                packages.add(&path, Sum::Unknown);
                file = Some(path);
            }
            b"Z:" => {
                // `Q1` is SHA-1 in base64.
                let digest = value.strip_prefix(b"Q1").and_then(|d| STANDARD.decode(d).ok());
                let sum = digest.and_then(|d| <[u8; 20]>::try_from(d).ok());
                if let (Some(path), Some(sum)) = (file.take(), sum) {
                    packages.add(&path, Sum::of(Algorithm::Sha1, &sum));
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_below_the_folder_that_was_named_last() {
        let image = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let path = image.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        std::fs::create_dir_all(image.path().join("etc")).unwrap();
        // SHA-1 of "abc" (FIPS 180-4).
        put(
            "lib/apk/db/installed",
            "P:tool\nF:usr/bin\nR:tool\na:0:0:755\nZ:Q1qZk+NkcGgWq6PiVxeFDCbJzQ2J0=\nF:etc\nR:x\n",
        );
        put("usr/bin/tool", "abc");
        let root = Root::offline(image.path()).unwrap();
        let packages = Packages::load(&root).unwrap();
        assert!(packages.is_unmodified(&root, &ImagePath::literal("/usr/bin/tool")).unwrap());
        assert!(packages.owns(&ImagePath::literal("/etc/x")));
    }
}
