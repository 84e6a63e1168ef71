//! Device tokens: what a device that has signed in shows, so that it is not counted among
//! strangers (OWASP, "Blocking Brute Force Attacks", device cookies).
//!
//! None is stored: a token is `user id . device id . day of issue . HMAC`. It opens nothing; who
//! steals one gets the tries of one more device at one account, and those of a further one only
//! for a further stolen token.

use std::time::Duration;

use aws_lc_rs::hmac;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use service_kit::{Clock, Entropy, secret::SecretKey};

use crate::model::UserId;

const DEVICE_ID_BYTES: usize = 16;
/// Longer than any that is made here.
const DEVICE_TOKEN_BYTES_MAX: usize = 160;
const SECONDS_PER_DAY: i64 = Duration::from_hours(24).as_secs().cast_signed();
/// How long a device is known after its last sign-in.
const LIFETIME_DAYS: i64 = 180;

/// Makes and reads device tokens.
#[derive(Clone, Debug)]
pub struct DeviceTokens {
    key: hmac::Key,
    clock: Clock,
    entropy: Entropy,
}

impl DeviceTokens {
    /// Those under `secret`.
    pub fn new(secret: &SecretKey, clock: Clock, entropy: Entropy) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &secret.derive("device-token"));
        Self { key, clock, entropy }
    }

    /// A token of a device that signs in to the account of `user_id` now: the same device as that
    /// of `shown`, if that is a token of it.
    pub fn issue(&self, user_id: UserId, shown: &str) -> String {
        let device_id = self.device_id(user_id, shown).unwrap_or_else(|| {
            BASE64_URL_SAFE_NO_PAD.encode(self.entropy.bytes::<DEVICE_ID_BYTES>())
        });
        let message = format!("{}.{device_id}.{}", user_id.0, self.today());
        let tag = hmac::sign(&self.key, message.as_bytes());
        format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(tag))
    }

    /// Which device of `user_id` a token is of; `None` where it is none of this account, was not
    /// made here, or has expired.
    pub fn device_id(&self, user_id: UserId, token: &str) -> Option<String> {
        if token.len() > DEVICE_TOKEN_BYTES_MAX {
            return None;
        }
        let (message, tag) = token.rsplit_once('.')?;
        let tag = BASE64_URL_SAFE_NO_PAD.decode(tag).ok()?;
        hmac::verify(&self.key, message.as_bytes(), &tag).ok()?;
        let mut parts = message.split('.');
        let (owner, device_id, day) = (parts.next()?, parts.next()?, parts.next()?);
        let is_owner = owner.parse() == Ok(user_id.0);
        let age_days = self.today() - day.parse::<i64>().ok()?;
        (is_owner && age_days < LIFETIME_DAYS).then(|| device_id.to_owned())
    }

    fn today(&self) -> i64 {
        self.clock.now().seconds().div_euclid(SECONDS_PER_DAY)
    }
}

#[cfg(test)]
mod tests {
    use service_kit::testing::ManualClock;

    use super::*;

    const ANN: UserId = UserId(1);

    fn tokens(clock: &ManualClock) -> DeviceTokens {
        DeviceTokens::new(&SecretKey::from_bytes([7; 32]), clock.clock(), Entropy::system())
    }

    #[test]
    fn a_device_stays_itself_from_sign_in_to_sign_in() {
        let clock = ManualClock::default();
        let tokens = tokens(&clock);
        let first = tokens.issue(ANN, "");
        let device = tokens.device_id(ANN, &first).expect("ours");
        clock.advance(Duration::from_hours(24 * 100));
        let second = tokens.issue(ANN, &first);
        assert_ne!(first, second, "its time begins anew");
        assert_eq!(tokens.device_id(ANN, &second).as_ref(), Some(&device));
        assert_ne!(tokens.device_id(ANN, &tokens.issue(ANN, "")), Some(device), "another device");
        clock.advance(Duration::from_hours(24 * 100));
        assert_eq!(tokens.device_id(ANN, &first), None, "expired");
        assert!(tokens.device_id(ANN, &second).is_some());
    }

    #[test]
    fn what_was_not_made_here_for_this_account_is_none() {
        let clock = ManualClock::default();
        let tokens = tokens(&clock);
        let good = tokens.issue(ANN, "");
        assert_eq!(tokens.device_id(UserId(2), &good), None, "of another account");
        for at in 0..good.len() {
            let mut bytes = good.clone().into_bytes();
            bytes[at] = if bytes[at] == b'x' { b'y' } else { b'x' };
            let changed = String::from_utf8(bytes).expect("ASCII");
            assert_eq!(tokens.device_id(ANN, &changed), None, "{changed}");
        }
        let long = "1.".repeat(1_000_000);
        for odd in ["", ".", "...", "\0", "☃.☃.☃.☃", "1.a.20454.", &good[1..], &long] {
            assert_eq!(tokens.device_id(ANN, odd), None);
        }
        let other =
            DeviceTokens::new(&SecretKey::from_bytes([8; 32]), clock.clock(), Entropy::system());
        assert_eq!(other.device_id(ANN, &good), None, "another key");
    }
}
