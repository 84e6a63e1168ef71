//! What becomes of the keys: decided from what is stored and the time, and from nothing else.

use std::time::Duration;

use auth_client::Algorithm;
use service_kit::{Timestamp, settings::duration};

use crate::{
    model::{EventType, KeyState, NewEvent},
    store::{KeyChanges, SigningKeyRow},
};

/// How long a key is published before it signs: verifiers look every five minutes, and a replica
/// that was just started, or cut off for a while, must have looked too.
pub const PUBLISH_LEAD: Duration = Duration::from_mins(15);
/// How much longer than its tokens a retired key is trusted: for clocks that differ, and for
/// replicas that learn of the rotation a moment later.
pub const RETIRED_SLACK: Duration = Duration::from_mins(5);
/// Keys that are trusted at one time, and so published; rotation by age never comes near.
pub const KEYS_MAX: usize = 32;

/// So that a key signs for longer than it takes to make it known.
const ROTATION_MIN: Duration = Duration::from_hours(1);

/// Parses how long a key signs.
///
/// # Errors
/// Says what a duration looks like, and that one hour is the least.
pub fn rotation_age(text: &str) -> Result<Duration, String> {
    let age = duration(text)?;
    if age < ROTATION_MIN { Err("shorter than one hour".to_owned()) } else { Ok(age) }
}

/// How keys are made and how long they live.
#[derive(Clone, Copy, Debug)]
pub struct KeyPolicy {
    /// What new keys sign with.
    pub algorithm: Algorithm,
    /// How long a key signs.
    pub rotation: Duration,
    /// How long a token lives that is signed here.
    pub token_ttl: Duration,
}

/// A key that was made but not stored yet.
#[derive(Debug)]
pub struct FreshKey {
    /// The key's id.
    pub kid: String,
    /// PKCS #8, sealed under the secret key.
    pub private_key: Vec<u8>,
}

/// Why keys are left as they are.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The service has never started.
    #[error("there are no signing keys yet: the first start of the service makes them")]
    NoKeys,
    /// Another process was quicker.
    #[error("another process has rotated the keys")]
    Raced,
    /// Not every verifier knows the next key.
    #[error(
        "the next key is published, but verifiers may not know it for another {} s; \
         --now does not wait for them", .0.as_secs()
    )]
    TooEarly(Duration),
    /// So many that no verifier should be shown more.
    #[error("{KEYS_MAX} keys are trusted already: wait for tokens to expire, or revoke some")]
    TooMany,
    /// There is no such key.
    #[error("no such key: see `auth-service keys list`")]
    Unknown,
}

/// What is to become of the keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Keys that are gone: nothing trusts them.
    pub delete: Vec<String>,
    /// The key that was deleted because it is no longer trusted.
    pub revoke: Option<String>,
    /// The key that signs no more.
    pub retire: Option<String>,
    /// The next key that signs from now on.
    pub activate: Option<String>,
    /// The active key, where the tokens that are signed here live longer than it says.
    pub prolong: Option<String>,
    /// The states of new keys.
    pub make: Vec<KeyState>,
}

impl Plan {
    /// Whether all stays as it is.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The changes, with `fresh` for the keys that are to be made; `None` where those are too few.
    pub fn changes(
        &self,
        fresh: &[FreshKey],
        policy: &KeyPolicy,
        now: Timestamp,
    ) -> Option<KeyChanges> {
        let fresh = fresh.get(..self.make.len())?;
        let insert: Vec<_> = self
            .make
            .iter()
            .zip(fresh)
            .map(|(&state, key)| SigningKeyRow {
                kid: key.kid.clone(),
                algorithm: policy.algorithm,
                state,
                private_key: key.private_key.clone(),
                created_at: now,
                active_since: (state == KeyState::Active).then_some(now),
                retired_at: None,
                token_ttl: policy.token_ttl,
            })
            .collect();
        let with_ttl = |kid: &Option<String>| kid.clone().map(|kid| (kid, policy.token_ttl));
        Some(KeyChanges {
            delete: self.delete.iter().chain(&self.revoke).cloned().collect(),
            retire: self.retire.clone(),
            activate: with_ttl(&self.activate),
            prolong: with_ttl(&self.prolong),
            events: self.events(&insert),
            insert,
        })
    }

    fn events(&self, insert: &[SigningKeyRow]) -> Vec<NewEvent> {
        let event = |event_type, detail| NewEvent { detail, ..NewEvent::new(event_type, None) };
        let revoked = self.revoke.as_ref().map(|kid| event(EventType::KeyRevoked, kid.clone()));
        let made = insert.iter().find(|key| key.state == KeyState::Active).map(|key| &key.kid);
        let active = self.activate.as_ref().or(made);
        // The very first key rotates nothing.
        let replaces = self.retire.is_some() || self.revoke.is_some() || self.activate.is_some();
        let rotated = active.filter(|_| replaces);
        let rotated = rotated.map(|kid| event(EventType::KeyRotated, kid.clone()));
        revoked.into_iter().chain(rotated).collect()
    }
}

fn in_state(rows: &[SigningKeyRow], state: KeyState) -> Option<&SigningKeyRow> {
    rows.iter().find(|row| row.state == state)
}

/// What is due at `now`: a first key, a next one, a rotation by age or to the wanted algorithm,
/// the end of a retired key.
pub fn upkeep(rows: &[SigningKeyRow], now: Timestamp, policy: &KeyPolicy) -> Plan {
    let is_over = |row: &&SigningKeyRow| {
        row.retired_at.is_some_and(|at| now >= at + row.token_ttl + RETIRED_SLACK)
    };
    let mut plan = Plan {
        delete: rows.iter().filter(is_over).map(|row| row.kid.clone()).collect(),
        ..Plan::default()
    };
    match (in_state(rows, KeyState::Active), in_state(rows, KeyState::Next)) {
        (None, None) => plan.make = vec![KeyState::Active, KeyState::Next],
        (None, Some(next)) => {
            plan.activate = Some(next.kid.clone());
            plan.make = vec![KeyState::Next];
        }
        (Some(active), next) => {
            let is_old = active.active_since.is_none_or(|since| now >= since + policy.rotation);
            let is_wanted = |next: &SigningKeyRow| {
                active.algorithm != policy.algorithm && next.algorithm == policy.algorithm
            };
            if let Some(next) = next {
                if now >= next.created_at + PUBLISH_LEAD && (is_old || is_wanted(next)) {
                    plan.retire = Some(active.kid.clone());
                    plan.activate = Some(next.kid.clone());
                    plan.make = vec![KeyState::Next];
                }
            } else {
                plan.make = vec![KeyState::Next];
            }
            if is_to_be_prolonged(rows, policy) {
                plan.prolong = Some(active.kid.clone());
            }
        }
    }
    plan
}

/// Whether tokens that are signed here outlive what the active key says.
pub fn is_to_be_prolonged(rows: &[SigningKeyRow], policy: &KeyPolicy) -> bool {
    in_state(rows, KeyState::Active).is_some_and(|active| active.token_ttl < policy.token_ttl)
}

/// What is due when a process starts: [`upkeep`], and a next key of the wanted algorithm. Only at
/// a start, so that two replicas of different settings do not take turns for ever.
pub fn at_start(rows: &[SigningKeyRow], now: Timestamp, policy: &KeyPolicy) -> Plan {
    let is_unwanted =
        |row: &SigningKeyRow| row.state == KeyState::Next && row.algorithm != policy.algorithm;
    let (unwanted, wanted): (Vec<_>, Vec<_>) = rows.iter().cloned().partition(is_unwanted);
    let mut plan = upkeep(&wanted, now, policy);
    // It has signed nothing yet.
    plan.delete.extend(unwanted.into_iter().map(|row| row.kid));
    plan
}

/// A rotation away from the key `from`. Without `at_once` only to a next key that all verifiers
/// know; with it, always to one of the wanted algorithm.
///
/// # Errors
/// Where another process has rotated, it is too early, or there are too many keys.
pub fn rotation(
    rows: &[SigningKeyRow],
    now: Timestamp,
    policy: &KeyPolicy,
    from: &str,
    at_once: bool,
) -> Result<Plan, Refused> {
    let active = in_state(rows, KeyState::Active).ok_or(Refused::NoKeys)?;
    if active.kid != from {
        return Err(Refused::Raced);
    }
    if rows.len() >= KEYS_MAX {
        return Err(Refused::TooMany);
    }
    let plan = Plan { retire: Some(active.kid.clone()), ..Plan::default() };
    let next = in_state(rows, KeyState::Next);
    let known_from = next.map_or(now, |next| next.created_at) + PUBLISH_LEAD;
    if !at_once && now < known_from {
        return Err(Refused::TooEarly(known_from.since(now)));
    }
    Ok(match next {
        Some(next) if !at_once || next.algorithm == policy.algorithm => {
            Plan { activate: Some(next.kid.clone()), make: vec![KeyState::Next], ..plan }
        }
        next => Plan {
            delete: next.map(|next| next.kid.clone()).into_iter().collect(),
            make: vec![KeyState::Active, KeyState::Next],
            ..plan
        },
    })
}

/// The end of the trust in a key; where it signs, the next one takes its place, whether or not
/// all verifiers know it: they fetch the keys when a token names one that they do not know.
///
/// # Errors
/// Where there is no such key.
pub fn revocation(rows: &[SigningKeyRow], kid: &str) -> Result<Plan, Refused> {
    let row = rows.iter().find(|row| row.kid == kid).ok_or(Refused::Unknown)?;
    let plan = Plan { revoke: Some(row.kid.clone()), ..Plan::default() };
    Ok(match (row.state, in_state(rows, KeyState::Next)) {
        (KeyState::Retired, _) => plan,
        (KeyState::Next, _) => Plan { make: vec![KeyState::Next], ..plan },
        (KeyState::Active, Some(next)) => {
            Plan { activate: Some(next.kid.clone()), make: vec![KeyState::Next], ..plan }
        }
        (KeyState::Active, None) => Plan { make: vec![KeyState::Active, KeyState::Next], ..plan },
    })
}
