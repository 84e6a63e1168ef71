//! Deleting what has no more use, a little at a time.
//!
//! | Table | is kept |
//! |---|---|
//! | `registration_requests`, `program_requests` | for as long as a `request_id` counts: 24 hours |
//! | `training_events`, read by nobody but an operator | for `EVENT_RETENTION` |
//! | `departed_users` | for 30 days |
//! | `notices` | until a mail has taken its place or the program is over (`notices`) |
//! | `mails` | until it is sent, three days at most (`service_kit::mail`) |
//! | `programs`, `registrations` | for good: they are what the service is for |
//!
//! The others have one row, or one for each user.

use std::time::Duration;

use service_kit::{
    Clock,
    db::{Db, DbError},
    repeatable::REQUEST_ID_LIFETIME,
};
use tokio::time::sleep;

use crate::store::{
    departed_users::DEPARTED_USERS,
    events::EVENTS,
    requests::{FOR_PROGRAMS, FOR_REGISTRATIONS},
};

/// The pause between two rounds.
const PAUSE: Duration = Duration::from_mins(1);
/// Rows that one statement may delete; a few more where they are of the same microsecond.
const BATCH_MAX: i64 = 500;
/// Statements for each table in one round.
const BATCHES_MAX: usize = 100;
/// For how long it is known that a user is gone: far longer than an access token should be good
/// (15 minutes by default). Past that, its revocation alone keeps it out.
const DEPARTURE_LIFETIME: Duration = Duration::from_hours(30 * 24);

/// Deletes what has expired. Run it for as long as the service runs; several replicas may.
pub(crate) async fn keep_tidy(db: Db, clock: Clock, event_retention: Duration) {
    loop {
        if let Err(error) = tidy(&db, &clock, event_retention).await {
            tracing::warn!(%error, "cannot delete what has expired");
        }
        sleep(PAUSE).await;
    }
}

async fn tidy(db: &Db, clock: &Clock, event_retention: Duration) -> Result<(), DbError> {
    let now = clock.now();
    for (table, rows, lifetime) in [
        ("registration_requests", FOR_REGISTRATIONS.expiring, REQUEST_ID_LIFETIME),
        ("program_requests", FOR_PROGRAMS.expiring, REQUEST_ID_LIFETIME),
        ("training_events", EVENTS, event_retention),
        ("departed_users", DEPARTED_USERS, DEPARTURE_LIFETIME),
    ] {
        for _ in 0..BATCHES_MAX {
            let deleted = rows.delete_until(db, now - lifetime, BATCH_MAX).await?;
            if deleted == 0 {
                break;
            }
            tracing::debug!(db.table = table, deleted, "deleted what has expired");
        }
    }
    Ok(())
}
