//! Structural faults that let strangers use a key, or that make it no key at all.

use std::fmt;

use super::blob::Key;

/// Why a key must not open anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weakness {
    /// Unknown type, cut, trailing bytes, a negative number.
    Malformed,
    /// DSA: 1024 bits by definition, refused by OpenSSH since 7.0.
    Dsa,
    /// RSA modulus below 2048 bits; the number of bits it has.
    RsaShort(usize),
    /// RSA modulus even or with another factor below 2000: everybody can factor it.
    RsaFactor,
    /// RSA exponent even or below 3: with 1 every text is its own signature.
    RsaExponent,
    /// The Ed25519 point is one of the eight of small order: signatures can be made without a key.
    Ed25519SmallOrder,
    /// An Ed25519 point that has not 32 bytes.
    Ed25519Length,
    /// ECDSA: the curve inside is not the one in the type, or the point is not an uncompressed one
    /// of the curve's length.
    EcdsaCurve,
}

impl fmt::Display for Weakness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("not a key that sshd would parse"),
            Self::Dsa => f.write_str("a DSA key"),
            Self::RsaShort(bits) => write!(f, "an RSA key of {bits} bits, fewer than {RSA_BITS}"),
            Self::RsaFactor => f.write_str("an RSA modulus with a small factor"),
            Self::RsaExponent => f.write_str("an RSA exponent that is even or below 3"),
            Self::Ed25519SmallOrder => f.write_str("an Ed25519 point of small order"),
            Self::Ed25519Length => f.write_str("an Ed25519 point that has not 32 bytes"),
            Self::EcdsaCurve => f.write_str("an ECDSA point that does not fit its curve"),
        }
    }
}

impl std::error::Error for Weakness {}

/// Least size of an RSA modulus (NIST SP 800-131A).
const RSA_BITS: usize = 2048;

/// Trial division stops here; a modulus made from two large primes has no such factor.
const RSA_SMALLEST_FACTOR: u32 = 2000;

pub(super) fn check(key: &Key<'_>) -> Result<(), Weakness> {
    match key {
        Key::Dsa => Err(Weakness::Dsa),
        Key::Rsa { exponent, modulus } => rsa(exponent, modulus),
        Key::Ed25519 { point, .. } => ed25519(point),
        Key::Ecdsa { named, point, .. } => {
            let fits = key.curve_fits()
                && point.len() == named.point_length()
                && point.first() == Some(&UNCOMPRESSED);
            if fits { Ok(()) } else { Err(Weakness::EcdsaCurve) }
        }
    }
}

/// First byte of an uncompressed point (SEC 1 section 2.3.3); sshd reads no other.
const UNCOMPRESSED: u8 = 4;

/// Both numbers are big endian without leading zeros.
fn rsa(exponent: &[u8], modulus: &[u8]) -> Result<(), Weakness> {
    let top = modulus.first().map_or(0, |b| 8 - b.leading_zeros() as usize);
    let bits = modulus.len().saturating_sub(1) * 8 + top;
    if bits < RSA_BITS {
        return Err(Weakness::RsaShort(bits));
    }
    let even = |number: &[u8]| number.last().is_none_or(|b| b % 2 == 0);
    let divides = |divisor: u32| {
        modulus.iter().fold(0, |rest, byte| (rest * 256 + u32::from(*byte)) % divisor) == 0
    };
    if even(modulus) || (3..RSA_SMALLEST_FACTOR).step_by(2).any(divides) {
        return Err(Weakness::RsaFactor);
    }
    if even(exponent) || exponent == [1] {
        return Err(Weakness::RsaExponent);
    }
    Ok(())
}

fn ed25519(point: &[u8]) -> Result<(), Weakness> {
    let mut y: [u8; 32] = point.try_into().map_err(|_| Weakness::Ed25519Length)?;
    // The sign of x does not change the order of the point.
    if let Some(top) = y.last_mut() {
        *top &= 0x7f;
    }
    if SMALL_ORDER.contains(&y) { Err(Weakness::Ed25519SmallOrder) } else { Ok(()) }
}

/// The y coordinates, little endian as in RFC 8032 section 5.1.2, of the points whose order divides
/// eight, with p = 2^255 - 19. Each stands for two encodings, one per sign of x, so these are
/// fourteen encodings of eight points: an encoding need not be reduced mod p, and of these y only
/// 0 and 1 are small enough for y + p to fit into 255 bits.
///
/// Where they come from: the neutral point has y = 1, order two y = -1, order four y = 0. A point
/// of order eight doubles to y = 0, so x^2 = -y^2, and with the equation of the curve,
/// -x^2 + y^2 = 1 + d x^2 y^2 with d = -121665/121666, that is 121665 y^4 - 243332 y^2 + 121666 = 0;
/// the two roots that lie on the curve are negatives of each other.
const SMALL_ORDER: [[u8; 32]; 7] = [
    filled(0x00, 0x00, 0x00), // 0
    filled(0x01, 0x00, 0x00), // 1
    filled(0xec, 0xff, 0x7f), // p - 1
    filled(0xed, 0xff, 0x7f), // p, that is 0
    filled(0xee, 0xff, 0x7f), // p + 1, that is 1
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98,
        0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53,
        0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67,
        0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac,
        0x03, 0x7a,
    ],
];

/// `first`, then `middle` thirty times, then `last`.
const fn filled(first: u8, middle: u8, last: u8) -> [u8; 32] {
    let mut bytes = [middle; 32];
    let [low, .., high] = &mut bytes;
    (*low, *high) = (first, last);
    bytes
}

#[cfg(test)]
mod tests {
    use super::super::tests::strings;
    use super::super::{check, kind};
    use super::*;

    /// Numbers mod p as little endian bytes, slow and plain.
    mod field {
        pub(super) type Number = [u8; 32];
        const P: Number = super::filled(0xed, 0xff, 0x7f);

        pub(super) fn small(number: u32) -> Number {
            let mut out = [0; 32];
            out[..4].copy_from_slice(&number.to_le_bytes());
            out
        }

        fn reduce(mut a: Number) -> Number {
            while a.iter().rev().ge(P.iter().rev()) {
                let mut borrow = false;
                for (byte, p) in a.iter_mut().zip(P) {
                    let (difference, under) = byte.overflowing_sub(p);
                    let (difference, under_too) = difference.overflowing_sub(u8::from(borrow));
                    (*byte, borrow) = (difference, under || under_too);
                }
            }
            a
        }

        pub(super) fn add(a: Number, b: Number) -> Number {
            let (a, b) = (reduce(a), reduce(b));
            let mut out = [0; 32];
            let mut carry = 0u16;
            for (out, (a, b)) in out.iter_mut().zip(a.iter().zip(b)) {
                let sum = u16::from(*a) + u16::from(b) + carry;
                *out = (sum & 0xff) as u8;
                carry = sum >> 8;
            }
            reduce(out)
        }

        pub(super) fn multiply(a: Number, b: Number) -> Number {
            let mut out = [0; 32];
            for bit in (0..256).rev() {
                out = add(out, out);
                if b[bit / 8] >> (bit % 8) & 1 == 1 {
                    out = add(out, a);
                }
            }
            out
        }
    }

    #[test]
    fn the_list_satisfies_the_equations() {
        use field::{add, multiply, small};
        let zero = small(0);
        let y = |index: usize| SMALL_ORDER[index];
        for (index, sum) in [(0, 0), (1, 1), (3, 0), (4, 1)] {
            assert_eq!(add(y(index), zero), small(sum));
        }
        assert_eq!(add(y(2), small(1)), zero);
        assert_eq!(add(y(5), y(6)), zero, "negatives of each other");
        let square = multiply(y(5), y(5));
        let left = add(multiply(small(121_665), multiply(square, square)), small(121_666));
        assert_eq!(left, multiply(small(243_332), square), "of order eight");
    }

    #[test]
    fn small_order_points_are_refused_under_both_signs() {
        for sign in [0, 0x80] {
            for mut point in SMALL_ORDER {
                point[31] |= sign;
                let blobs = [
                    strings(&[b"ssh-ed25519", &point]),
                    strings(&[b"sk-ssh-ed25519@openssh.com", &point, b"ssh:"]),
                    strings(&[b"ssh-ed25519-cert-v01@openssh.com", b"n", &point, b"more"]),
                ];
                for blob in blobs {
                    assert_eq!(check(&blob), Err(Weakness::Ed25519SmallOrder));
                }
            }
        }
        assert_eq!(check(&strings(&[b"ssh-ed25519", &[9; 32]])), Ok(()));
        assert_eq!(check(&strings(&[b"ssh-ed25519", &[9; 31]])), Err(Weakness::Ed25519Length));
    }

    #[test]
    fn rsa_numbers() {
        let judge = |exponent: &[u8], modulus: &[u8]| {
            check(&strings(&[b"ssh-rsa", exponent, &[&[0], modulus].concat()]))
        };
        let good = good_modulus();
        assert_eq!(judge(&[1, 0, 1], &good), Ok(()));
        assert_eq!(judge(&[3], &good), Ok(()));
        for exponent in [&[][..], &[1], &[2], &[0, 1], &[1, 0]] {
            assert_eq!(judge(exponent, &good), Err(Weakness::RsaExponent), "{exponent:?}");
        }
        assert_eq!(judge(&[3], &[0xff; 128]), Err(Weakness::RsaShort(1024)));
        assert_eq!(judge(&[3], &[&[0x7f], &good[1..]].concat()), Err(Weakness::RsaShort(2047)));
        assert_eq!(judge(&[3], &[]), Err(Weakness::RsaShort(0)));
        let mut even = good.clone();
        even[255] &= 0xfe;
        assert_eq!(judge(&[3], &even), Err(Weakness::RsaFactor));
        assert_eq!(judge(&[3], &[0xff; 256]), Err(Weakness::RsaFactor), "divisible by three");
        let negative = strings(&[b"ssh-rsa", &[3], &good]);
        assert_eq!(check(&negative), Err(Weakness::Malformed));
    }

    /// The largest odd number of 2048 bits without a factor below 2000.
    fn good_modulus() -> Vec<u8> {
        let mut modulus = vec![0xff; 256];
        for low in (1..=u16::MAX).rev().step_by(2) {
            modulus[254..].copy_from_slice(&low.to_be_bytes());
            if rsa(&[3], &modulus).is_ok() {
                break;
            }
        }
        modulus
    }

    #[test]
    fn ecdsa_points_fit_their_curve() {
        let point = |length: usize| [vec![4], vec![1; length - 1]].concat();
        let judge =
            |name: &[u8], curve: &[u8], point: &[u8]| check(&strings(&[name, curve, point]));
        assert_eq!(judge(b"ecdsa-sha2-nistp256", b"nistp256", &point(65)), Ok(()));
        assert_eq!(judge(b"ecdsa-sha2-nistp384", b"nistp384", &point(97)), Ok(()));
        assert_eq!(judge(b"ecdsa-sha2-nistp521", b"nistp521", &point(133)), Ok(()));
        let bad = Err(Weakness::EcdsaCurve);
        assert_eq!(judge(b"ecdsa-sha2-nistp256", b"nistp384", &point(65)), bad);
        assert_eq!(judge(b"ecdsa-sha2-nistp384", b"nistp384", &point(65)), bad);
        assert_eq!(judge(b"ecdsa-sha2-nistp256", b"nistp256", &[2; 33]), bad, "compressed");
        assert_eq!(judge(b"ecdsa-sha2-nistp256", b"nistp256", &[0]), bad, "infinity");
        let token = [b"sk-ecdsa-sha2-nistp256@openssh.com", &b"nistp256"[..], &[2; 33], b"ssh:"];
        assert_eq!(check(&strings(&token)), bad);
        assert_eq!(kind(&strings(&token)).to_string(), "ECDSA-SK");
    }

    #[test]
    fn dsa_is_refused() {
        let blob = strings(&[b"ssh-dss", &[5], &[5], &[5], &[5]]);
        assert_eq!(check(&blob), Err(Weakness::Dsa));
    }
}
