//! Table `signing_keys`.

use service_kit::{Timestamp, db::DbError, sql};

use super::Store;

/// The slot of the key that signs.
const ACTIVE: &str = "active";

/// A key pair as it is stored.
#[derive(Clone, Debug)]
pub struct SigningKeyRow {
    /// The key's id.
    pub kid: String,
    /// Whether it is the one that signs.
    pub is_active: bool,
    /// PKCS #8, sealed under the secret key.
    pub private_key: Vec<u8>,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Store {
    /// All keys, oldest first.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn signing_keys(&self) -> Result<Vec<SigningKeyRow>, DbError> {
        let select = sql!(
            "SELECT kid, slot, private_key, created_at FROM signing_keys ORDER BY created_at, kid"
        );
        let rows = self.db.read(select).fetch_all().await?;
        rows.iter()
            .map(|row| {
                Ok(SigningKeyRow {
                    kid: row.get("kid")?,
                    is_active: row.get::<Option<String>, _>("slot")?.as_deref() == Some(ACTIVE),
                    private_key: row.get("private_key")?,
                    created_at: Timestamp::from_micros(row.get("created_at")?),
                })
            })
            .collect()
    }

    /// Stores a key pair.
    ///
    /// # Errors
    /// A unique violation where it is to sign and another one does.
    pub async fn insert_signing_key(&self, key: &SigningKeyRow) -> Result<(), DbError> {
        let insert = sql!(
            "INSERT INTO signing_keys (kid, algorithm, slot, private_key, created_at) \
             VALUES (?, ?, ?, ?, ?)"
        );
        self.db
            .write(insert)
            .bind(key.kid.as_str())
            .bind("EdDSA")
            .bind(key.is_active.then_some(ACTIVE))
            .bind(key.private_key.as_slice())
            .bind(key.created_at.micros())
            .execute()
            .await?;
        Ok(())
    }
}
