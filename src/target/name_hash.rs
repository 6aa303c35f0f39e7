//! Computes the hashes of a user's name that a path may hold: their first hexadecimal digits, in
//! lower case.

use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256};

/// A hash function that a placeholder names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NameHash {
    Sha256,
    Sha1,
    Md5,
}

/// The digits of the longest hash.
const MAX_DIGITS: usize = 64;

impl NameHash {
    /// The name of the placeholder.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha1 => "sha1",
            Self::Md5 => "md5",
        }
    }

    /// How many hexadecimal digits the hash has.
    pub(crate) const fn max_digits(self) -> usize {
        match self {
            Self::Sha256 => MAX_DIGITS,
            Self::Sha1 => 40,
            Self::Md5 => 32,
        }
    }

    /// All digits of a name's hash.
    pub(crate) fn digits(self, name: &[u8]) -> HexDigits {
        match self {
            Self::Sha256 => HexDigits::new(&Sha256::digest(name)),
            Self::Sha1 => HexDigits::new(&Sha1::digest(name)),
            Self::Md5 => HexDigits::new(&Md5::digest(name)),
        }
    }
}

/// The digits of one hash.
pub(crate) struct HexDigits {
    digits: [u8; MAX_DIGITS],
    len: usize,
}

impl HexDigits {
    fn new(hash: &[u8]) -> Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut digits = [0; MAX_DIGITS];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(hash) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        Self { digits, len: hash.len() * 2 }
    }

    /// The first digits; all of them if there are fewer.
    pub(crate) fn first(&self, count: usize) -> &[u8] {
        &self.digits[..count.min(self.len)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digits_are_those_of_the_standard_tools() {
        for (hash, digits) in [
            (NameHash::Sha256, "49915e0d7d4b402e3017d010bc1c0e83cac6c797d6c16e66340fe3268693a6a1"),
            (NameHash::Sha1, "744cb9a9fb3d5583744ea3ece9b4d819d90bdee2"),
            (NameHash::Md5, "7e0d7f8a5d96c24ffcc840f31bce72b2"),
        ] {
            assert_eq!(hash.digits(b"ann").first(64), digits.as_bytes(), "{hash:?}");
            assert_eq!(digits.len(), hash.max_digits());
        }
    }
}
