//! How many requests one client address may make: a token bucket for each.
//!
//! The bucket is kept as the time at which it is full again (the generic cell rate algorithm): one
//! number, and nothing to remember of an address whose time has passed.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{HeaderName, HeaderValue, StatusCode, header::RETRY_AFTER};
use service_kit::{Clock, Timestamp, client_network::ClientNetwork};

use crate::{Gateway, problem::Problem, upstream::client_address};

/// `RateLimit-Policy` and `RateLimit` of draft-ietf-httpapi-ratelimit-headers, version 10.
pub(crate) const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
pub(crate) const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// How long a client can save up: a page that asks for twenty things at once is not an attack.
const WINDOW: Duration = Duration::from_secs(10);
/// The most that can be set, in requests a second: what a whole gateway can do, not one client.
const RATE_MAX: u32 = 10_000;
/// Addresses of one generation. Two are kept: some 10 MiB where every address is another.
const ADDRESSES_MAX: usize = 65_536;

/// Requests a second that one client address may make; 0: any number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestRate(u32);

impl RequestRate {
    /// `per_second` requests a second.
    ///
    /// # Errors
    /// Where it is more than 10000.
    pub fn per_second(per_second: u32) -> Result<Self, String> {
        if per_second > RATE_MAX {
            return Err(format!("more than {RATE_MAX}"));
        }
        Ok(Self(per_second))
    }
}

impl std::str::FromStr for RequestRate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let per_second =
            text.parse().map_err(|_| "not a number of requests a second".to_owned())?;
        Self::per_second(per_second)
    }
}

/// The buckets of all addresses.
pub(crate) struct RateLimit {
    /// What one request costs.
    interval: Duration,
    /// How many requests a full bucket is good for.
    quota: u64,
    policy: HeaderValue,
    clock: Clock,
    buckets: Mutex<Buckets>,
}

/// When each address's bucket is full again, as the time since 1970 UTC (a [`Timestamp`] is too
/// coarse for what a request costs). An entry is of no use once that has passed, which it
/// has for all of a generation after the window: so two generations hold all that matter, without
/// a sweep. A generation that is full makes room early, which forgives some of those who are
/// spread over more addresses than anyone could count.
struct Buckets {
    young: HashMap<ClientNetwork, Duration>,
    old: HashMap<ClientNetwork, Duration>,
    young_since: Duration,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Share {
    is_refused: bool,
    /// How many more may come at once.
    remaining: u64,
    /// Until the bucket is full again, or until the next try where the request is refused.
    reset: Duration,
}

impl RateLimit {
    /// `None` where there is no limit.
    pub(crate) fn new(rate: RequestRate, clock: Clock) -> Option<Self> {
        let interval = Duration::from_secs(1).checked_div(rate.0)?;
        let quota = u64::from(rate.0) * WINDOW.as_secs();
        let policy = format!("\"address\";q={quota};w={}", WINDOW.as_secs());
        let buckets =
            Buckets { young: HashMap::new(), old: HashMap::new(), young_since: now(&clock) };
        Some(Self {
            interval,
            quota,
            policy: HeaderValue::try_from(policy).ok()?,
            clock,
            buckets: Mutex::new(buckets),
        })
    }

    /// Takes one request from the bucket of `address`.
    fn take(&self, address: IpAddr) -> Share {
        let now = now(&self.clock);
        // A panic under the lock leaves nothing half done.
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        buckets.make_room(now);
        let key = ClientNetwork::from(address);
        let known = buckets.young.get(&key).or_else(|| buckets.old.get(&key)).copied();
        // No bucket takes longer to fill: a later time was noted before the clock was set back.
        let known = known.filter(|full_at| full_at.saturating_sub(now) <= WINDOW);
        let full_at = known.unwrap_or(now).max(now);
        let full_after = full_at + self.interval;
        let reset = full_after.saturating_sub(now);
        let overdrawn = reset.saturating_sub(WINDOW);
        if overdrawn > Duration::ZERO {
            return Share { is_refused: true, remaining: 0, reset: overdrawn };
        }
        buckets.young.insert(key, full_after);
        drop(buckets);
        let remaining = WINDOW.saturating_sub(reset).as_nanos() / self.interval.as_nanos();
        // The interval is rounded down: no client is promised more than the policy says.
        let remaining = u64::try_from(remaining).map_or(self.quota, |it| it.min(self.quota));
        Share { is_refused: false, remaining, reset }
    }

    fn tell(&self, share: Share, response: &mut Response) {
        let reset = share.reset.as_secs() + u64::from(share.reset.subsec_nanos() > 0);
        let standing = format!("\"address\";r={};t={reset}", share.remaining);
        let headers = response.headers_mut();
        if share.is_refused {
            headers.insert(RETRY_AFTER, reset.into());
        }
        headers.insert(RATELIMIT_POLICY, self.policy.clone());
        if let Ok(standing) = standing.try_into() {
            headers.insert(RATELIMIT, standing);
        }
    }
}

impl Buckets {
    fn make_room(&mut self, now: Duration) {
        let is_over = now.saturating_sub(self.young_since) >= WINDOW || now < self.young_since;
        if is_over || self.young.len() >= ADDRESSES_MAX {
            self.old = std::mem::take(&mut self.young);
            self.young_since = now;
        }
    }
}

fn now(clock: &Clock) -> Duration {
    clock.now().since(Timestamp::default())
}

/// Refuses the requests of an address that makes too many, and tells all how they stand. Not for
/// the routes of health.
pub(crate) async fn limit(
    State(gateway): State<Gateway>,
    request: Request,
    next: Next,
) -> Response {
    let address = client_address(&gateway, request.headers(), request.extensions());
    let (Some(limit), Some(address)) = (&gateway.0.rate_limit, address) else {
        return next.run(request).await;
    };
    let share = limit.take(address);
    let mut response = if share.is_refused {
        let text = "Too many requests from this address. Please try again later.";
        Problem::new(StatusCode::TOO_MANY_REQUESTS, "RATE_LIMITED", text).into_response()
    } else {
        next.run(request).await
    };
    limit.tell(share, &mut response);
    response
}

#[cfg(test)]
mod tests {
    use service_kit::testing::ManualClock;

    use super::*;

    fn limit(per_second: u32, clock: &ManualClock) -> RateLimit {
        let rate = RequestRate::per_second(per_second).expect("a rate");
        RateLimit::new(rate, clock.clock()).expect("a limit")
    }

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    /// How many requests of `address` pass before one is refused.
    fn burst(limit: &RateLimit, address: IpAddr) -> usize {
        (0..100_000).take_while(|_| !limit.take(address).is_refused).count()
    }

    #[test]
    fn a_bucket_holds_ten_seconds_worth_and_fills_at_its_rate() {
        for per_second in [1, 3, 7, 100, 997] {
            let clock = ManualClock::default();
            let limit = limit(per_second, &clock);
            let (ann, bob) = (address("192.0.2.1"), address("192.0.2.2"));
            let per_second = per_second as usize;
            assert_eq!(burst(&limit, ann), 10 * per_second);
            assert_eq!(burst(&limit, bob), 10 * per_second, "everyone has a bucket");
            clock.advance(Duration::from_secs(2));
            assert_eq!(burst(&limit, ann), 2 * per_second);
            clock.advance(Duration::from_hours(1));
            assert_eq!(burst(&limit, ann), 10 * per_second, "no more than full");
        }
    }

    #[test]
    fn no_client_is_told_of_more_than_the_quota() {
        let clock = ManualClock::default();
        for per_second in 1..=RATE_MAX {
            let limit = limit(per_second, &clock);
            let first = limit.take(address("192.0.2.1"));
            assert_eq!(first.remaining, limit.quota - 1, "{per_second} a second");
        }
    }

    #[test]
    fn who_waits_as_long_as_told_passes() {
        let clock = ManualClock::default();
        let limit = limit(1, &clock);
        let ann = address("192.0.2.1");
        burst(&limit, ann);
        clock.advance(Duration::from_millis(300));
        let refused = limit.take(ann);
        let wait = Duration::from_millis(700);
        assert_eq!(refused, Share { is_refused: true, remaining: 0, reset: wait });
        clock.advance(wait);
        assert!(!limit.take(ann).is_refused);
    }

    #[test]
    fn a_limit_outlives_the_turn_of_a_generation() {
        let clock = ManualClock::default();
        let limit = limit(1, &clock);
        let ann = address("192.0.2.1");
        clock.advance(Duration::from_secs(9));
        assert_eq!(burst(&limit, ann), 10);
        clock.advance(Duration::from_secs(1));
        assert_eq!(burst(&limit, ann), 1, "the second that has passed");
    }

    #[test]
    fn a_clock_that_is_set_back_locks_nobody_out() {
        let clock = ManualClock::default();
        let now = clock.clock().now();
        let limit = limit(1, &clock);
        let ann = address("192.0.2.1");
        clock.advance(Duration::from_hours(1));
        burst(&limit, ann);
        let earlier = RateLimit { clock: Clock::from_fn(move || now), ..limit };
        assert_eq!(burst(&earlier, ann), 10);
    }

    #[test]
    fn addresses_of_one_ipv6_network_share_a_bucket() {
        let limit = limit(1, &ManualClock::default());
        assert_eq!(burst(&limit, address("2001:db8::1")), 10);
        assert_eq!(burst(&limit, address("2001:db8::ffff:2")), 0);
        assert_eq!(burst(&limit, address("2001:db8:0:1::1")), 10);
    }

    #[test]
    fn memory_is_bounded_however_many_addresses_come() {
        let limit = limit(1, &ManualClock::default());
        for number in 0..200_000 {
            limit.take(IpAddr::V4(std::net::Ipv4Addr::from_bits(number)));
        }
        let buckets = limit.buckets.lock().expect("no panic");
        assert!(buckets.young.len() <= ADDRESSES_MAX && buckets.old.len() <= ADDRESSES_MAX);
    }
}
