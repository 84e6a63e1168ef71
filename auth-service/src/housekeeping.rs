//! Deleting what has no more use, a little at a time.

use std::time::Duration;

use service_kit::{Clock, db::DbError, repeatable::REQUEST_ID_LIFETIME};
use tokio::time::sleep;

use crate::store::Store;

/// The pause between two rounds.
const PAUSE: Duration = Duration::from_mins(1);
/// Rows that one statement may delete, so that none holds up other writers for long.
const BATCH_MAX: i64 = 500;
/// Statements in one round.
const BATCHES_MAX: usize = 100;

/// Deletes expired sessions, request ids that no longer count, and events older than
/// `event_retention`. Run it for as long as the
/// service runs; several replicas may.
pub async fn keep_tidy(store: Store, clock: Clock, event_retention: Duration) {
    loop {
        if let Err(error) = tidy(&store, &clock, event_retention).await {
            tracing::warn!(%error, "cannot delete what has expired");
        }
        sleep(PAUSE).await;
    }
}

async fn tidy(store: &Store, clock: &Clock, event_retention: Duration) -> Result<(), DbError> {
    let now = clock.now();
    for _ in 0..BATCHES_MAX {
        let sessions = store.delete_expired_sessions(now, BATCH_MAX).await?;
        let events = store.delete_events(now - event_retention, now, BATCH_MAX).await?;
        let expired = now - REQUEST_ID_LIFETIME;
        let requests = store.delete_register_requests(expired, BATCH_MAX).await?;
        if sessions + events + requests == 0 {
            break;
        }
        tracing::debug!(sessions, events, requests, "deleted what has expired");
    }
    Ok(())
}
