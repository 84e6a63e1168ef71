//! Sessions and their users as they were last read, for as long as nothing has happened to them.
//!
//! Whether a token is good is asked more often than anything else, and reading a row costs more
//! than all the rest of the answer. Each change of an account or a session writes an event that
//! names the user: what was read before the last event of its user is read again, and so is
//! everything while the event log is not known to its end.

#[cfg(test)]
mod tests;

use std::{fmt, sync::Arc};

use quick_cache::sync::Cache;
use service_kit::{Timestamp, db::DbError};

use crate::{feed::Feed, model::User, store::Store};

/// Sessions that are remembered, of about 500 bytes each; the least used make room for others.
const SESSIONS_MAX: usize = 32_768;

/// What is known of a session.
#[derive(Clone, Debug)]
pub struct LiveSession {
    /// Whose it is.
    pub user: User,
    /// When it ends for good.
    pub expires_at: Timestamp,
    /// The last event that had been read when this was.
    as_of: i64,
}

/// The sessions. Cheap to clone.
#[derive(Clone)]
pub struct SessionCache {
    store: Store,
    feed: Arc<Feed>,
    sessions: Arc<Cache<String, Arc<LiveSession>>>,
}

impl SessionCache {
    /// Sessions in `store`, whose event log `feed` follows.
    pub fn new(store: Store, feed: Arc<Feed>) -> Self {
        Self { store, feed, sessions: Arc::new(Cache::new(SESSIONS_MAX)) }
    }

    /// A session that has not been ended.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn get(&self, session_id: &str) -> Result<Option<Arc<LiveSession>>, DbError> {
        if let Some(known) = self.sessions.get(session_id)
            && self.feed.is_unchanged(known.user.id, known.as_of)
        {
            return Ok(Some(known));
        }
        // Before the row: what happens from now on makes the row out of date.
        let as_of = self.feed.sequence();
        let Some((session, user)) = self.store.session(session_id).await? else {
            self.sessions.remove(session_id);
            return Ok(None);
        };
        let read = Arc::new(LiveSession { user, expires_at: session.expires_at, as_of });
        self.sessions.insert(session.id, read.clone());
        Ok(Some(read))
    }
}

impl fmt::Debug for SessionCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionCache")
            .field("sessions", &self.sessions.len())
            .finish_non_exhaustive()
    }
}
