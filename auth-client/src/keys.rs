//! The public keys that access tokens are signed with (RFC 7517).

use std::{collections::HashMap, fmt, str::FromStr};

use jsonwebtoken::{DecodingKey, crypto};
use proto::auth::v1::JsonWebKey;

/// The most keys that are kept; a set holds a handful.
const KEYS_MAX: usize = 64;

/// An algorithm that access tokens are signed with (RFC 7518 section 3.1, RFC 8037).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// `EdDSA` with Ed25519.
    EdDsa,
    /// `ES256`: ECDSA with P-256 and SHA-256.
    Es256,
    /// `RS256`: RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
}

impl Algorithm {
    /// Its `alg`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EdDsa => "EdDSA",
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
        }
    }
}

impl From<Algorithm> for jsonwebtoken::Algorithm {
    fn from(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::EdDsa => Self::EdDSA,
            Algorithm::Es256 => Self::ES256,
            Algorithm::Rs256 => Self::RS256,
        }
    }
}

/// An `alg` that is not used here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not one of EdDSA, ES256, RS256")]
pub struct UnknownAlgorithm;

impl FromStr for Algorithm {
    type Err = UnknownAlgorithm;

    fn from_str(alg: &str) -> Result<Self, UnknownAlgorithm> {
        let all = [Self::EdDsa, Self::Es256, Self::Rs256];
        all.into_iter().find(|algorithm| algorithm.as_str() == alg).ok_or(UnknownAlgorithm)
    }
}

/// A key that signatures are verified with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    /// `kid`.
    pub key_id: String,
    /// The numbers, each in base64url.
    pub numbers: KeyNumbers,
}

/// The numbers of a public key, each in base64url.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyNumbers {
    /// RFC 8037 section 2, curve Ed25519.
    Ed25519 {
        /// The public key.
        x: String,
    },
    /// RFC 7518 section 6.2, curve P-256.
    P256 {
        /// The x coordinate.
        x: String,
        /// The y coordinate.
        y: String,
    },
    /// RFC 7518 section 6.3.
    Rsa {
        /// The modulus.
        n: String,
        /// The exponent.
        e: String,
    },
}

impl PublicKey {
    /// What it verifies.
    pub const fn algorithm(&self) -> Algorithm {
        match self.numbers {
            KeyNumbers::Ed25519 { .. } => Algorithm::EdDsa,
            KeyNumbers::P256 { .. } => Algorithm::Es256,
            KeyNumbers::Rsa { .. } => Algorithm::Rs256,
        }
    }

    /// Reads a JWK; `None` where it is not for signatures or of a kind that is not used here.
    pub fn from_jwk(jwk: &JsonWebKey) -> Option<Self> {
        let numbers = match (jwk.alg.parse().ok()?, jwk.kty.as_str(), jwk.crv.as_str()) {
            (Algorithm::EdDsa, "OKP", "Ed25519") => KeyNumbers::Ed25519 { x: jwk.x.clone() },
            (Algorithm::Es256, "EC", "P-256") => {
                KeyNumbers::P256 { x: jwk.x.clone(), y: jwk.y.clone() }
            }
            (Algorithm::Rs256, "RSA", _) => KeyNumbers::Rsa { n: jwk.n.clone(), e: jwk.e.clone() },
            _ => return None,
        };
        let is_usable = jwk.r#use == "sig" && !jwk.kid.is_empty();
        is_usable.then(|| Self { key_id: jwk.kid.clone(), numbers })
    }

    /// The JWK.
    pub fn to_jwk(&self) -> JsonWebKey {
        let jwk = JsonWebKey {
            kid: self.key_id.clone(),
            r#use: "sig".to_owned(),
            alg: self.algorithm().as_str().to_owned(),
            ..JsonWebKey::default()
        };
        match self.numbers.clone() {
            KeyNumbers::Ed25519 { x } => {
                JsonWebKey { kty: "OKP".to_owned(), crv: "Ed25519".to_owned(), x, ..jwk }
            }
            KeyNumbers::P256 { x, y } => {
                JsonWebKey { kty: "EC".to_owned(), crv: "P-256".to_owned(), x, y, ..jwk }
            }
            KeyNumbers::Rsa { n, e } => JsonWebKey { kty: "RSA".to_owned(), n, e, ..jwk },
        }
    }

    fn decoding_key(&self) -> Option<DecodingKey> {
        match &self.numbers {
            KeyNumbers::Ed25519 { x } => DecodingKey::from_ed_components(x),
            KeyNumbers::P256 { x, y } => DecodingKey::from_ec_components(x, y),
            KeyNumbers::Rsa { n, e } => DecodingKey::from_rsa_components(n, e),
        }
        .ok()
    }
}

/// The keys of auth-service, by `kid`. Two sets are the same if their keys are.
#[derive(Clone, Default)]
pub struct KeySet(HashMap<String, (PublicKey, DecodingKey)>);

impl PartialEq for KeySet {
    fn eq(&self, other: &Self) -> bool {
        let is_in_other = |(id, (key, _)): (&String, &(PublicKey, _))| {
            other.0.get(id).is_some_and(|(others, _)| others == key)
        };
        self.0.len() == other.0.len() && self.0.iter().all(is_in_other)
    }
}

impl KeySet {
    /// A set of `keys`; one whose numbers are no key is passed over.
    pub fn new<'k>(keys: impl IntoIterator<Item = &'k PublicKey>) -> Self {
        let keys = keys
            .into_iter()
            .take(KEYS_MAX)
            .filter_map(|key| Some((key.key_id.clone(), (key.clone(), key.decoding_key()?))));
        Self(keys.collect())
    }

    /// The usable keys among `keys`; others are passed over (RFC 7517 section 5).
    pub fn from_jwks(keys: &[JsonWebKey]) -> Self {
        Self::new(&keys.iter().filter_map(PublicKey::from_jwk).collect::<Vec<_>>())
    }

    /// Whether it holds the key `key_id`.
    pub fn contains(&self, key_id: &str) -> bool {
        self.0.contains_key(key_id)
    }

    /// Whether `signature` over `message` was made with the key `key_id`, which must be one for
    /// `algorithm`: the token's word for its algorithm is not enough (RFC 8725 section 3.1).
    pub(crate) fn verify(
        &self,
        key_id: &str,
        algorithm: Algorithm,
        message: &str,
        signature: &str,
    ) -> bool {
        self.0.get(key_id).is_some_and(|(public, key)| {
            public.algorithm() == algorithm
                && crypto::verify(signature, message.as_bytes(), key, algorithm.into())
                    .unwrap_or(false)
        })
    }
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
