//! Whether the secret key fits the database: mails that wait can be opened by no other one.

use service_kit::{
    StartError,
    db::{Constraint, Db, DbError},
    secret::{CannotOpen, SecretKey},
};

use crate::{DATABASE_VARIABLE, store::secret_key_check};

/// What the check is sealed for, and in which context.
const PURPOSE: &str = "check";
const CONTEXT: &str = "training";

/// Refuses another key than the one that the database was first used with.
///
/// # Errors
/// Names `SECRET_KEY` where it is another one, and `TRAINING_DATABASE_URL` where the database does
/// not answer.
pub(crate) async fn require_fit(db: &Db, key: &SecretKey) -> Result<(), StartError> {
    let failed = |error: DbError| StartError::setting(DATABASE_VARIABLE, error.to_string());
    let another = |_: CannotOpen| {
        let message = "another one than the database was first used with, which seals the mails \
                       that wait in it; where that one is lost, delete the row of its table \
                       secret_key_check, and these mails are given up";
        StartError::setting("SECRET_KEY", message)
    };
    if secret_key_check::find(db).await.map_err(failed)?.is_none() {
        let sealed = key.seal(PURPOSE, CONTEXT, b"").map_err(another)?;
        match secret_key_check::insert(db, &sealed).await {
            // Another replica was first.
            Err(error) if error.violated() == Some(Constraint::Unique) => {}
            inserted => inserted.map_err(failed)?,
        }
    }
    let sealed = secret_key_check::find(db).await.map_err(failed)?.unwrap_or_default();
    key.open(PURPOSE, CONTEXT, &sealed).map(drop).map_err(another)
}
