//! Table `mails`: what is to be sent.

use std::sync::Arc;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use lettre::Address;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use zeroize::Zeroizing;

use crate::{
    Clock, Entropy, Timestamp,
    db::{Db, DbError, Tx},
    secret::SecretKey,
    sql,
};

/// What mails are sealed for.
pub(super) const PURPOSE: &str = "mail";
/// Mails that wait in one database; a few more where many are queued at once.
const MAILS_MAX: i64 = 10_000;
/// How long a mail is tried at most, in days.
const DAYS_MAX: u64 = 3;
/// Characters of a name, and of a subject.
const LINE_CHARS_MAX: usize = 200;
/// Bytes of a text.
const TEXT_BYTES_MAX: usize = 16 * 1024;
const ID_BYTES: usize = 16;

/// A mail to be sent.
#[derive(Clone, Serialize, Deserialize)]
pub struct Mail {
    /// The address of the recipient.
    pub to: String,
    /// The name of the recipient, beside the address: at most 200 characters; may be empty.
    pub name: String,
    /// What it is about: one line, at most 200 characters.
    pub subject: String,
    /// What it says: plain text, at most 16 KiB.
    pub text: String,
}

impl Mail {
    fn check(&self) -> Result<(), MailError> {
        self.to.parse::<Address>().map_err(|_| MailError::Address)?;
        let is_fit =
            |line: &str| line.chars().count() <= LINE_CHARS_MAX && !line.contains(char::is_control);
        if is_fit(&self.name) && is_fit(&self.subject) && self.text.len() <= TEXT_BYTES_MAX {
            Ok(())
        } else {
            Err(MailError::Content)
        }
    }
}

/// Why a mail cannot be sent at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MailError {
    /// The recipient's address is none that SMTP knows.
    #[error("the recipient's address cannot be written to")]
    Address,
    /// The name, the subject or the text is longer than it may be, or one of the former holds
    /// control characters, such as a line break that would begin a header.
    #[error("the name, the subject or the text of the mail is not fit to be sent")]
    Content,
    /// Sealing it failed.
    #[error("the mail cannot be sealed")]
    Seal,
}

/// A mail as it is stored.
#[derive(Clone, Debug)]
pub struct SealedMail {
    id: String,
    sealed: Vec<u8>,
    created_at: Timestamp,
    not_after: Timestamp,
}

/// The mails that wait in a database whose migrations made the table `mails`. Cheap to clone.
#[derive(Clone, Debug)]
pub struct MailQueue {
    pub(super) db: Db,
    pub(super) secret: SecretKey,
    pub(super) clock: Clock,
    pub(super) entropy: Entropy,
    pub(super) woken: Arc<Notify>,
}

/// A mail whose time has come.
#[derive(Debug)]
pub(super) struct DueMail {
    pub id: String,
    pub sealed: Vec<u8>,
    pub created_at: Timestamp,
    pub not_after: Timestamp,
    /// When it may be tried. Whoever moves this on has claimed it until then.
    pub due_at: Timestamp,
    pub tries: u32,
}

impl MailQueue {
    /// The queue in `db`.
    pub fn new(db: Db, secret: SecretKey, clock: Clock, entropy: Entropy) -> Self {
        Self { db, secret, clock, entropy, woken: Arc::default() }
    }

    /// Seals a mail that is worthless from `not_after` on, or after three days.
    ///
    /// # Errors
    /// Where it could not be sent to anyone.
    pub fn seal(&self, mail: &Mail, not_after: Timestamp) -> Result<SealedMail, MailError> {
        mail.check()?;
        let id = BASE64_URL_SAFE_NO_PAD.encode(self.entropy.bytes::<ID_BYTES>());
        let content = serde_json::to_vec(mail).map(Zeroizing::new).map_err(|_| MailError::Seal)?;
        let sealed = self.secret.seal(PURPOSE, &id, &content).map_err(|_| MailError::Seal)?;
        let created_at = self.clock.now();
        let days_max = std::time::Duration::from_hours(24 * DAYS_MAX);
        Ok(SealedMail { id, sealed, created_at, not_after: not_after.min(created_at + days_max) })
    }

    /// Puts a mail into the queue when `tx` is committed; call [`MailQueue::wake`] then. `false`,
    /// and nothing is written, where the queue is full.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn enqueue(&self, tx: &mut Tx, mail: &SealedMail) -> Result<bool, DbError> {
        let count = sql!("SELECT COUNT(*) FROM mails");
        if tx.query(count).fetch_one().await?.get::<i64, _>(0)? >= MAILS_MAX {
            return Ok(false);
        }
        let insert = sql!(
            "INSERT INTO mails (id, sealed, created_at, not_after, due_at, tries) \
             VALUES (?, ?, ?, ?, ?, 0)"
        );
        tx.query(insert)
            .bind(mail.id.as_str())
            .bind(mail.sealed.as_slice())
            .bind(mail.created_at.micros())
            .bind(mail.not_after.micros())
            .bind(mail.created_at.micros())
            .execute()
            .await?;
        Ok(true)
    }

    /// Has this process look at the queue now; it looks each second for what others put into it.
    pub fn wake(&self) {
        self.woken.notify_one();
    }

    /// Mails whose time has come, the longest waiting first.
    pub(super) async fn due(&self, limit: i64) -> Result<Vec<DueMail>, DbError> {
        let select = sql!(
            "SELECT id, sealed, created_at, not_after, due_at, tries FROM mails \
             WHERE due_at <= ? ORDER BY due_at, id LIMIT ?"
        );
        let query = self.db.read(select).bind(self.clock.now().micros()).bind(limit);
        let rows = query.fetch_all().await?;
        let mails = rows.iter().map(|row| {
            let time = |column: &str| row.get::<i64, _>(column).map(Timestamp::from_micros);
            Ok(DueMail {
                id: row.get("id")?,
                sealed: row.get("sealed")?,
                created_at: time("created_at")?,
                not_after: time("not_after")?,
                due_at: time("due_at")?,
                tries: u32::try_from(row.get::<i64, _>("tries")?).unwrap_or(u32::MAX),
            })
        });
        mails.collect()
    }

    /// Moves a mail on, unless someone else has; `false` then.
    pub(super) async fn reschedule(
        &self,
        mail: &DueMail,
        due_at: Timestamp,
        tries: u32,
    ) -> Result<bool, DbError> {
        let update = sql!("UPDATE mails SET due_at = ?, tries = ? WHERE id = ? AND due_at = ?");
        let query = self.db.write(update).bind(due_at.micros()).bind(i64::from(tries));
        let query = query.bind(mail.id.as_str()).bind(mail.due_at.micros());
        Ok(query.execute().await? == 1)
    }

    /// Forgets a mail, unless someone else tries it by now; `false` then.
    pub(super) async fn delete(&self, mail: &DueMail) -> Result<bool, DbError> {
        let delete = sql!("DELETE FROM mails WHERE id = ? AND due_at = ?");
        let query = self.db.write(delete).bind(mail.id.as_str()).bind(mail.due_at.micros());
        Ok(query.execute().await? == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_would_break_out_of_its_line() {
        let mail = Mail {
            to: "zoe@example.com".to_owned(),
            name: "Zoë ☃".to_owned(),
            subject: "Grüße".to_owned(),
            text: "One\r\nBcc: eve@example.com\n".to_owned(),
        };
        assert_eq!(mail.check(), Ok(()));
        let inject = || "Ann\r\nBcc: eve@example.com".to_owned();
        let bad = [
            (Mail { to: inject(), ..mail.clone() }, MailError::Address),
            (
                Mail { to: "zoe@example.com, eve@example.com".to_owned(), ..mail.clone() },
                MailError::Address,
            ),
            (Mail { name: inject(), ..mail.clone() }, MailError::Content),
            (Mail { subject: inject(), ..mail.clone() }, MailError::Content),
            (Mail { subject: "x".repeat(201), ..mail.clone() }, MailError::Content),
            (Mail { text: "x".repeat(TEXT_BYTES_MAX + 1), ..mail }, MailError::Content),
        ];
        for (mail, error) in bad {
            assert_eq!(mail.check(), Err(error));
        }
    }
}
