//! The key pairs that access tokens are signed with. The first is made at the first start and
//! kept in the database, its private half sealed under the secret key.

use auth_client::{Algorithm, KeySet, PublicKey, keys::KeyNumbers};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::EncodingKey;
use service_kit::{Clock, Entropy, StartError, db::Constraint, secret::SecretKey};

use crate::store::{SigningKeyRow, Store};

/// What the secret key seals private keys for.
const PURPOSE: &str = "signing-key";
const KEY_ID_BYTES: usize = 12;

/// The keys in use.
#[derive(Debug)]
pub struct SigningKeys {
    active: SigningKey,
    public: Vec<PublicKey>,
    verifying: KeySet,
}

/// The key that signs.
pub struct SigningKey {
    /// `kid` in the header of a token.
    pub key_id: String,
    /// `alg` in the header of a token.
    pub algorithm: Algorithm,
    /// The private half.
    pub private: EncodingKey,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

impl SigningKeys {
    /// The keys in `store`; where there is none, a first one is made.
    ///
    /// # Errors
    /// Names `SECRET_KEY` where the stored keys were sealed under another one.
    pub async fn load_or_create(
        store: &Store,
        secret: &SecretKey,
        clock: &Clock,
        entropy: &Entropy,
    ) -> Result<Self, StartError> {
        let failed = |error| StartError::other(format!("signing keys: {error}"));
        let mut rows = store.signing_keys().await.map_err(failed)?;
        if rows.is_empty() {
            let row = generate(secret, clock, entropy)?;
            match store.insert_signing_key(&row).await {
                Err(error) if error.violated() == Some(Constraint::Unique) => {
                    tracing::debug!("another replica has made the first signing key");
                }
                inserted => inserted.map_err(failed)?,
            }
            rows = store.signing_keys().await.map_err(failed)?;
        }
        Self::open(rows, secret)
    }

    fn open(rows: Vec<SigningKeyRow>, secret: &SecretKey) -> Result<Self, StartError> {
        let (mut active, mut public) = (None, Vec::new());
        for row in rows {
            let pkcs8 = secret.open(PURPOSE, &row.kid, &row.private_key).map_err(|error| {
                let message = format!("the signing keys in the database are {error}");
                StartError::setting("SECRET_KEY", message)
            })?;
            let broken = |_| StartError::other(format!("signing key {} is damaged", row.kid));
            let pair = Ed25519KeyPair::from_pkcs8(&pkcs8).map_err(broken)?;
            let x = BASE64_URL_SAFE_NO_PAD.encode(pair.public_key());
            let numbers = KeyNumbers::Ed25519 { x };
            public.push(PublicKey { key_id: row.kid.clone(), numbers });
            if row.is_active {
                let private = EncodingKey::from_ed_der(&pkcs8);
                let algorithm = Algorithm::EdDsa;
                active = Some(SigningKey { key_id: row.kid, algorithm, private });
            }
        }
        let active = active.ok_or_else(|| StartError::other("no signing key is active"))?;
        Ok(Self { active, verifying: KeySet::new(&public), public })
    }

    /// The key that signs.
    pub fn active(&self) -> &SigningKey {
        &self.active
    }

    /// What a good token may be signed with, to show to others.
    pub fn public(&self) -> &[PublicKey] {
        &self.public
    }

    /// What a good token may be signed with, to verify it.
    pub fn verifying(&self) -> &KeySet {
        &self.verifying
    }
}

fn generate(
    secret: &SecretKey,
    clock: &Clock,
    entropy: &Entropy,
) -> Result<SigningKeyRow, StartError> {
    let kid = BASE64_URL_SAFE_NO_PAD.encode(entropy.bytes::<KEY_ID_BYTES>());
    let failed = || StartError::other("no signing key can be made");
    let pkcs8 = Ed25519KeyPair::generate().and_then(|pair| pair.to_pkcs8());
    let pkcs8 = pkcs8.map_err(|_| failed())?;
    let private_key = secret.seal(PURPOSE, &kid, pkcs8.as_ref()).map_err(|_| failed())?;
    tracing::info!(key.id = kid, "made the first signing key");
    Ok(SigningKeyRow { kid, is_active: true, private_key, created_at: clock.now() })
}
