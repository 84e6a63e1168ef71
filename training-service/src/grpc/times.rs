//! Instants as protobuf has them.

use service_kit::{Timestamp, rejection::Violation};

/// The first second of the year 1 and the last one of the year 9999: what
/// `google.protobuf.Timestamp` can be.
const SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;
const NANOS: std::ops::Range<i32> = 0..1_000_000_000;

/// The message of an instant.
pub(super) fn time_message(time: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds: time.seconds(), nanos: time.subsecond_nanos() }
}

/// The instant of a message, rounded down to the microsecond.
pub(super) fn time(
    field: &'static str,
    message: Option<prost_types::Timestamp>,
) -> Result<Option<Timestamp>, Violation> {
    let Some(message) = message else { return Ok(None) };
    if !SECONDS.contains(&message.seconds) || !NANOS.contains(&message.nanos) {
        let description = format!("{field} is not a time of the years 1 to 9999");
        return Err(Violation::new(field, "OUT_OF_RANGE", description));
    }
    let micros = message.seconds * 1_000_000 + i64::from(message.nanos / 1000);
    Ok(Some(Timestamp::from_micros(micros)))
}

/// As [`time`], of a field that must be set.
pub(super) fn required_time(
    field: &'static str,
    message: Option<prost_types::Timestamp>,
) -> Result<Timestamp, Violation> {
    time(field, message)?.ok_or_else(|| Violation::required(field))
}
