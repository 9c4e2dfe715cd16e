use proptest::prelude::*;

use super::*;

/// One entry of a cpio archive in the newc format.
fn entry(name: &str, mode: u32, content: &[u8]) -> Vec<u8> {
    let fields = [1, mode, 0, 0, 1, 0, u32::try_from(content.len()).unwrap(), 0, 0, 0, 0];
    let mut out = b"070701".to_vec();
    for field in fields.into_iter().chain([u32::try_from(name.len()).unwrap() + 1, 0]) {
        out.extend_from_slice(format!("{field:08x}").as_bytes());
    }
    out.extend_from_slice(name.as_bytes());
    out.push(0);
    pad(&mut out);
    out.extend_from_slice(content);
    pad(&mut out);
    out
}

fn pad(out: &mut Vec<u8>) {
    while out.len() % 4 != 0 {
        out.push(0);
    }
}

fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = entry("kernel", 0o40755, b"");
    for (name, content) in files {
        out.extend(entry(name, 0o100_644, content));
    }
    out.extend(entry("TRAILER!!!", 0, b""));
    // As cpio(1) does, to a whole block.
    out.resize(out.len().div_ceil(512) * 512, 0);
    out
}

/// Nothing that could be a password is written down here.
fn shadow() -> Vec<u8> {
    let hash = "0123456789abcdef".repeat(4);
    format!("daemon:*:1::::::\nroot:$6$salt${hash}:19700::::::\n").into_bytes()
}

fn found(image: &[u8]) -> Vec<String> {
    look(&mut &*image)
        .unwrap()
        .into_iter()
        .map(|i| format!("{} {}: {}", i.severity, i.path, i.what))
        .collect()
}

const ROOT: &str = "critical etc/shadow: password of root";

#[test]
fn every_kind_of_secret_is_known_and_nothing_else() {
    let mut key = b"-----BEGIN OPENSSH ".to_vec();
    key.extend_from_slice(b"PRIVATE KEY-----\nx\n");
    let public: &[u8] =
        b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHlvbmRlciBzdGFuZHMgYSBrZXkgZm9yIHRlc3RzeHl6 ann\n";
    let image = archive(&[
        ("./etc/shadow", &shadow()),
        ("etc/passwd", b"root:x:0:0::/:/bin/sh\nemergency::0:0::/:/bin/sh\n"),
        ("root/.ssh/authorized_keys", public),
        ("etc/dropbear/dropbear_ed25519_host_key", b"\0\0x"),
        ("etc/ssh/ssh_host_rsa_key", b"x"),
        ("cryptroot/keyfiles/sda2.key", b"\x01\x02"),
        ("etc/vpn.conf", &key),
        ("etc/dropbear/authorized_keys", b"# none\n"),
        ("cryptroot/crypttab", b"sda2 UUID=x none luks\n"),
        ("bin/busybox", b"\x7fELF"),
        ("etc/ssh/ssh_host_rsa_key.pub", public),
    ]);
    assert_eq!(
        found(&image),
        [
            "critical cryptroot/keyfiles/sda2.key: key of an encrypted disk",
            "high etc/dropbear/dropbear_ed25519_host_key: host key of an SSH server",
            "critical etc/passwd: password of emergency",
            ROOT,
            "high etc/ssh/ssh_host_rsa_key: host key of an SSH server",
            "critical etc/vpn.conf: private key",
            "high root/.ssh/authorized_keys: public keys that let somebody in (1)",
        ]
    );
}

#[test]
fn segments_follow_each_other_with_zeros_between() {
    let microcode = archive(&[("kernel/x86/microcode/GenuineIntel.bin", &[7; 5000])]);
    let mut image = microcode.clone();
    image.resize(image.len() + 4096, 0);
    image.extend(archive(&[("etc/shadow", &shadow())]));
    image.extend([0; 512]);
    assert_eq!(found(&image), [ROOT]);
    assert!(found(&microcode).is_empty() && found(b"").is_empty() && found(&[0; 999]).is_empty());
}

#[test]
fn a_large_file_is_passed_over() {
    let large = vec![b'x'; 1 << 20];
    let image = archive(&[("lib/modules/x.ko", &large), ("etc/shadow", &shadow())]);
    assert_eq!(found(&image), [ROOT]);
}

#[test]
fn what_is_cut_or_unknown_is_an_error_and_not_empty() {
    let whole = archive(&[("etc/shadow", &shadow())]);
    for image in [&whole[..200], b"\x5d\0\0\x80\0lzma", b"some text", b"070701zz"] {
        assert!(look(&mut &*image).is_err(), "{image:?}");
    }
}

/// A header can ask for 4 GiB, which would end the program.
#[test]
fn memory_without_bound_is_refused() {
    let image = archive(&[("etc/shadow", &shadow())]);
    let blocks: Vec<(&[u8], u8)> = image.chunks(64).map(|chunk| (chunk, 0)).collect();
    assert_eq!(found(&crate::unpack::packed_xz(&blocks)), [ROOT]);
    let image = crate::unpack::packed_xz(&[(b"070701", 40)]);
    assert!(look(&mut &*image).unwrap_err().to_string().contains("cannot be looked into"));
}

/// A PE program with an `.initrd` section.
fn program(initrd: &[u8]) -> Vec<u8> {
    let mut out = vec![0; 0x400];
    let mut put = |at: usize, bytes: &[u8]| out[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"MZ");
    put(0x3c, &0x80_u32.to_le_bytes());
    put(0x80, b"PE\0\0");
    put(0x86, &2_u16.to_le_bytes());
    put(0x94, &16_u16.to_le_bytes());
    let table = 0x80 + 24 + 16;
    put(table, b".linux\0\0");
    put(table + 40, b".initrd\0");
    let length = u32::try_from(initrd.len()).unwrap();
    put(table + 48, &length.to_le_bytes());
    put(table + 56, &length.next_multiple_of(512).to_le_bytes());
    put(table + 60, &0x400_u32.to_le_bytes());
    out.extend_from_slice(initrd);
    out.extend([0xcc; 700]);
    out
}

#[test]
fn a_unified_kernel_image_has_one_too() {
    assert_eq!(found(&program(&archive(&[("etc/shadow", &shadow())]))), [ROOT]);
    let mut without = program(&[]);
    let table = 0x80 + 24 + 16;
    without[table + 40] = b'_';
    assert!(found(&without).is_empty());
    assert!(found(b"MZ").is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Hostile bytes end in an answer or an error, never in a panic or without an end.
    #[test]
    fn anything_may_be_looked_at(
        magic in prop::sample::select(vec![
            &b""[..], b"070701", b"MZ", b"\x1f\x8b\x08\0", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd",
            b"\x02\x21\x4c\x18", b"BZh9", b"\0\0\x00070702",
        ]),
        rest in prop::collection::vec(any::<u8>(), 0..600),
    ) {
        let image = [magic, &rest].concat();
        drop(look(&mut &*image));
    }

    /// A sound archive with one byte changed.
    #[test]
    fn one_wrong_byte_does_no_harm(at in 0usize..2048, byte in any::<u8>()) {
        let mut image = archive(&[("etc/shadow", &shadow()), ("a", b"b")]);
        let at = at % image.len();
        image[at] = byte;
        drop(look(&mut &*image));
    }

    /// Names and contents come out as they went in, whatever their lengths.
    #[test]
    fn every_entry_is_visited(files in prop::collection::vec(("[a-z/]{1,30}", prop::collection::vec(any::<u8>(), 0..70)), 0..6)) {
        let list: Vec<(&str, &[u8])> = files.iter().map(|(n, c)| (n.as_str(), c.as_slice())).collect();
        let image = archive(&list);
        let mut seen = Vec::new();
        let mut bytes = &*image;
        segments::walk(&mut segments::Source::new(&mut bytes), &mut |name, content| {
            seen.push((name.to_vec(), content.unwrap().to_vec()));
        }).unwrap();
        let expected: Vec<_> = list.iter().map(|(n, c)| (n.as_bytes().to_vec(), c.to_vec())).collect();
        prop_assert_eq!(seen, expected);
    }
}
