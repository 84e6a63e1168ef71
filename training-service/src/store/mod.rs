//! The SQL of training-service: each statement once, for all three databases.

pub(crate) mod auth_events;
pub(crate) mod calendar_keys;
#[cfg(test)]
mod conformance;
pub(crate) mod departed_users;
pub(crate) mod events;
pub(crate) mod expiring;
pub(crate) mod notices;
pub(crate) mod programs;
pub(crate) mod registrations;
pub(crate) mod requests;
pub(crate) mod seats;
pub(crate) mod secret_key_check;
pub(crate) mod user_locks;

use service_kit::db::Migrations;

/// The schema, step by step.
pub(crate) const MIGRATIONS: Migrations = service_kit::migrations!("training":
    1 "0001_registrations",
    2 "0002_programs",
    3 "0003_auth_events",
    4 "0004_attendance",
    5 "0005_notices_and_mail",
    6 "0006_calendar_keys",
    7 "0007_departed_users",
    8 "0008_secret_key_check",
    9 "0009_times_of_changes",
    10 "0010_user_locks",
    11 "0011_programs_by_end",
);
