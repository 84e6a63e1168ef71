//! When a refused sign-in is answered, so that the time tells nothing about the account.
//!
//! An unknown user's password is verified like one of ours, but a hash that moved in from
//! elsewhere takes another time. So while accounts have such hashes, a refusal is answered only at
//! the end of a slot: a stretch of time, as long as the costliest of them takes on this machine
//! and as much again, that begins when a hashing thread takes the request up.
//!
//! - From when a thread begins, not from when the request came: waiting in the queue depends on
//!   what others do, not on the account. Counted from its arrival, a request that waited almost a
//!   slot would be answered a slot later for a costly hash than for a cheap one.
//! - A slot for each form of the password that is tried: that depends on the request alone.
//! - What is right is answered at once: whoever knows the password learns nothing from the time.
//! - Nothing sleeps in a hashing thread. What is left is the load itself: whoever can fill all
//!   threads with guesses at one account may see how long they are busy. Locking an account after
//!   a few failures bounds how often.
//! - A hash of another cost that is met while there are no slots belongs to an account that has
//!   just moved in: its own refusal takes a slot, and so does every other from then on.
//! - As soon as the last such hash has been replaced, refusals are answered at once again.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use super::Verified;

/// A slot is this many times as long as the costliest hash took alone: with every core busy, or at
/// a lower clock, it takes longer.
const HEADROOM: u32 = 2;

/// What verifying a hash costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashCost {
    /// On this machine.
    pub time: Duration,
    /// Whether it is as one that is made now.
    pub is_current: bool,
}

/// The length of a slot; zero where no account has a hash of another cost.
#[derive(Debug, Default)]
pub(super) struct EvenTime(AtomicU64);

impl EvenTime {
    pub(super) fn set(&self, present: &[HashCost]) {
        let costliest = present.iter().map(|cost| cost.time).max().unwrap_or_default();
        let is_even = present.iter().all(|cost| cost.is_current);
        let slot = if is_even { Duration::ZERO } else { costliest * HEADROOM };
        let nanos = u64::try_from(slot.as_nanos()).unwrap_or(u64::MAX);
        if self.0.swap(nanos, Ordering::Relaxed) != nanos {
            tracing::info!(slot = ?slot, "refused sign-ins are answered at the end of a slot");
        }
    }

    pub(super) async fn hold(&self, verified: Verified) {
        if verified.needs_rehash && self.0.load(Ordering::Relaxed) == 0 {
            self.set(&[HashCost {
                time: verified.took / verified.forms.max(1),
                is_current: false,
            }]);
        }
        let slot = Duration::from_nanos(self.0.load(Ordering::Relaxed)) * verified.forms;
        if let Some(end) = end_of_slot(slot, verified.started.elapsed()) {
            tokio::time::sleep_until((verified.started + end).into()).await;
        }
    }
}

/// The end of the slot that `elapsed` is in, from when the first began; `None` without slots.
fn end_of_slot(slot: Duration, elapsed: Duration) -> Option<Duration> {
    let begun = elapsed.as_nanos().checked_div(slot.as_nanos())?;
    Some(slot.saturating_mul(u32::try_from(begun + 1).unwrap_or(u32::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn an_answer_comes_at_the_end_of_the_slot_it_falls_into() {
        assert_eq!(end_of_slot(100 * MS, Duration::ZERO), Some(100 * MS));
        assert_eq!(end_of_slot(100 * MS, 99 * MS), Some(100 * MS));
        assert_eq!(end_of_slot(100 * MS, 100 * MS), Some(200 * MS));
        assert_eq!(end_of_slot(Duration::ZERO, 99 * MS), None);
    }

    #[test]
    fn a_slot_lasts_as_long_as_the_costliest_hash_and_only_while_costs_differ() {
        let even_time = EvenTime::default();
        let slot = || Duration::from_nanos(even_time.0.load(Ordering::Relaxed));
        let own = HashCost { time: 25 * MS, is_current: true };
        let old = HashCost { time: 150 * MS, is_current: false };
        even_time.set(&[own, old]);
        assert_eq!(slot(), 300 * MS);
        even_time.set(&[own, HashCost { time: MS, ..old }]);
        assert_eq!(slot(), 50 * MS);
        even_time.set(&[own]);
        assert_eq!(slot(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_hash_of_another_cost_that_is_met_first_begins_the_slots() {
        let even_time = EvenTime::default();
        let (before, took) = (tokio::time::Instant::now(), Duration::from_secs(30));
        let started = before.into_std();
        let current = Verified {
            matches: false,
            needs_rehash: false,
            unusable: None,
            started,
            took,
            forms: 1,
        };
        even_time.hold(current).await;
        assert_eq!(before.elapsed(), Duration::ZERO);
        for verified in [Verified { needs_rehash: true, ..current }, current] {
            even_time
                .hold(Verified { started: tokio::time::Instant::now().into_std(), ..verified })
                .await;
        }
        assert_eq!((before.elapsed() + 5 * MS).as_secs(), 120);
    }

    #[tokio::test(start_paused = true)]
    async fn a_password_that_is_tried_in_two_forms_takes_two_slots() {
        let even_time = EvenTime::default();
        even_time.set(&[HashCost { time: Duration::from_secs(30), is_current: false }]);
        for forms in [1, 2] {
            let before = tokio::time::Instant::now();
            let started = before.into_std();
            let verified = Verified {
                matches: false,
                needs_rehash: false,
                started,
                took: MS,
                forms,
                unusable: None,
            };
            even_time.hold(verified).await;
            let waited = before.elapsed();
            assert_eq!((waited + 5 * MS).as_secs(), 60 * u64::from(forms), "{waited:?}");
        }
    }
}
