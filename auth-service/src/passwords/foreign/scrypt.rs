//! scrypt (RFC 7914) as Werkzeug and PHC strings store it.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::{Engine, prelude::BASE64_STANDARD_NO_PAD};
use scrypt::Params;

use crate::passwords::stored::{
    KEY_BYTES_MAX, KEY_BYTES_MIN, UnusableHash, hex, number, parts, salt_text,
};

/// Bytes of memory (128 * N * r): eight times Werkzeug's, twice OWASP's strongest.
const MEMORY_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Bytes that are mixed in all (128 * N * r * p): about three seconds.
const WORK_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// What Werkzeug derives.
const WERKZEUG_KEY_BYTES: usize = 64;

/// A hash of scrypt.
#[derive(Clone)]
pub struct Scrypt {
    params: Params,
    salt: Vec<u8>,
    key: Vec<u8>,
}

impl Scrypt {
    /// `scrypt:<N>:<r>:<p>$<salt>$<hex>`; the salt is the text itself.
    pub(in crate::passwords) fn parse_werkzeug(text: &str) -> Result<Self, UnusableHash> {
        let [method, salt, key] = parts(text, '$')?;
        let [_, n, r, p] = parts(method, ':')?;
        let n = number(n)?;
        if !n.is_power_of_two() {
            return Err(UnusableHash::Malformed);
        }
        let (salt, key) = (salt_text(salt)?.as_bytes().to_vec(), hex(key)?);
        if key.len() != WERKZEUG_KEY_BYTES {
            return Err(UnusableHash::Malformed);
        }
        Self::new(n.ilog2(), number(r)?, number(p)?, salt, key)
    }

    /// `$scrypt$ln=<log2 N>,r=<r>,p=<p>$<salt>$<hash>`, the last two in base64 without padding.
    pub(in crate::passwords) fn parse_phc(text: &str) -> Result<Self, UnusableHash> {
        let [_, _, params, salt, key] = parts(text, '$')?;
        let [log_n, r, p] = parts(params, ',')?;
        let value = |text: &str, name: &str| {
            number(text.strip_prefix(name).ok_or(UnusableHash::Malformed)?)
        };
        let decode =
            |text: &str| BASE64_STANDARD_NO_PAD.decode(text).map_err(|_| UnusableHash::Malformed);
        let (log_n, r, p) = (value(log_n, "ln=")?, value(r, "r=")?, value(p, "p=")?);
        Self::new(log_n, r, p, decode(salt_text(salt)?)?, decode(key)?)
    }

    fn new(log_n: u32, r: u32, p: u32, salt: Vec<u8>, key: Vec<u8>) -> Result<Self, UnusableHash> {
        let n = 1_u64.checked_shl(log_n).ok_or(UnusableHash::TooCostly)?;
        let memory = n.checked_mul(128 * u64::from(r)).ok_or(UnusableHash::TooCostly)?;
        let work = memory.checked_mul(u64::from(p)).ok_or(UnusableHash::TooCostly)?;
        if memory > MEMORY_BYTES_MAX || work > WORK_BYTES_MAX {
            return Err(UnusableHash::TooCostly);
        }
        if log_n == 0 || !(KEY_BYTES_MIN..=KEY_BYTES_MAX).contains(&key.len()) {
            return Err(UnusableHash::Malformed);
        }
        let log_n = u8::try_from(log_n).map_err(|_| UnusableHash::TooCostly)?;
        let params = Params::new(log_n, r, p).map_err(|_| UnusableHash::Malformed)?;
        Ok(Self { params, salt, key })
    }

    pub(in crate::passwords) fn verify(&self, password: &[u8]) -> bool {
        let mut buffer = [0; KEY_BYTES_MAX];
        let Some(key) = buffer.get_mut(..self.key.len()) else { return false };
        scrypt::scrypt(password, &self.salt, &self.params, key).is_ok()
            && verify_slices_are_equal(key, &self.key).is_ok()
    }
}
