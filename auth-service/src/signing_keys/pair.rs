//! One key pair: made, read and signed with.
//!
//! It signs by itself rather than through jsonwebtoken, which parses (and for RSA checks) the key
//! anew for each signature, and wants RSA keys in PKCS #1, which aws-lc-rs does not write.

use auth_client::{Algorithm, keys::KeyNumbers};
use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    error::Unspecified,
    rand::SystemRandom,
    rsa::{KeySize, PublicKeyComponents},
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
        RSA_PKCS1_SHA256, RsaKeyPair,
    },
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

/// RFC 7518 section 3.3 wants 2048 bits at least, and NIST SP 800-57 part 1 (table 4) trusts them
/// through 2030; keys here live for months, and 3072 bits would make each token and each signature
/// larger and slower.
const RSA_SIZE: KeySize = KeySize::Rsa2048;
/// Of an uncompressed point (SEC 1 section 2.3.3): 4, x, y.
const P256_COORDINATE_BYTES: usize = 32;

/// A key pair that signs with one algorithm.
pub enum KeyPair {
    /// `EdDSA`.
    Ed25519(Ed25519KeyPair),
    /// `ES256`.
    P256(EcdsaKeyPair),
    /// `RS256`.
    Rsa(RsaKeyPair),
}

/// The bytes are no key pair for the algorithm.
#[derive(Clone, Copy, Debug)]
pub struct NoKeyPair;

impl KeyPair {
    /// A new key pair in PKCS #8. For RSA it takes a good part of a second: not for a thread that
    /// serves requests.
    ///
    /// # Errors
    /// Where the cryptographic library fails.
    pub fn generate(algorithm: Algorithm) -> Result<Zeroizing<Vec<u8>>, Unspecified> {
        let pkcs8 = |document: &[u8]| Zeroizing::new(document.to_vec());
        Ok(match algorithm {
            Algorithm::EdDsa => pkcs8(Ed25519KeyPair::generate()?.to_pkcs8()?.as_ref()),
            Algorithm::Es256 => {
                let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?;
                pkcs8(pair.to_pkcs8v1()?.as_ref())
            }
            Algorithm::Rs256 => {
                let der: Pkcs8V1Der<'_> = RsaKeyPair::generate(RSA_SIZE)?.as_der()?;
                pkcs8(der.as_ref())
            }
        })
    }

    /// Reads PKCS #8.
    ///
    /// # Errors
    /// Where that holds no key pair for `algorithm`.
    pub fn from_pkcs8(algorithm: Algorithm, pkcs8: &[u8]) -> Result<Self, NoKeyPair> {
        match algorithm {
            Algorithm::EdDsa => Ed25519KeyPair::from_pkcs8(pkcs8).map(Self::Ed25519),
            Algorithm::Es256 => {
                EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8).map(Self::P256)
            }
            Algorithm::Rs256 => RsaKeyPair::from_pkcs8(pkcs8).map(Self::Rsa),
        }
        .map_err(|_| NoKeyPair)
    }

    /// The public half.
    pub fn public(&self) -> KeyNumbers {
        let text = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        match self {
            Self::Ed25519(pair) => KeyNumbers::Ed25519 { x: text(pair.public_key().as_ref()) },
            Self::P256(pair) => {
                let point = pair.public_key().as_ref().get(1..).unwrap_or_default();
                let (x, y) = point.split_at(P256_COORDINATE_BYTES.min(point.len()));
                KeyNumbers::P256 { x: text(x), y: text(y) }
            }
            Self::Rsa(pair) => {
                let numbers = PublicKeyComponents::<Vec<u8>>::from(pair.public_key());
                KeyNumbers::Rsa { n: text(&numbers.n), e: text(&numbers.e) }
            }
        }
    }

    /// The signature of `message`, in the form of RFC 7518 section 3 or RFC 8037 section 3.1.
    ///
    /// # Errors
    /// Where the cryptographic library fails.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Unspecified> {
        let random = SystemRandom::new();
        match self {
            Self::Ed25519(pair) => Ok(pair.try_sign(message)?.as_ref().to_vec()),
            Self::P256(pair) => Ok(pair.sign(&random, message)?.as_ref().to_vec()),
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)?;
                Ok(signature)
            }
        }
    }
}
