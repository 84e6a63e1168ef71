//! The keys as they were at one moment: opened, and ready to sign and verify with.

use std::sync::Arc;

use auth_client::{Algorithm, KeySet, LocalVerifier, PublicKey, TokenRules};
use aws_lc_rs::error::Unspecified;
use service_kit::{StartError, secret::SecretKey};

use super::{
    PURPOSE,
    pair::{KeyPair, NoKeyPair},
};
use crate::{error::Error, model::KeyState, store::SigningKeyRow};

/// The key that signs.
pub struct SigningKey {
    /// `kid` in the header of a token.
    pub key_id: String,
    /// `alg` in the header of a token.
    pub algorithm: Algorithm,
    pair: KeyPair,
}

impl SigningKey {
    /// The signature of `message`.
    ///
    /// # Errors
    /// Where the cryptographic library fails.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Unspecified> {
        self.pair.sign(message)
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

/// The keys at one moment.
#[derive(Debug)]
pub struct KeyRing {
    pub(super) version: i64,
    pub(super) active: Arc<SigningKey>,
    pub(super) public: Vec<PublicKey>,
    pub(super) verifying: LocalVerifier,
    pub(super) rows: Vec<SigningKeyRow>,
}

/// Why stored keys cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BrokenKeys {
    /// None of them can be opened.
    #[error("the signing keys in the database are sealed under another secret key, or damaged")]
    Secret,
    /// The others can be opened.
    #[error("signing key {0} is damaged; `auth-service keys revoke {0}` takes it away")]
    Damaged(String),
    /// There is no active one.
    #[error("no signing key is active")]
    NoneActive,
}

impl From<BrokenKeys> for StartError {
    fn from(broken: BrokenKeys) -> Self {
        match broken {
            BrokenKeys::Secret => Self::setting("SECRET_KEY", broken.to_string()),
            BrokenKeys::Damaged(_) | BrokenKeys::NoneActive => Self::other(broken.to_string()),
        }
    }
}

impl From<BrokenKeys> for Error {
    fn from(broken: BrokenKeys) -> Self {
        Self::Internal(broken.to_string())
    }
}

impl KeyRing {
    /// Opens all of `rows`, read at `version` or later.
    ///
    /// # Errors
    /// Tells a secret key that does not fit from a single key that is damaged.
    pub fn open(
        version: i64,
        rows: Vec<SigningKeyRow>,
        secret: &SecretKey,
        rules: &TokenRules,
    ) -> Result<Self, BrokenKeys> {
        require_fit(&rows, secret)?;
        let (mut active, mut public) = (None, Vec::new());
        for row in &rows {
            let damaged = || BrokenKeys::Damaged(row.kid.clone());
            let pair = open_pair(row, secret).map_err(|NoKeyPair| damaged())?;
            public.push(PublicKey { key_id: row.kid.clone(), numbers: pair.public() });
            if row.state == KeyState::Active {
                let (key_id, algorithm) = (row.kid.clone(), row.algorithm);
                active = Some(Arc::new(SigningKey { key_id, algorithm, pair }));
            }
        }
        let active = active.ok_or(BrokenKeys::NoneActive)?;
        let verifying = LocalVerifier::new(KeySet::new(&public), rules.clone());
        Ok(Self { version, active, public, verifying, rows })
    }

    /// The key that signs.
    pub fn active(&self) -> &Arc<SigningKey> {
        &self.active
    }

    /// What a good token may be signed with, now or soon, to show to others.
    pub fn public(&self) -> &[PublicKey] {
        &self.public
    }

    /// Judges tokens with them.
    pub fn verifying(&self) -> &LocalVerifier {
        &self.verifying
    }

    /// Another number after each change of the keys.
    pub fn version(&self) -> i64 {
        self.version
    }
}

/// Whether the secret key is the one that keys are sealed under: it opens one of them, or there
/// are none.
///
/// # Errors
/// [`BrokenKeys::Secret`] where it is not.
pub fn require_fit(rows: &[SigningKeyRow], secret: &SecretKey) -> Result<(), BrokenKeys> {
    let opens = |row: &SigningKeyRow| secret.open(PURPOSE, &row.kid, &row.private_key).is_ok();
    if rows.is_empty() || rows.iter().any(opens) { Ok(()) } else { Err(BrokenKeys::Secret) }
}

fn open_pair(row: &SigningKeyRow, secret: &SecretKey) -> Result<KeyPair, NoKeyPair> {
    let pkcs8 = secret.open(PURPOSE, &row.kid, &row.private_key).map_err(|_| NoKeyPair)?;
    KeyPair::from_pkcs8(row.algorithm, &pkcs8)
}
