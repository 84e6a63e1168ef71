//! Points in time as JSON shows them: UTC, always with six fractional digits.

use prost_types::Timestamp;

/// RFC 3339: `2026-01-31T12:00:00.000000Z`. `None` where a peer gave no time, or one that is none.
pub(crate) fn rfc3339(time: Option<Timestamp>) -> Option<String> {
    let time = time?;
    let time = jiff::Timestamp::new(time.seconds, time.nanos).ok()?;
    Some(format!("{time:.6}"))
}

/// The form of document 000's `registration_date`, without the zone: `2026-01-31T12:00:00.000000`.
pub(crate) fn without_zone(time: Option<Timestamp>) -> Option<String> {
    let mut text = rfc3339(time)?;
    text.pop();
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64, nanos: i32) -> Timestamp {
        Timestamp { seconds, nanos }
    }

    #[test]
    fn shows_six_fractional_digits_whatever_they_are() {
        let half_past = 1_769_860_800;
        assert_eq!(rfc3339(Some(at(half_past, 0))).as_deref(), Some("2026-01-31T12:00:00.000000Z"));
        assert_eq!(
            without_zone(Some(at(half_past, 120_000_000))).as_deref(),
            Some("2026-01-31T12:00:00.120000")
        );
        assert_eq!(
            without_zone(Some(at(half_past, 1_999))).as_deref(),
            Some("2026-01-31T12:00:00.000001"),
            "cut, not rounded"
        );
    }

    #[test]
    fn shows_times_before_the_epoch() {
        assert_eq!(
            without_zone(Some(at(-1, 500_000_000))).as_deref(),
            Some("1969-12-31T23:59:59.500000")
        );
    }

    #[test]
    fn shows_no_time_for_what_is_none() {
        assert_eq!(rfc3339(None), None);
        assert_eq!(rfc3339(Some(at(i64::MAX, 0))), None);
        assert_eq!(rfc3339(Some(at(0, i32::MAX))), None);
    }
}
