//! Tables `signing_keys` and `signing_key_version`.
//!
//! Whoever changes the keys locks the version first, and then decides by what is there: of several
//! replicas that want the same change one makes it, and the others see it made. The unique slot
//! would refuse a second active or next key all the same.

use std::time::Duration;

use auth_client::Algorithm;
use service_kit::{
    Timestamp,
    db::{DbError, Row, Statement, Tx},
    sql, transaction,
};

use super::Store;
use crate::model::{KeyState, NewEvent};

const COLUMNS: &str =
    "kid, algorithm, slot, private_key, created_at, active_since, retired_at, token_ttl";
/// More than the rules ever leave there.
const SELECT_ALL: Statement =
    sql!("SELECT ", COLUMNS, " FROM signing_keys ORDER BY created_at, kid LIMIT 64");

/// A key pair as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigningKeyRow {
    /// The key's id.
    pub kid: String,
    /// What it signs with.
    pub algorithm: Algorithm,
    /// Where in its life it is.
    pub state: KeyState,
    /// PKCS #8, sealed under the secret key.
    pub private_key: Vec<u8>,
    /// When it was made, and published.
    pub created_at: Timestamp,
    /// When it began to sign.
    pub active_since: Option<Timestamp>,
    /// When it ceased to sign.
    pub retired_at: Option<Timestamp>,
    /// The longest life of a token that it signs.
    pub token_ttl: Duration,
}

/// What becomes of the keys, in this order.
#[derive(Clone, Debug, Default)]
pub struct KeyChanges {
    /// Keys that are gone.
    pub delete: Vec<String>,
    /// The active key that retires.
    pub retire: Option<String>,
    /// The next key that becomes active, and the life of the tokens that it will sign.
    pub activate: Option<(String, Duration)>,
    /// The key whose tokens may live this long from now on.
    pub prolong: Option<(String, Duration)>,
    /// New keys.
    pub insert: Vec<SigningKeyRow>,
    /// What is told of it.
    pub events: Vec<NewEvent>,
}

impl KeyChanges {
    fn is_empty(&self) -> bool {
        self.delete.is_empty()
            && self.retire.is_none()
            && self.activate.is_none()
            && self.prolong.is_none()
            && self.insert.is_empty()
    }
}

impl Store {
    /// The longest life of a token that any key signs; `None` where there is no key.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn longest_token_ttl(&self) -> Result<Option<Duration>, DbError> {
        let select = sql!("SELECT MAX(token_ttl) AS longest FROM signing_keys");
        let row = self.db.read(select).fetch_one().await?;
        let longest = row.get::<Option<i64>, _>("longest")?;
        Ok(longest.and_then(|micros| u64::try_from(micros).ok()).map(Duration::from_micros))
    }

    /// How often the keys have changed.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn signing_key_version(&self) -> Result<i64, DbError> {
        let select = sql!("SELECT version FROM signing_key_version WHERE id = 1");
        self.db.read(select).fetch_one().await?.get("version")
    }

    /// All keys, oldest first.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn signing_keys(&self) -> Result<Vec<SigningKeyRow>, DbError> {
        self.db.read(SELECT_ALL).fetch_all().await?.iter().map(signing_key).collect()
    }

    /// Makes the changes that `decide` wants, given all keys, and returns what else it says.
    /// `decide` may run several times, and has no effect of its own.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn change_signing_keys<T: Send>(
        &self,
        now: Timestamp,
        decide: impl Fn(&[SigningKeyRow]) -> (KeyChanges, T) + Sync,
    ) -> Result<T, DbError> {
        transaction!(self.db, |tx| {
            let lock = sql!("UPDATE signing_key_version SET version = version WHERE id = 1");
            tx.query(lock).execute().await?;
            let rows = tx.query(SELECT_ALL).fetch_all().await?;
            let rows = rows.iter().map(signing_key).collect::<Result<Vec<_>, _>>()?;
            let (changes, answer) = decide(&rows);
            if !changes.is_empty() {
                apply(tx, &changes, now).await?;
                let count =
                    sql!("UPDATE signing_key_version SET version = version + 1 WHERE id = 1");
                tx.query(count).execute().await?;
                self.append_events(tx, now, &changes.events).await?;
            }
            Ok(answer)
        })
    }
}

async fn apply(tx: &mut Tx, changes: &KeyChanges, now: Timestamp) -> Result<(), DbError> {
    for kid in &changes.delete {
        let delete = sql!("DELETE FROM signing_keys WHERE kid = ?");
        tx.query(delete).bind(kid.as_str()).execute().await?;
    }
    if let Some(kid) = &changes.retire {
        let retire = sql!(
            "UPDATE signing_keys SET slot = NULL, retired_at = ? WHERE kid = ? AND slot = 'active'"
        );
        tx.query(retire).bind(now.micros()).bind(kid.as_str()).execute().await?;
    }
    if let Some((kid, token_ttl)) = &changes.activate {
        let activate = sql!(
            "UPDATE signing_keys SET slot = 'active', active_since = ?, token_ttl = ? \
             WHERE kid = ? AND slot = 'next'"
        );
        let query = tx.query(activate).bind(now.micros()).bind(micros(*token_ttl));
        query.bind(kid.as_str()).execute().await?;
    }
    if let Some((kid, token_ttl)) = &changes.prolong {
        let prolong = sql!("UPDATE signing_keys SET token_ttl = ? WHERE kid = ? AND token_ttl < ?");
        let query = tx.query(prolong).bind(micros(*token_ttl)).bind(kid.as_str());
        query.bind(micros(*token_ttl)).execute().await?;
    }
    for key in &changes.insert {
        insert_signing_key(tx, key).await?;
    }
    Ok(())
}

async fn insert_signing_key(tx: &mut Tx, key: &SigningKeyRow) -> Result<(), DbError> {
    let slot = match key.state {
        KeyState::Next | KeyState::Active => Some(key.state.as_str()),
        KeyState::Retired => None,
    };
    let insert = sql!("INSERT INTO signing_keys (", COLUMNS, ") VALUES (?, ?, ?, ?, ?, ?, ?, ?)");
    tx.query(insert)
        .bind(key.kid.as_str())
        .bind(key.algorithm.as_str())
        .bind(slot)
        .bind(key.private_key.as_slice())
        .bind(key.created_at.micros())
        .bind(key.active_since.map(Timestamp::micros))
        .bind(key.retired_at.map(Timestamp::micros))
        .bind(micros(key.token_ttl))
        .execute()
        .await?;
    Ok(())
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

fn signing_key(row: &Row) -> Result<SigningKeyRow, DbError> {
    let time = |column: &str| {
        row.get::<Option<i64>, _>(column).map(|time| time.map(Timestamp::from_micros))
    };
    let algorithm: String = row.get("algorithm")?;
    let token_ttl = u64::try_from(row.get::<i64, _>("token_ttl")?);
    Ok(SigningKeyRow {
        kid: row.get("kid")?,
        algorithm: algorithm.parse().map_err(|_| DbError::Corrupt("signing_keys.algorithm"))?,
        state: match row.get::<Option<String>, _>("slot")?.as_deref() {
            None => KeyState::Retired,
            Some("active") => KeyState::Active,
            Some("next") => KeyState::Next,
            Some(_) => return Err(DbError::Corrupt("signing_keys.slot")),
        },
        private_key: row.get("private_key")?,
        created_at: Timestamp::from_micros(row.get("created_at")?),
        active_since: time("active_since")?,
        retired_at: time("retired_at")?,
        token_ttl: token_ttl
            .map(Duration::from_micros)
            .map_err(|_| DbError::Corrupt("signing_keys.token_ttl"))?,
    })
}
