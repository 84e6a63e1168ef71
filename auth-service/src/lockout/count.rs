//! How a count changes: no clock, no database, only arithmetic.

use std::time::Duration;

use service_kit::Timestamp;

use crate::model::Count;

/// How long after the last attempt or lock a count is forgotten.
pub const FORGET_AFTER: Duration = Duration::from_hours(24);
/// The longest lock, unless LOCKOUT_DURATION is longer.
const LOCK_TIME_MAX: Duration = Duration::from_hours(24);
/// An attempt that is in flight for longer has lost its process: an RPC is cut off after 30 s.
const ATTEMPT_TIME_MAX: Duration = Duration::from_mins(1);

/// When and for how long a subject is locked.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// Failures in a row before a lock.
    pub threshold: i64,
    /// The first lock; each further one in a row is twice as long, up to a day.
    pub duration: Duration,
}

/// Whether an attempt may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It is in flight from now on.
    Granted,
    /// Not for as long as this.
    Locked(Duration),
    /// That depends on how those in flight end: if all of them fail, it is locked.
    Undecided,
}

impl Rules {
    /// How long the lock after `locks` others in a row is.
    fn lock_time(&self, locks: i64) -> Duration {
        let doublings = u32::try_from(locks).unwrap_or(u32::MAX).min(31);
        let most = LOCK_TIME_MAX.max(self.duration);
        self.duration.saturating_mul(1 << doublings).min(most)
    }
}

impl Count {
    /// How long it is locked from `now` on.
    pub fn locked_for(&self, now: Timestamp) -> Option<Duration> {
        (self.locked_until > now).then(|| self.locked_until.since(now))
    }

    /// Lets an attempt in, or not. No more are ever in flight than may fail before the lock: of
    /// guesses that come at once no more are hashed than of guesses one after another, and an
    /// owner who signs in many times at once with the right password is not taken for a guesser.
    pub fn admit(self, now: Timestamp, rules: &Rules) -> (Self, Admission) {
        let count = self.as_of(now, rules);
        if let Some(remaining) = count.locked_for(now) {
            return (count, Admission::Locked(remaining));
        }
        if count.failures + count.in_flight >= rules.threshold {
            return (self, Admission::Undecided);
        }
        let in_flight = count.in_flight + 1;
        (Self { in_flight, updated_at: now, ..count }, Admission::Granted)
    }

    /// An attempt had the right password: all is forgotten but what is still in flight. A subject
    /// that was locked meanwhile stays so.
    pub fn succeeded(self, now: Timestamp, rules: &Rules) -> Self {
        let count = self.landed(now, rules);
        if count.locked_for(now).is_some() {
            return count;
        }
        Self { in_flight: count.in_flight, updated_at: now, ..Self::default() }
    }

    /// An attempt had a wrong password.
    pub fn failed(self, now: Timestamp, rules: &Rules) -> Self {
        let count = self.landed(now, rules);
        Self { failures: count.failures + 1, ..count }.locked_if_due(now, rules)
    }

    /// An attempt came to nothing: as if it had never been made.
    pub fn abandoned(self, now: Timestamp, rules: &Rules) -> Self {
        self.landed(now, rules)
    }

    /// One less is in flight. There may be none: a reset forgets those too.
    fn landed(self, now: Timestamp, rules: &Rules) -> Self {
        let count = self.as_of(now, rules);
        Self { in_flight: (count.in_flight - 1).max(0), updated_at: now, ..count }
    }

    /// What time has made of it.
    fn as_of(self, now: Timestamp, rules: &Rules) -> Self {
        let mut count = self;
        if now >= count.updated_at.max(count.locked_until) + FORGET_AFTER {
            return Self::default();
        }
        if count.in_flight > 0 && now >= count.updated_at + ATTEMPT_TIME_MAX {
            // Nobody will tell how they ended. As successes they would be a way to guess for free.
            count.failures += count.in_flight;
            count.in_flight = 0;
        }
        if count.locked_until != Timestamp::default() && count.locked_until <= now {
            count.failures = 0;
            count.locked_until = Timestamp::default();
        }
        count.locked_if_due(now, rules)
    }

    /// Locked, where it is not yet and there are enough failures.
    fn locked_if_due(self, now: Timestamp, rules: &Rules) -> Self {
        if self.failures < rules.threshold || self.locked_until != Timestamp::default() {
            return self;
        }
        let locked_until = now + rules.lock_time(self.locks);
        Self { locks: self.locks.saturating_add(1), locked_until, updated_at: now, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Rules = Rules { threshold: 3, duration: Duration::from_mins(15) };
    const MICRO: Duration = Duration::from_micros(1);
    const START: Timestamp = Timestamp::from_seconds(1_767_225_600);

    fn attempt(count: Count, now: Timestamp) -> Count {
        let (count, admission) = count.admit(now, &RULES);
        assert_eq!(admission, Admission::Granted, "{count:?}");
        count
    }

    fn lock(mut count: Count, now: Timestamp) -> (Count, Duration) {
        for _ in 0..RULES.threshold {
            count = attempt(count, now).failed(now, &RULES);
        }
        (count, count.locked_for(now).expect("a lock"))
    }

    #[test]
    fn no_more_are_in_flight_than_may_fail() {
        let mut count = attempt(Count::default(), START).failed(START, &RULES);
        count = attempt(attempt(count, START), START);
        assert_eq!(count.admit(START, &RULES), (count, Admission::Undecided));
        let succeeded = count.succeeded(START, &RULES);
        assert_eq!((succeeded.failures, succeeded.in_flight), (0, 1));
        let failed = count.failed(START, &RULES).failed(START, &RULES);
        assert_eq!(failed.locked_for(START), Some(RULES.duration));
    }

    #[test]
    fn locks_double_up_to_a_day_and_a_success_starts_anew() {
        let (mut count, mut now, mut minutes) = (Count::default(), START, Vec::new());
        for _ in 0..9 {
            let (locked, remaining) = lock(count, now);
            minutes.push(remaining.as_secs() / 60);
            let just_before = now + remaining - MICRO;
            assert!(locked.locked_for(just_before).is_some());
            (count, now) = (locked, now + remaining);
        }
        assert_eq!(minutes, [15, 30, 60, 120, 240, 480, 960, 1440, 1440]);
        let count = attempt(count, now).succeeded(now, &RULES);
        assert_eq!(lock(count, now).1, RULES.duration);
    }

    #[test]
    fn a_longer_first_lock_is_not_cut_short() {
        let week = Rules { duration: Duration::from_hours(24 * 7), ..RULES };
        assert_eq!(week.lock_time(0), week.duration);
        assert_eq!(week.lock_time(i64::MAX), week.duration);
        assert_eq!(RULES.lock_time(i64::MAX), LOCK_TIME_MAX);
        let forever = Rules { duration: Duration::MAX, ..RULES };
        assert_eq!(forever.lock_time(9), Duration::MAX);
    }

    #[test]
    fn a_day_without_failures_or_locks_is_forgotten() {
        let two = attempt(Count::default(), START).failed(START, &RULES);
        let two = attempt(two, START).failed(START, &RULES);
        let late = START + FORGET_AFTER - MICRO;
        assert!(attempt(two, late).failed(late, &RULES).locked_for(late).is_some());
        let later = START + FORGET_AFTER;
        assert_eq!(attempt(two, later).failed(later, &RULES).failures, 1);

        let (locked, remaining) = lock(Count::default(), START);
        let late = START + remaining + FORGET_AFTER - MICRO;
        assert_eq!(lock(locked, late).1, RULES.duration * 2, "counted from the end of the lock");
        assert_eq!(lock(locked, START + remaining + FORGET_AFTER).1, RULES.duration);
    }

    #[test]
    fn attempts_of_a_process_that_died_are_failures() {
        let mut count = Count::default();
        for _ in 0..RULES.threshold {
            count = attempt(count, START);
        }
        let late = START + ATTEMPT_TIME_MAX;
        let (locked, admission) = count.admit(late, &RULES);
        assert_eq!(admission, Admission::Locked(RULES.duration));
        let too_late = locked.succeeded(late, &RULES);
        assert_eq!(too_late.locked_for(late), Some(RULES.duration), "it was given up");
    }

    #[test]
    fn a_threshold_that_was_lowered_locks_what_is_above_it() {
        let two = attempt(Count::default(), START).failed(START, &RULES);
        let two = attempt(two, START).failed(START, &RULES);
        let strict = Rules { threshold: 1, ..RULES };
        assert_eq!(two.admit(START, &strict).1, Admission::Locked(RULES.duration));
    }

    #[test]
    fn what_was_reset_meanwhile_does_not_count_below_zero() {
        assert_eq!(Count::default().succeeded(START, &RULES).in_flight, 0);
        assert_eq!(Count::default().failed(START, &RULES).failures, 1);
    }
}
