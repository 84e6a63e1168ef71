//! Points in time as JSON shows them: UTC, always with six fractional digits.

use prost_types::Timestamp;

const NANOS_A_SECOND: i128 = 1_000_000_000;

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

/// Reads what RFC 3339 has: a date, a time and an offset; up to nine fractional digits.
pub(crate) fn parse(text: &str) -> Option<Timestamp> {
    if !has_form(text.as_bytes()) {
        return None;
    }
    let time: jiff::Timestamp = text.parse().ok()?;
    let nanos = time.as_nanosecond();
    let seconds = nanos.div_euclid(NANOS_A_SECOND).try_into().ok()?;
    Some(Timestamp { seconds, nanos: nanos.rem_euclid(NANOS_A_SECOND).try_into().ok()? })
}

/// Whether it is a `date-time` (RFC 3339 section 5.6), whatever its numbers are: jiff takes more of
/// ISO 8601, and RFC 9557.
fn has_form(text: &[u8]) -> bool {
    let fits = |text: &[u8], form: &[u8]| {
        let fits = |(byte, wanted): (&u8, &u8)| match wanted {
            b'0' => byte.is_ascii_digit(),
            _ => byte.eq_ignore_ascii_case(wanted),
        };
        text.len() == form.len() && text.iter().zip(form).all(fits)
    };
    let Some((start, mut rest)) = text.split_at_checked("0000-00-00T00:00:00".len()) else {
        return false;
    };
    if let [b'.', fraction @ ..] = rest {
        let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits == 0 {
            return false;
        }
        rest = &fraction[digits..];
    }
    let is_offset = fits(rest, b"Z") || fits(rest, b"+00:00") || fits(rest, b"-00:00");
    fits(start, b"0000-00-00T00:00:00") && is_offset
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
    fn reads_times_of_any_offset_and_before_the_epoch() {
        for noon in [
            "2026-01-31T12:00:00Z",
            "2026-01-31t12:00:00z",
            "2026-01-31T13:00:00.000+01:00",
            "2026-01-31T06:30:00.000000000-05:30",
            "2026-01-31T12:00:00-00:00",
        ] {
            assert_eq!(parse(noon), Some(at(1_769_860_800, 0)), "{noon}");
        }
        assert_eq!(parse("1969-12-31T23:59:59.5Z"), Some(at(-1, 500_000_000)));
        for bad in ["", "2026-01-31", "2026-01-31T12:00:00", "2026-02-30T12:00:00Z", "noon"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn reads_nothing_but_rfc_3339() {
        for bad in [
            "2030-01-31 12:00:00Z",
            "20300131T120000Z",
            "2030-01-31T12:00:00+01:00[Europe/Berlin]",
            "2030-01-31T12:00:00Z[UTC]",
            "2030-01-31T12:00:00,5Z",
            "2030-01-31T12:00:00.Z",
            "2030-01-31T12:00:00+01",
            "2030-01-31T12:00:00+0100",
            "2030-01-31T12:00:00+01:00:00",
            "2030-01-31T12:00Z",
            "2030-01-31T12Z",
            "+002030-01-31T12:00:00Z",
            "2030-01-31T12:00:00\u{e9}",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn shows_no_time_for_what_is_none() {
        assert_eq!(rfc3339(None), None);
        assert_eq!(rfc3339(Some(at(i64::MAX, 0))), None);
        assert_eq!(rfc3339(Some(at(0, i32::MAX))), None);
    }
}
