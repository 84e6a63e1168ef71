//! bcrypt, with and without the hash before it that Flask-Bcrypt can be told to make.

use std::fmt::Write;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::{
    Engine, alphabet,
    engine::{GeneralPurpose, GeneralPurposeConfig, general_purpose::NO_PAD},
};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::passwords::stored::{UnusableHash, parts};

/// Eight times the libraries' 12: about two seconds.
const COST_MAX: u32 = 15;
const COST_MIN: u32 = 4;
const SALT_BYTES: usize = 16;
const SALT_CHARS: usize = 22;
/// Of the 24 bytes that bcrypt makes, all libraries store so many.
const KEY_BYTES: usize = 23;
/// What of a password, with the NUL at its end, bcrypt looks at.
const PASSWORD_BYTES_MAX: usize = 72;

/// The last character of a salt and of a key has bits to spare, and libraries differ in them.
const CONFIG: GeneralPurposeConfig = NO_PAD.with_decode_allow_trailing_bits(true);
const BASE64: GeneralPurpose = GeneralPurpose::new(&alphabet::BCRYPT, CONFIG);

/// A hash of bcrypt.
#[derive(Clone)]
pub struct Bcrypt {
    cost: u32,
    salt: [u8; SALT_BYTES],
    key: [u8; KEY_BYTES],
}

impl Bcrypt {
    /// `$2b$<cost>$<salt and key>`; `2a` and `2y` are the same algorithm in every library that is
    /// not broken (`2x` is the broken one).
    pub(in crate::passwords) fn parse(text: &str) -> Result<Self, UnusableHash> {
        let [_, _, cost, rest] = parts(text, '$')?;
        let is_cost = cost.len() == 2 && cost.bytes().all(|b| b.is_ascii_digit());
        let cost: u32 = cost.parse().ok().filter(|_| is_cost).ok_or(UnusableHash::Malformed)?;
        if cost > COST_MAX {
            return Err(UnusableHash::TooCostly);
        }
        let (salt, key) = rest.split_at_checked(SALT_CHARS).ok_or(UnusableHash::Malformed)?;
        let salt = BASE64.decode(salt).ok().and_then(|bytes| bytes.try_into().ok());
        let key = BASE64.decode(key).ok().and_then(|bytes| bytes.try_into().ok());
        match (salt, key) {
            (Some(salt), Some(key)) if cost >= COST_MIN => Ok(Self { cost, salt, key }),
            _ => Err(UnusableHash::Malformed),
        }
    }

    /// Flask-Bcrypt's `BCRYPT_HANDLE_LONG_PASSWORDS` hashes the hexadecimal SHA-256 of the
    /// password, and the stored value does not tell. So both are tried, which costs twice for a
    /// wrong password, until the first that is right has been replaced: nobody who moves in has
    /// to know how an old server was configured.
    pub(in crate::passwords) fn verify(&self, password: &[u8]) -> bool {
        self.matches(password) || self.matches(sha256_hex(password).as_bytes())
    }

    fn matches(&self, password: &[u8]) -> bool {
        let mut terminated = Zeroizing::new(Vec::with_capacity(password.len() + 1));
        terminated.extend_from_slice(password);
        terminated.push(0);
        // As the libraries did; the hash that replaces this one is over the whole password.
        terminated.truncate(PASSWORD_BYTES_MAX);
        let key = bcrypt::bcrypt(self.cost, self.salt, &terminated);
        let key = key.get(..KEY_BYTES).unwrap_or_default();
        verify_slices_are_equal(key, &self.key).is_ok()
    }
}

fn sha256_hex(bytes: &[u8]) -> Zeroizing<String> {
    let digest = Sha256::digest(bytes);
    let mut text = Zeroizing::new(String::with_capacity(2 * digest.len()));
    for byte in digest {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}
