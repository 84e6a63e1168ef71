//! Tokens judged with the keys at hand, and those that were found good remembered: a signature
//! costs dozens of microseconds to check, a hash of the token less than one.

use std::{fmt, sync::Arc};

use aws_lc_rs::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use quick_cache::sync::Cache;
use service_kit::Timestamp;

use crate::{
    KeySet, Refusal, TokenRules,
    token::{UnverifiedToken, VerifiedToken, check_form},
};

/// Tokens that are remembered, of about 400 bytes each; the least used make room for others.
const TOKENS_MAX: usize = 32_768;

/// Of the whole token, signature and all: only the very same token is found again.
type TokenDigest = [u8; SHA256_OUTPUT_LEN];

/// Judges tokens with one set of keys, without regard to revocation.
///
/// It remembers good tokens, and nothing of bad ones. Other keys make another verifier, so that
/// what a key vouched for is forgotten with the key.
pub struct LocalVerifier {
    keys: KeySet,
    rules: TokenRules,
    good: Cache<TokenDigest, Arc<VerifiedToken>>,
}

/// Why a token was not found good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotVerified {
    /// It was judged.
    Refused(Refusal),
    /// It says that it was signed with the key of this id, which is not at hand.
    UnknownKey(String),
}

impl From<NotVerified> for Refusal {
    fn from(not_verified: NotVerified) -> Self {
        match not_verified {
            NotVerified::Refused(refusal) => refusal,
            NotVerified::UnknownKey(_) => Self::Signature,
        }
    }
}

impl From<Refusal> for NotVerified {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl LocalVerifier {
    /// A verifier of tokens that follow `rules` and are signed with one of `keys`.
    pub fn new(keys: KeySet, rules: TokenRules) -> Self {
        Self { keys, rules, good: Cache::new(TOKENS_MAX) }
    }

    /// The keys.
    pub fn keys(&self) -> &KeySet {
        &self.keys
    }

    /// Judges `token` as of `now`.
    ///
    /// # Errors
    /// Why it is refused, or which key is missing.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Arc<VerifiedToken>, NotVerified> {
        check_form(token)?;
        let token_digest = token_digest(token);
        if let Some(verified) = self.good.get(&token_digest) {
            // All else that was judged of it does not change; `nbf` would if a clock is set back,
            // which makes nothing good that was not meant to be.
            let has_expired = now >= verified.expires_at;
            return if has_expired { Err(Refusal::Expired.into()) } else { Ok(verified) };
        }
        let unverified = UnverifiedToken::parse(token)?;
        if !self.keys.contains(unverified.key_id()) {
            return Err(NotVerified::UnknownKey(unverified.key_id().to_owned()));
        }
        let verified = Arc::new(unverified.verify(&self.keys, &self.rules, now)?);
        self.good.insert(token_digest, verified.clone());
        Ok(verified)
    }
}

impl fmt::Debug for LocalVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("LocalVerifier");
        shown.field("keys", &self.keys).field("good", &self.good.len()).finish_non_exhaustive()
    }
}

fn token_digest(token: &str) -> TokenDigest {
    let mut bytes = TokenDigest::default();
    bytes.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
    bytes
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
    use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
    use serde_json::json;

    use super::*;
    use crate::{PublicKey, keys::KeyNumbers};

    const NOW: Timestamp = Timestamp::from_seconds(1_767_225_600);
    const LIFETIME: Duration = Duration::from_mins(15);

    struct Signer {
        key_id: &'static str,
        pair: Ed25519KeyPair,
    }

    impl Signer {
        fn new(key_id: &'static str) -> Self {
            Self { key_id, pair: Ed25519KeyPair::generate().expect("a key pair") }
        }

        fn public(&self) -> PublicKey {
            let x = BASE64_URL_SAFE_NO_PAD.encode(self.pair.public_key());
            PublicKey { key_id: self.key_id.to_owned(), numbers: KeyNumbers::Ed25519 { x } }
        }

        fn token(&self, token_id: usize) -> String {
            let header = json!({ "typ": "at+jwt", "alg": "EdDSA", "kid": self.key_id });
            let claims = json!({
                "iss": "pavilion", "aud": "pavilion", "sub": "7", "client_id": "test",
                "iat": NOW.seconds(), "exp": (NOW + LIFETIME).seconds(), "sid": "session",
                "jti": token_id.to_string(), "roles": ["user"],
            });
            let [header, claims] =
                [header, claims].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part.to_string()));
            let message = format!("{header}.{claims}");
            let signature = BASE64_URL_SAFE_NO_PAD.encode(self.pair.sign(message.as_bytes()));
            format!("{message}.{signature}")
        }
    }

    fn verifier(signers: &[&Signer]) -> LocalVerifier {
        let keys: Vec<_> = signers.iter().map(|signer| signer.public()).collect();
        let rules = TokenRules { issuer: "pavilion".into(), audience: "pavilion".into() };
        LocalVerifier::new(KeySet::new(&keys), rules)
    }

    #[test]
    fn a_good_token_is_remembered_and_still_expires() {
        let signer = Signer::new("key");
        let (verifier, token) = (verifier(&[&signer]), signer.token(1));
        let first = verifier.verify(&token, NOW).expect("good");
        let again = verifier.verify(&token, NOW).expect("good");
        assert!(Arc::ptr_eq(&first, &again), "it was not judged again");
        let last = NOW + LIFETIME - Duration::from_micros(1);
        assert!(verifier.verify(&token, last).is_ok());
        let refused = verifier.verify(&token, NOW + LIFETIME).unwrap_err();
        assert_eq!(refused, Refusal::Expired.into());
    }

    #[test]
    fn a_token_that_differs_from_a_good_one_in_one_character_is_judged_anew() {
        let signer = Signer::new("key");
        let (verifier, good) = (verifier(&[&signer]), signer.token(1));
        verifier.verify(&good, NOW).expect("good");
        for at in 0..good.len() {
            let mut bytes = good.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).expect("ASCII");
            for _ in 0..2 {
                verifier.verify(&changed, NOW).expect_err(&changed);
            }
        }
        assert_eq!(verifier.good.len(), 1, "bad ones leave no trace");
    }

    #[test]
    fn no_more_tokens_are_remembered_than_there_is_room_for() {
        let signer = Signer::new("key");
        let mut verifier = verifier(&[&signer]);
        verifier.good = Cache::new(10);
        for id in 0..100 {
            verifier.verify(&signer.token(id), NOW).expect("good");
        }
        assert!(verifier.good.len() <= 10);
    }

    #[test]
    fn a_key_that_is_not_at_hand_is_named() {
        let (known, unknown) = (Signer::new("known"), Signer::new("unknown"));
        let refused = verifier(&[&known]).verify(&unknown.token(1), NOW).unwrap_err();
        assert_eq!(refused, NotVerified::UnknownKey("unknown".to_owned()));
        assert_eq!(Refusal::from(refused), Refusal::Signature);
    }
}
