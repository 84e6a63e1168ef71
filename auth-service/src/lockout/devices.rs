//! Device tokens: what a device that has signed in shows, so that it is not counted among
//! strangers (OWASP, "Blocking Brute Force Attacks", device cookies).
//!
//! None is stored: a token is `user id . device id . day of issue . password changes . HMAC`. It
//! opens nothing; who steals one gets the tries of one more device at one account, and those of a
//! further one only for a further stolen token. It is void once the password has changed: whoever
//! knew the old one is a stranger like any other.

use std::time::Duration;

use aws_lc_rs::hmac;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use service_kit::{Clock, Entropy, secret::SecretKey};

use crate::model::{User, UserId};

const DEVICE_ID_BYTES: usize = 16;
/// Longer than any that is made here.
const DEVICE_TOKEN_BYTES_MAX: usize = 160;
const SECONDS_PER_DAY: i64 = Duration::from_hours(24).as_secs().cast_signed();
/// How long a device is known after its last sign-in.
const LIFETIME_DAYS: i64 = 180;

/// What a token says that was made here and has not expired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Whose account it has signed in to.
    pub user_id: UserId,
    /// 16 bytes in base64url.
    pub id: String,
    /// [`User::password_changes`] at that time.
    pub password_changes: i64,
}

impl Device {
    /// Whether it has signed in to the account of `user` with the password of now.
    pub fn is_known_to(&self, user: &User) -> bool {
        self.user_id == user.id && self.password_changes == user.password_changes
    }
}

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

    /// A token of a device that signs in to the account of `user` now: the same device as that of
    /// `shown`, if that is a token of it.
    pub fn issue(&self, user: &User, shown: &str) -> String {
        let known = self.read(shown).filter(|device| device.is_known_to(user));
        let device_id = known.map_or_else(
            || BASE64_URL_SAFE_NO_PAD.encode(self.entropy.bytes::<DEVICE_ID_BYTES>()),
            |device| device.id,
        );
        let (user_id, today, changes) = (user.id.0, self.today(), user.password_changes);
        let message = format!("{user_id}.{device_id}.{today}.{changes}");
        let tag = hmac::sign(&self.key, message.as_bytes());
        format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(tag))
    }

    /// Reads a token; `None` where it was not made here or has expired.
    pub fn read(&self, token: &str) -> Option<Device> {
        if token.len() > DEVICE_TOKEN_BYTES_MAX {
            return None;
        }
        let (message, tag) = token.rsplit_once('.')?;
        let tag = BASE64_URL_SAFE_NO_PAD.decode(tag).ok()?;
        hmac::verify(&self.key, message.as_bytes(), &tag).ok()?;
        let mut parts = message.split('.');
        let user_id = UserId(parts.next()?.parse().ok()?);
        let id = parts.next()?.to_owned();
        let age_days = self.today() - parts.next()?.parse::<i64>().ok()?;
        let password_changes = parts.next()?.parse().ok()?;
        (age_days < LIFETIME_DAYS).then_some(Device { user_id, id, password_changes })
    }

    fn today(&self) -> i64 {
        self.clock.now().seconds().div_euclid(SECONDS_PER_DAY)
    }
}

#[cfg(test)]
mod tests {
    use service_kit::{Timestamp, testing::ManualClock};

    use super::*;
    use crate::model::Roles;

    /// User 1, whose password was replaced so often.
    fn ann(password_changes: i64) -> User {
        User {
            id: UserId(1),
            username: Some("ann".to_owned()),
            email: None,
            name: String::new(),
            roles: Roles::default(),
            disabled: false,
            locked_until: None,
            password_changes,
            created_at: Timestamp::default(),
            updated_at: Timestamp::default(),
        }
    }

    fn tokens(clock: &ManualClock) -> DeviceTokens {
        DeviceTokens::new(&SecretKey::from_bytes([7; 32]), clock.clock(), Entropy::system())
    }

    #[test]
    fn a_device_stays_itself_from_sign_in_to_sign_in() {
        let clock = ManualClock::default();
        let (tokens, ann) = (tokens(&clock), ann(0));
        let first = tokens.issue(&ann, "");
        let device = tokens.read(&first).expect("ours");
        assert!(device.is_known_to(&ann));
        clock.advance(Duration::from_hours(24 * 100));
        let second = tokens.issue(&ann, &first);
        assert_ne!(first, second, "its time begins anew");
        assert_eq!(tokens.read(&second).as_ref(), Some(&device));
        assert_ne!(tokens.read(&tokens.issue(&ann, "")), Some(device), "another device");
        clock.advance(Duration::from_hours(24 * 100));
        assert_eq!(tokens.read(&first), None, "expired");
        assert!(tokens.read(&second).is_some());
    }

    #[test]
    fn a_device_is_a_stranger_once_the_password_has_changed() {
        let tokens = tokens(&ManualClock::default());
        let (before, after) = (ann(i64::MAX - 1), ann(i64::MAX));
        let old = tokens.issue(&before, "");
        let device = tokens.read(&old).expect("ours");
        assert!(device.is_known_to(&before) && !device.is_known_to(&after));
        let new = tokens.read(&tokens.issue(&after, &old)).expect("ours");
        assert!(new.is_known_to(&after) && !new.is_known_to(&before));
        assert_ne!(new.id, device.id, "whoever holds the old one shares no count with it");
    }

    #[test]
    fn what_was_not_made_here_for_this_account_is_none() {
        let clock = ManualClock::default();
        let tokens = tokens(&clock);
        let good = tokens.issue(&ann(0), "");
        let bob = User { id: UserId(2), ..ann(0) };
        assert!(!tokens.read(&good).expect("ours").is_known_to(&bob), "of another account");
        for at in 0..good.len() {
            let mut bytes = good.clone().into_bytes();
            bytes[at] = if bytes[at] == b'x' { b'y' } else { b'x' };
            let changed = String::from_utf8(bytes).expect("ASCII");
            assert_eq!(tokens.read(&changed), None, "{changed}");
        }
        let long = "1.".repeat(1_000_000);
        for odd in
            ["", ".", "...", "\0", "☃.☃.☃.☃", "1.a.20454.", "1.a.20454.0.", &good[1..], &long]
        {
            assert_eq!(tokens.read(odd), None);
        }
        let other =
            DeviceTokens::new(&SecretKey::from_bytes([8; 32]), clock.clock(), Entropy::system());
        assert_eq!(other.read(&good), None, "another key");
    }
}
