//! Tables `password_reset_requests` and `password_resets`.

use service_kit::{
    Timestamp,
    db::{Constraint, DbError, Row, Tx},
    mail::{MailQueue, SealedMail},
    sql, transaction,
};

use super::{
    EndingSessions, Store,
    sessions::end_sessions,
    throttles::{Throttle, hit},
};
use crate::model::{ClientInfo, EventType, NewEvent, Subject, UserId};

/// How often something is counted while others begin to count the same.
const TRIES_MAX: usize = 3;

/// A keyed hash: of an address, of a code, or of what is counted.
pub type Tag = [u8; 32];
/// What makes equal codes hash differently.
pub type Salt = [u8; 16];

/// A code that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResetRequest {
    /// Its place in the queue.
    pub id: i64,
    /// The key of the address that was typed.
    pub email_key: String,
    /// By whom; what it says it is was not kept.
    pub client: ClientInfo,
    /// When.
    pub requested_at: Timestamp,
}

/// The answer to a [`ResetRequest`].
#[derive(Clone, Debug)]
pub struct NewResetCode<'a> {
    /// Of the address.
    pub account_key: Tag,
    /// Of the client that asked for it; `None` where that is not known.
    pub asker_key: Option<Tag>,
    /// Whose password it resets, and the mail that brings it; `None` where there is nobody to
    /// be mailed.
    pub recipient: Option<(UserId, &'a SealedMail)>,
    /// Beside the code.
    pub salt: Salt,
    /// Of the code.
    pub code_hash: Tag,
    /// From when on it is worthless.
    pub expires_at: Timestamp,
    /// The time.
    pub now: Timestamp,
}

/// What became of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answered {
    /// It is stored, and the mail queued.
    Done,
    /// Another replica has answered it.
    ByAnother,
    /// The mail queue is full: the request waits.
    QueueFull,
}

/// A live code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResetCode {
    /// Whose password it resets; `None` where it was sent to nobody.
    pub user_id: Option<UserId>,
    /// Beside the code.
    pub salt: Salt,
    /// Of the code.
    pub code_hash: Tag,
}

/// A guess at the code of an address.
#[derive(Clone, Debug)]
pub struct NewGuess {
    /// Of the address.
    pub account_key: Tag,
    /// Of the client that guesses; `None` where that is not known.
    pub client_key: Option<Tag>,
    /// How many may be made by the client that asked for the code, and by all others.
    pub attempts_max: u16,
    /// What else limits it.
    pub throttle: Option<Throttle>,
    /// The time.
    pub now: Timestamp,
}

/// What a guess may be compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Guess {
    /// The live code, if there is one: the guess is counted.
    Counted(Option<ResetCode>),
    /// Nothing until then.
    Throttled(Timestamp),
}

/// A password that is reset by its code.
#[derive(Clone, Debug)]
pub struct PasswordReset<'a> {
    /// Of the address that was typed.
    pub account_key: Tag,
    /// Its key.
    pub email_key: &'a str,
    /// Of the code that was right.
    pub code_hash: Tag,
    /// A PHC string.
    pub password_hash: &'a str,
    /// To the account, by each of its names: unlocked by it.
    pub strangers: &'a [Subject],
    /// Whose it is, from where, and when.
    pub ending: EndingSessions<'a>,
}

impl Store {
    /// Stores a request for a code, unless one of `throttles` forbids it: then tells until when.
    /// It takes the same whether or not there is such an account.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn insert_reset_request(
        &self,
        email_key: &str,
        client_address: &str,
        throttles: &[Throttle],
        now: Timestamp,
    ) -> Result<Option<Timestamp>, DbError> {
        let insert = async || {
            transaction!(self.db, |tx| {
                for throttle in throttles {
                    if let Some(until) = hit(tx, throttle, now).await? {
                        return Ok(Some(until));
                    }
                }
                let insert = sql!(
                    "INSERT INTO password_reset_requests \
                         (email_key, client_address, requested_at) VALUES (?, ?, ?)"
                );
                let query = tx.query(insert).bind(email_key).bind(client_address);
                query.bind(now.micros()).execute().await?;
                Ok(None)
            })
        };
        for _ in 1..TRIES_MAX {
            match insert().await {
                Err(error) if error.violated() == Some(Constraint::Unique) => {}
                inserted => return inserted,
            }
        }
        insert().await
    }

    /// Whether as many requests as `count` wait.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn are_reset_requests_waiting(&self, count: i64) -> Result<bool, DbError> {
        let select = sql!("SELECT id FROM password_reset_requests ORDER BY id LIMIT 1 OFFSET ?");
        Ok(self.db.read(select).bind(count - 1).fetch_optional().await?.is_some())
    }

    /// Requests that wait, oldest first, at most `limit`.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn reset_requests(&self, limit: usize) -> Result<Vec<ResetRequest>, DbError> {
        let select = sql!(
            "SELECT id, email_key, client_address, requested_at FROM password_reset_requests \
             ORDER BY id LIMIT ?"
        );
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = self.db.read(select).bind(limit).fetch_all().await?;
        let requests = rows.iter().map(|row| {
            Ok(ResetRequest {
                id: row.get("id")?,
                email_key: row.get("email_key")?,
                client: ClientInfo {
                    address: row.get("client_address")?,
                    user_agent: String::new(),
                },
                requested_at: Timestamp::from_micros(row.get("requested_at")?),
            })
        });
        requests.collect()
    }

    /// Answers a request: its code replaces an older one, and the mail is queued. Where the
    /// account has gone meanwhile, or is barred, the code is nobody's and not sent.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn answer_reset_request(
        &self,
        request: &ResetRequest,
        code: &NewResetCode<'_>,
        mails: &MailQueue,
    ) -> Result<Answered, DbError> {
        transaction!(self.db, |tx| {
            let lock =
                sql!("UPDATE password_reset_requests SET requested_at = requested_at WHERE id = ?");
            if tx.query(lock).bind(request.id).execute().await? == 0 {
                return Ok(Answered::ByAnother);
            }
            let mut recipient = code.recipient;
            if let Some((user_id, mail)) = recipient {
                if !lock_recipient(tx, user_id, &request.email_key).await? {
                    recipient = None;
                } else if !mails.enqueue(tx, mail).await? {
                    return Ok(Answered::QueueFull);
                }
            }
            let user_id = recipient.map(|(user_id, _)| user_id);
            put_code(tx, code, user_id).await?;
            let delete = sql!("DELETE FROM password_reset_requests WHERE id = ?");
            tx.query(delete).bind(request.id).execute().await?;
            if user_id.is_some() {
                let event = NewEvent {
                    client_address: request.client.address.clone(),
                    ..NewEvent::new(EventType::PasswordResetRequested, user_id)
                };
                self.append_events(tx, code.now, &[event]).await?;
            }
            Ok(Answered::Done)
        })
    }

    /// Counts a guess, and gives what it is to be compared with: the live code, unless there were
    /// too many guesses before. An unknown address costs the same.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn count_reset_guess(&self, guess: &NewGuess) -> Result<Guess, DbError> {
        let NewGuess { account_key, client_key, attempts_max, throttle, now } = guess;
        let count = async || {
            transaction!(self.db, |tx| {
                if let Some(throttle) = throttle
                    && let Some(until) = hit(tx, throttle, *now).await?
                {
                    return Ok(Guess::Throttled(until));
                }
                // Of the asker and of all others. An unknown client is none that has asked: NULL
                // equals nothing.
                let count = sql!(
                    "UPDATE password_resets SET \
                         asker_attempts = \
                         CASE WHEN asker_key = ? THEN asker_attempts + 1 ELSE asker_attempts END, \
                         attempts = CASE WHEN asker_key = ? THEN attempts ELSE attempts + 1 END \
                         WHERE account_key = ? AND expires_at > ? \
                         AND CASE WHEN asker_key = ? THEN asker_attempts ELSE attempts END < ?"
                );
                let client_key = client_key.as_ref().map(Tag::as_slice);
                let query = tx.query(count).bind(client_key).bind(client_key);
                let query = query.bind(account_key.as_slice()).bind(now.micros());
                let query = query.bind(client_key).bind(i64::from(*attempts_max));
                let counted = query.execute().await?;
                let select = sql!(
                    "SELECT user_id, salt, code_hash FROM password_resets WHERE account_key = ?"
                );
                let row = tx.query(select).bind(account_key.as_slice()).fetch_optional().await?;
                let code = row.map(|row| reset_code(&row)).transpose()?;
                Ok(Guess::Counted(code.filter(|_| counted == 1)))
            })
        };
        for _ in 1..TRIES_MAX {
            match count().await {
                Err(error) if error.violated() == Some(Constraint::Unique) => {}
                counted => return counted,
            }
        }
        count().await
    }

    /// Uses up a code: sets the password and ends all sessions. `false` where the code was used or
    /// replaced meanwhile, or the account is barred or has another address.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn reset_password(&self, reset: &PasswordReset<'_>) -> Result<bool, DbError> {
        let EndingSessions { user_id, now, .. } = reset.ending;
        transaction!(self.db, |tx| {
            if !lock_recipient(tx, user_id, reset.email_key).await? {
                return Ok(false);
            }
            let consume = sql!(
                "DELETE FROM password_resets \
                     WHERE account_key = ? AND code_hash = ? AND user_id = ?"
            );
            let query = tx.query(consume).bind(reset.account_key.as_slice());
            let query = query.bind(reset.code_hash.as_slice()).bind(user_id.0);
            if query.execute().await? == 0 {
                return Ok(false);
            }
            let set = sql!(
                "UPDATE users SET password_hash = ?, password_changes = password_changes + 1, \
                     updated_at = ? WHERE id = ?"
            );
            let query = tx.query(set).bind(reset.password_hash);
            query.bind(now.micros()).bind(user_id.0).execute().await?;
            let mut events = vec![NewEvent {
                actor_id: reset.ending.actor_id,
                client_address: reset.ending.client_address.to_owned(),
                ..NewEvent::new(EventType::PasswordReset, Some(user_id))
            }];
            events.extend(end_sessions(tx, &reset.ending).await?);
            if self.clear_lockout(tx, user_id, reset.strangers, now).await? > 0 {
                events.push(NewEvent {
                    client_address: reset.ending.client_address.to_owned(),
                    ..NewEvent::new(EventType::AccountUnlocked, Some(user_id))
                });
            }
            self.append_events(tx, now, &events).await?;
            Ok(true)
        })
    }

    /// Deletes requests from before `requests_before`, and codes and counts that are over at
    /// `now`; of each at most `limit`. Returns how many.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn delete_expired_resets(
        &self,
        now: Timestamp,
        requests_before: Timestamp,
        limit: i64,
    ) -> Result<u64, DbError> {
        let select = sql!(
            "SELECT id FROM password_reset_requests \
             WHERE requested_at < ? ORDER BY requested_at LIMIT ?"
        );
        let query = self.db.read(select).bind(requests_before.micros()).bind(limit);
        let mut deleted = 0;
        for row in query.fetch_all().await? {
            let delete = sql!("DELETE FROM password_reset_requests WHERE id = ?");
            deleted += self.db.write(delete).bind(row.get::<i64, _>("id")?).execute().await?;
        }
        // Looked at again: one that begins anew at the last moment stays.
        for (select, delete) in [
            (
                sql!(
                    "SELECT account_key FROM password_resets \
                     WHERE expires_at <= ? ORDER BY expires_at LIMIT ?"
                ),
                sql!("DELETE FROM password_resets WHERE account_key = ? AND expires_at <= ?"),
            ),
            (
                sql!(
                    "SELECT throttle_key FROM password_reset_throttles \
                     WHERE ends_at <= ? ORDER BY ends_at LIMIT ?"
                ),
                sql!(
                    "DELETE FROM password_reset_throttles WHERE throttle_key = ? AND ends_at <= ?"
                ),
            ),
        ] {
            let rows = self.db.read(select).bind(now.micros()).bind(limit).fetch_all().await?;
            for row in rows {
                let query = self.db.write(delete).bind(row.get::<Vec<u8>, _>(0)?);
                deleted += query.bind(now.micros()).execute().await?;
            }
        }
        Ok(deleted)
    }
}

/// Locks the row of a user until the transaction ends; `false` unless the user may be helped by
/// mail to that address.
async fn lock_recipient(tx: &mut Tx, user_id: UserId, email_key: &str) -> Result<bool, DbError> {
    let lock = sql!(
        "UPDATE users SET updated_at = updated_at \
         WHERE id = ? AND email_key = ? AND disabled = FALSE"
    );
    Ok(tx.query(lock).bind(user_id.0).bind(email_key).execute().await? == 1)
}

/// Stores a code in the place of an older one.
async fn put_code(
    tx: &mut Tx,
    code: &NewResetCode<'_>,
    user_id: Option<UserId>,
) -> Result<(), DbError> {
    let update = sql!(
        "UPDATE password_resets SET user_id = ?, asker_key = ?, salt = ?, code_hash = ?, \
         expires_at = ?, attempts = 0, asker_attempts = 0 WHERE account_key = ?"
    );
    let insert = sql!(
        "INSERT INTO password_resets (user_id, asker_key, salt, code_hash, expires_at, \
         account_key, attempts) VALUES (?, ?, ?, ?, ?, ?, 0)"
    );
    for statement in [update, insert] {
        let written = tx
            .query(statement)
            .bind(user_id.map(|id| id.0))
            .bind(code.asker_key.as_ref().map(Tag::as_slice))
            .bind(code.salt.as_slice())
            .bind(code.code_hash.as_slice())
            .bind(code.expires_at.micros())
            .bind(code.account_key.as_slice())
            .execute()
            .await?;
        if written == 1 {
            break;
        }
    }
    Ok(())
}

fn reset_code(row: &Row) -> Result<ResetCode, DbError> {
    fn bytes<const N: usize>(row: &Row, column: &'static str) -> Result<[u8; N], DbError> {
        let bytes: Vec<u8> = row.get(column)?;
        bytes.try_into().map_err(|_| DbError::Corrupt(column))
    }
    Ok(ResetCode {
        user_id: row.get::<Option<i64>, _>("user_id")?.map(UserId),
        salt: bytes(row, "salt")?,
        code_hash: bytes(row, "code_hash")?,
    })
}
