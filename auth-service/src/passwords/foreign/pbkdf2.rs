//! PBKDF2 (RFC 8018) as Werkzeug and Django store it.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::{Engine, prelude::BASE64_STANDARD};
use pbkdf2::pbkdf2_hmac;
use sha1::Sha1;
use sha2::{Sha256, Sha512};

use super::Digest;
use crate::passwords::stored::{KEY_BYTES_MAX, UnusableHash, hex, number, parts, salt_text};

/// Ten times what Werkzeug 3.1 and Django 6 make: about three seconds.
const ITERATIONS_MAX: u32 = 10_000_000;

/// A hash of PBKDF2.
#[derive(Clone)]
pub struct Pbkdf2 {
    digest: Digest,
    iterations: u32,
    salt: String,
    key: Vec<u8>,
}

impl Pbkdf2 {
    /// `pbkdf2:<digest>:<iterations>$<salt>$<hex>`; the salt is the text itself.
    pub(in crate::passwords) fn parse_werkzeug(text: &str) -> Result<Self, UnusableHash> {
        let [method, salt, key] = parts(text, '$')?;
        let [_, digest, iterations] = parts(method, ':')?;
        Self::new(digest, iterations, salt, hex(key)?)
    }

    /// `pbkdf2_<digest>$<iterations>$<salt>$<base64>`; the salt is the text itself.
    pub(in crate::passwords) fn parse_django(text: &str) -> Result<Self, UnusableHash> {
        let [method, iterations, salt, key] = parts(text, '$')?;
        let digest = method.strip_prefix("pbkdf2_").ok_or(UnusableHash::UnknownFormat)?;
        let key = BASE64_STANDARD.decode(key).map_err(|_| UnusableHash::Malformed)?;
        Self::new(digest, iterations, salt, key)
    }

    fn new(digest: &str, iterations: &str, salt: &str, key: Vec<u8>) -> Result<Self, UnusableHash> {
        let (digest, iterations) = (Digest::parse(digest)?, number(iterations)?);
        if iterations > ITERATIONS_MAX {
            return Err(UnusableHash::TooCostly);
        }
        if key.len() != digest.bytes() {
            return Err(UnusableHash::Malformed);
        }
        Ok(Self { digest, iterations, salt: salt_text(salt)?.to_owned(), key })
    }

    pub(in crate::passwords) fn verify(&self, password: &[u8]) -> bool {
        let mut buffer = [0; KEY_BYTES_MAX];
        let Some(key) = buffer.get_mut(..self.key.len()) else { return false };
        let derive = match self.digest {
            Digest::Sha1 => pbkdf2_hmac::<Sha1>,
            Digest::Sha256 => pbkdf2_hmac::<Sha256>,
            Digest::Sha512 => pbkdf2_hmac::<Sha512>,
        };
        derive(password, self.salt.as_bytes(), self.iterations, key);
        verify_slices_are_equal(key, &self.key).is_ok()
    }
}
