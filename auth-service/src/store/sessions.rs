//! Table `sessions`.

use service_kit::{Timestamp, db::DbError, sql};

use super::Store;
use crate::model::Session;

/// Whose a session is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionOwner {
    /// The handle.
    pub username: Option<String>,
}

impl Store {
    /// Stores a new session.
    ///
    /// # Errors
    /// A foreign key violation where the user is gone.
    pub async fn insert_session(&self, session: &Session) -> Result<(), DbError> {
        let insert = sql!(
            "INSERT INTO sessions (id, user_id, counter, created_at, last_used_at, expires_at) \
             VALUES (?, ?, ?, ?, ?, ?)"
        );
        self.db
            .write(insert)
            .bind(session.id.as_str())
            .bind(session.user_id.0)
            .bind(session.counter.cast_signed())
            .bind(session.created_at.micros())
            .bind(session.created_at.micros())
            .bind(session.expires_at.micros())
            .execute()
            .await?;
        Ok(())
    }

    /// Whose session this is; `None` where it has ended, belongs to another user, or its user may
    /// not sign in.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn session_owner(
        &self,
        session_id: &str,
        user_id: i64,
        now: Timestamp,
    ) -> Result<Option<SessionOwner>, DbError> {
        let select = sql!(
            "SELECT u.username, u.disabled FROM sessions s JOIN users u ON u.id = s.user_id \
             WHERE s.id = ? AND s.user_id = ? AND s.expires_at > ?"
        );
        let query = self.db.read(select).bind(session_id).bind(user_id).bind(now.micros());
        let Some(row) = query.fetch_optional().await? else { return Ok(None) };
        let disabled: bool = row.get("disabled")?;
        Ok(if disabled { None } else { Some(SessionOwner { username: row.get("username")? }) })
    }
}
