//! What a file is, by its first bytes and its name.

use super::scanner::Reading;
use super::unpack::Packed;

/// What a file is, by its first bytes and its name.
pub(super) struct Kind {
    pub packed: Option<Packed>,
    pub binary: bool,
    pub reading: Reading,
}

impl Kind {
    pub(super) fn of(head: &[u8], name: &[u8]) -> Self {
        /// Programs, objects, archives, images, fonts, translations: no text that a person wrote.
        const BUILT: &[&[u8]] = &[
            b"\x7fELF",
            b"!<arch>",
            b"MZ",
            b"\xca\xfe\xba\xbe",
            b"\0asm",
            b"\x89PNG",
            b"\xff\xd8\xff",
            b"GIF8",
            b"\0\x01\0\0",
            b"OTTO",
            b"wOF",
            b"\xde\x12\x04\x95",
            b"\x95\x04\x12\xde",
            b"RIFF",
        ];
        const CODE: &[&[u8]] = &[
            b"py", b"pyi", b"c", b"h", b"cc", b"cpp", b"hpp", b"go", b"rs", b"js", b"mjs", b"ts",
            b"java", b"kt", b"rb", b"pl", b"pm", b"php", b"lua", b"cs", b"swift", b"scala", b"el",
            b"vim", b"R", b"tcl",
        ];
        let binary =
            memchr::memchr(0, head.get(..head.len().min(8192)).unwrap_or_default()).is_some();
        let built = binary && BUILT.iter().any(|magic| head.starts_with(magic));
        let suffix = name.rsplit(|b| *b == b'.').next().unwrap_or_default();
        let reading = match () {
            () if built => Reading::Shapes,
            () if CODE.contains(&suffix) => Reading::Code,
            () => Reading::All,
        };
        Self { packed: Packed::of(head), binary, reading }
    }
}
