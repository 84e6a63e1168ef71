//! The salted HMAC (RFC 2104) that Werkzeug before version 3 made when told a bare hash function.

use hmac::{Hmac as HmacOf, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Sha256, Sha512};

use super::Digest;
use crate::passwords::stored::{UnusableHash, hex, parts, salt_text};

/// A salted HMAC: no protection for a password, but a way to move in.
#[derive(Clone)]
pub struct Hmac {
    digest: Digest,
    salt: String,
    key: Vec<u8>,
}

impl Hmac {
    /// `<digest>$<salt>$<hex>`: the salt is the HMAC's key, as text.
    pub(in crate::passwords) fn parse(text: &str) -> Result<Self, UnusableHash> {
        let [digest, salt, key] = parts(text, '$')?;
        let (digest, key) = (Digest::parse(digest)?, hex(key)?);
        if key.len() != digest.bytes() {
            return Err(UnusableHash::Malformed);
        }
        Ok(Self { digest, salt: salt_text(salt)?.to_owned(), key })
    }

    pub(in crate::passwords) fn verify(&self, password: &[u8]) -> bool {
        match self.digest {
            Digest::Sha1 => self.matches::<HmacOf<Sha1>>(password),
            Digest::Sha256 => self.matches::<HmacOf<Sha256>>(password),
            Digest::Sha512 => self.matches::<HmacOf<Sha512>>(password),
        }
    }

    fn matches<M: Mac + KeyInit>(&self, password: &[u8]) -> bool {
        M::new_from_slice(self.salt.as_bytes())
            .is_ok_and(|mac| mac.chain_update(password).verify_slice(&self.key).is_ok())
    }
}
