//! What a stored password hash is: parsed once, with bounds on what it may cost to verify.
//!
//! | Format | Made by |
//! |---|---|
//! | `$argon2id$v=19$m=..,t=..,p=..$salt$hash` | this service; any library of PHC strings |
//! | `$scrypt$ln=..,r=..,p=..$salt$hash` | libraries of PHC strings |
//! | `$2a$`, `$2b$`, `$2y$` | bcrypt libraries, Flask-Bcrypt |
//! | `scrypt:n:r:p$salt$hex`, `pbkdf2:hash:n$salt$hex` | Werkzeug |
//! | `sha1$salt$hex`, `sha256$..`, `sha512$..` | Werkzeug before 3 |
//! | `pbkdf2_sha256$n$salt$base64`, `pbkdf2_sha1$..` | Django |
//!
//! Everything before the last two `$` (of bcrypt: before its salt) is what a hash costs. The
//! column `users.password_scheme` is that part, cut out by the database itself, and therefore a
//! salt is of letters, digits and `./+=_-` here, as all of those libraries make it.

use std::fmt;

use super::{
    argon2id::Argon2Hash,
    foreign::{Bcrypt, Hmac, Pbkdf2, Scrypt},
};

/// Bytes of a stored hash: what the column holds.
const HASH_BYTES_MAX: usize = 512;
/// Bytes of a derived key: less could be hit by chance, more is made by no library.
pub(super) const KEY_BYTES_MIN: usize = 16;
pub(super) const KEY_BYTES_MAX: usize = 64;
/// Bytes of a salt as text.
const SALT_BYTES_MAX: usize = 128;

/// Why a stored hash cannot be used. It never tells of the hash itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnusableHash {
    /// Of no format that is known here.
    #[error("is of an unknown format")]
    UnknownFormat,
    /// Of a known format, but cut short or changed.
    #[error("is damaged")]
    Malformed,
    /// Would take gigabytes or many seconds.
    #[error("asks for more memory or time than a password hash may")]
    TooCostly,
}

impl UnusableHash {
    /// The reason, for programs.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::UnknownFormat => "UNKNOWN_FORMAT",
            Self::Malformed => "MALFORMED",
            Self::TooCostly => "TOO_COSTLY",
        }
    }
}

/// A stored hash that can be verified, at a bounded cost.
#[derive(Clone)]
pub enum StoredHash {
    /// Ours, or another's in our format.
    Argon2(Argon2Hash),
    /// Werkzeug's or Django's.
    Pbkdf2(Pbkdf2),
    /// Werkzeug's or a PHC string.
    Scrypt(Scrypt),
    /// Any library's.
    Bcrypt(Bcrypt),
    /// Werkzeug's before version 3.
    Hmac(Hmac),
}

impl StoredHash {
    /// Reads a stored hash.
    ///
    /// # Errors
    /// Where no password can be verified against it at a bounded cost.
    pub fn parse(text: &str) -> Result<Self, UnusableHash> {
        if text.len() > HASH_BYTES_MAX {
            return Err(UnusableHash::Malformed);
        }
        let scheme = text.strip_prefix('$').unwrap_or(text);
        let scheme = scheme.split([':', '$']).next().unwrap_or_default();
        match (scheme, text.starts_with('$')) {
            ("argon2id" | "argon2i" | "argon2d", true) => Argon2Hash::parse(text).map(Self::Argon2),
            ("2a" | "2b" | "2y", true) => Bcrypt::parse(text).map(Self::Bcrypt),
            ("scrypt", true) => Scrypt::parse_phc(text).map(Self::Scrypt),
            ("scrypt", false) => Scrypt::parse_werkzeug(text).map(Self::Scrypt),
            ("pbkdf2", false) => Pbkdf2::parse_werkzeug(text).map(Self::Pbkdf2),
            ("pbkdf2_sha256" | "pbkdf2_sha1", false) => {
                Pbkdf2::parse_django(text).map(Self::Pbkdf2)
            }
            ("sha1" | "sha256" | "sha512", false) => Hmac::parse(text).map(Self::Hmac),
            _ => Err(UnusableHash::UnknownFormat),
        }
    }

    /// Whether it is of the family that this service makes.
    pub fn is_argon2(&self) -> bool {
        matches!(self, Self::Argon2(_))
    }
}

impl fmt::Debug for StoredHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Argon2(_) => "StoredHash(argon2)",
            Self::Pbkdf2(_) => "StoredHash(pbkdf2)",
            Self::Scrypt(_) => "StoredHash(scrypt)",
            Self::Bcrypt(_) => "StoredHash(bcrypt)",
            Self::Hmac(_) => "StoredHash(hmac)",
        })
    }
}

/// A salt as text: not empty, and nothing in it that could be taken for a separator.
pub(super) fn salt_text(text: &str) -> Result<&str, UnusableHash> {
    let is_salt = (1..=SALT_BYTES_MAX).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"./+=_-".contains(&b));
    if is_salt { Ok(text) } else { Err(UnusableHash::Malformed) }
}

/// A cost as the libraries write it: digits without a sign or a leading zero.
pub(super) fn number(text: &str) -> Result<u32, UnusableHash> {
    let is_number = text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
    if !is_number || text.is_empty() {
        return Err(UnusableHash::Malformed);
    }
    // More digits than fit are a cost as well.
    text.parse().map_err(|_| UnusableHash::TooCostly)
}

/// A derived key in hexadecimal.
pub(super) fn hex(text: &str) -> Result<Vec<u8>, UnusableHash> {
    if text.len() > 2 * KEY_BYTES_MAX {
        return Err(UnusableHash::Malformed);
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let bytes = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?));
    let bytes = bytes.collect::<Option<Vec<u8>>>().filter(|_| rest.is_empty());
    bytes.ok_or(UnusableHash::Malformed)
}

/// `N` parts of `text`, no more and no fewer.
pub(super) fn parts<const N: usize>(
    text: &str,
    separator: char,
) -> Result<[&str; N], UnusableHash> {
    let parts: Vec<_> = text.splitn(N + 1, separator).collect();
    parts.try_into().map_err(|_| UnusableHash::Malformed)
}
