//! Codes, and the keyed hashes under which they and those who ask for them are stored.

use aws_lc_rs::hmac;
use service_kit::{Entropy, secret::SecretKey};
use zeroize::Zeroizing;

use crate::{
    model::{ClientInfo, Otp, UserId},
    store::{ResetCode, Salt, Tag},
};

/// Codes run from here, so that a number keeps all six digits, ...
const CODE_MIN: u32 = 100_000;
/// ... and there are so many.
const CODES: u32 = 900_000;

/// The keys of the hashes.
#[derive(Debug)]
pub struct Keys {
    code: hmac::Key,
    /// Of addresses and clients: the tables hold no address that is no account's.
    subject: hmac::Key,
}

impl Keys {
    /// Keys derived from `secret`.
    pub fn new(secret: &SecretKey) -> Self {
        let key = |purpose| hmac::Key::new(hmac::HMAC_SHA256, &secret.derive(purpose));
        Self { code: key("password-reset-code"), subject: key("password-reset-subject") }
    }

    /// A keyed hash of who is meant, and for what.
    pub(super) fn subject(&self, purpose: &str, subject: &str) -> Tag {
        tag(&self.subject, format!("{purpose}\0{subject}").as_bytes())
    }

    /// A keyed hash of a client's address; `None` where it is not known.
    pub(super) fn client(&self, purpose: &str, client: &ClientInfo) -> Option<Tag> {
        Some(self.subject(purpose, &client.network()?.to_string()))
    }

    /// The hash under which a code is stored.
    pub(super) fn code_hash(&self, salt: &Salt, user_id: Option<UserId>, otp: &Otp) -> Tag {
        tag(&self.code, &code_message(salt, user_id, otp))
    }

    /// Whether `otp` is that code; in constant time.
    pub(super) fn is_code(&self, code: &ResetCode, otp: &Otp) -> bool {
        let message = code_message(&code.salt, code.user_id, otp);
        hmac::verify(&self.code, &message, &code.code_hash).is_ok()
    }
}

fn tag(key: &hmac::Key, message: &[u8]) -> Tag {
    let mut tag = Tag::default();
    tag.copy_from_slice(hmac::sign(key, message).as_ref());
    tag
}

fn code_message(salt: &Salt, user_id: Option<UserId>, otp: &Otp) -> Zeroizing<Vec<u8>> {
    let user_id = user_id.map_or(0, |id| id.0).to_be_bytes();
    Zeroizing::new([salt.as_slice(), &user_id, otp.as_str().as_bytes()].concat())
}

/// A code from 100000 to 999999, each as likely as any other.
pub(super) fn new_code(entropy: &Entropy) -> Otp {
    // What is left over at the end would make some codes likelier: drawn again.
    let whole = u32::MAX - u32::MAX % CODES;
    loop {
        let drawn = u32::from_be_bytes(entropy.bytes());
        if drawn < whole {
            return (CODE_MIN + drawn % CODES).into();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Draws these numbers, one after the other.
    fn drawing(numbers: &'static [u32]) -> Entropy {
        let next = AtomicUsize::new(0);
        Entropy::from_fn(move |bytes| {
            let number = numbers[next.fetch_add(1, Ordering::SeqCst)];
            bytes.copy_from_slice(&number.to_be_bytes());
        })
    }

    #[test]
    fn codes_run_from_100000_to_999999_and_none_is_likelier() {
        // The largest multiple of 900 000 in 32 bits: from there on, draws are thrown away.
        const WHOLE: u32 = 4772 * CODES;
        let code = |numbers| new_code(&drawing(numbers)).as_str().to_owned();
        assert_eq!(code(&[0]), "100000");
        assert_eq!(code(&[CODES - 1]), "999999");
        assert_eq!(code(&[WHOLE - 1]), "999999");
        assert_eq!(code(&[WHOLE, u32::MAX, 23]), "100023");
    }
}
