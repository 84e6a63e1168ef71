//! Password hashes that other programs made. They are verified, never made: whoever signs in with
//! one gets an argon2id hash instead.

mod bcrypt;
mod hmac;
mod pbkdf2;
mod scrypt;

pub use self::{bcrypt::Bcrypt, hmac::Hmac, pbkdf2::Pbkdf2, scrypt::Scrypt};

use super::stored::UnusableHash;

/// The hash function within a scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Digest {
    Sha1,
    Sha256,
    Sha512,
}

impl Digest {
    fn parse(name: &str) -> Result<Self, UnusableHash> {
        match name {
            "sha1" => Ok(Self::Sha1),
            "sha256" => Ok(Self::Sha256),
            "sha512" => Ok(Self::Sha512),
            _ => Err(UnusableHash::UnknownFormat),
        }
    }

    /// Bytes of its output, which is what the libraries derive.
    const fn bytes(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }
}
