//! Judging one access token: a JWT of the profile in RFC 9068, against the advice of RFC 8725.
//!
//! The headers `jku`, `x5u`, `x5c` and `jwk` are not even read: a token does not choose its key.

use std::cmp::Ordering;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use service_kit::Timestamp;

use crate::{KeySet, Refusal, Role, Roles, keys::Algorithm};

/// The longest token that is looked at.
pub const TOKEN_BYTES_MAX: usize = 8 * 1024;

/// How many segments a token has (RFC 7515 section 7.1).
pub(crate) const SEGMENTS: usize = 3;

/// The `typ` of an access token (RFC 9068 section 2.1).
pub const TOKEN_TYPE: &str = "at+jwt";

/// Which tokens are meant for us.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "clap", derive(clap::Args), group(skip))]
pub struct TokenRules {
    /// Who issues access tokens: their `iss`.
    #[cfg_attr(
        feature = "clap",
        arg(
            id = "token_issuer",
            long = "token-issuer",
            env = "TOKEN_ISSUER",
            value_name = "TOKEN_ISSUER",
            default_value = "pavilion"
        )
    )]
    pub issuer: String,
    /// Whom access tokens are for: what must be among their `aud`.
    #[cfg_attr(
        feature = "clap",
        arg(
            id = "token_audience",
            long = "token-audience",
            env = "TOKEN_AUDIENCE",
            value_name = "TOKEN_AUDIENCE",
            default_value = "pavilion"
        )
    )]
    pub audience: String,
}

/// The claims of an access token.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Claims {
    /// Issuer.
    pub iss: String,
    /// Subject: the user's id. A string, as RFC 7519 section 4.1.2 has it.
    pub sub: String,
    /// Audience.
    pub aud: Audience,
    /// Issued at, in seconds.
    pub iat: i64,
    /// Expires, in seconds.
    pub exp: i64,
    /// Not before, in seconds. Not issued, but heeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nbf: Option<i64>,
    /// Token id.
    pub jti: String,
    /// Session id.
    pub sid: String,
    /// The client that it was issued to (RFC 9068 section 2.2).
    pub client_id: String,
    /// Role words.
    pub roles: Vec<String>,
}

/// One audience or several (RFC 7519 section 4.1.3).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Audience {
    /// A single one.
    One(String),
    /// Several.
    Many(Vec<String>),
}

impl Audience {
    fn includes(&self, audience: &str) -> bool {
        match self {
            Self::One(one) => one == audience,
            Self::Many(many) => many.iter().any(|one| one == audience),
        }
    }
}

/// A token whose signature and claims are good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedToken {
    /// The user.
    pub user_id: i64,
    /// Claim `sid`.
    pub session_id: String,
    /// Claim `jti`.
    pub token_id: String,
    /// Claim `roles`; words that are no role are passed over.
    pub roles: Roles,
    /// Claim `iat`.
    pub issued_at: Timestamp,
    /// Claim `exp`: from this instant on it is refused.
    pub expires_at: Timestamp,
    /// The key that signed it.
    pub key_id: String,
}

/// The parts of a token that was taken apart but not judged yet.
pub struct UnverifiedToken<'t> {
    message: &'t str,
    payload: &'t str,
    signature: &'t str,
    algorithm: Algorithm,
    key_id: String,
}

/// Only what is heeded.
#[derive(Deserialize)]
struct Header {
    alg: Option<String>,
    typ: Option<String>,
    kid: Option<String>,
    crit: Option<serde_json::Value>,
}

impl<'t> UnverifiedToken<'t> {
    /// Takes a token apart.
    ///
    /// # Errors
    /// Where it is not of the form that auth-service issues.
    pub fn parse(token: &'t str) -> Result<Self, Refusal> {
        check_form(token)?;
        let (message, signature) = token.rsplit_once('.').ok_or(Refusal::Segments)?;
        let (header, payload) = message.split_once('.').ok_or(Refusal::Segments)?;
        let header = BASE64_URL_SAFE_NO_PAD.decode(header).map_err(|_| Refusal::Header)?;
        let header: Header = serde_json::from_slice(&header).map_err(|_| Refusal::Header)?;
        let typ_is_ours = header.typ.as_deref().is_some_and(is_access_token_type);
        let algorithm = header.alg.and_then(|alg| alg.parse().ok());
        match (algorithm, header.kid) {
            // `crit` names an extension that must be understood, and is not (RFC 7515
            // section 4.1.11).
            (Some(algorithm), Some(key_id)) if typ_is_ours && header.crit.is_none() => {
                Ok(Self { message, payload, signature, algorithm, key_id })
            }
            _ => Err(Refusal::Malformed),
        }
    }

    /// The key that it says it was signed with.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// Judges signature and claims.
    ///
    /// # Errors
    /// The first thing that is wrong: signature, form, claims, lifetime, in this order.
    pub fn verify(
        &self,
        keys: &KeySet,
        rules: &TokenRules,
        now: Timestamp,
    ) -> Result<VerifiedToken, Refusal> {
        if !keys.verify(&self.key_id, self.algorithm, self.message, self.signature) {
            return Err(Refusal::Signature);
        }
        let payload =
            BASE64_URL_SAFE_NO_PAD.decode(self.payload).map_err(|_| Refusal::Malformed)?;
        let claims: Claims = serde_json::from_slice(&payload).map_err(|_| Refusal::Malformed)?;
        let user_id = claims.sub.parse().ok().filter(|id| *id > 0).ok_or(Refusal::Malformed)?;
        let early = claims.nbf.is_some_and(|nbf| now < Timestamp::from_seconds(nbf));
        if claims.iss != rules.issuer || !claims.aud.includes(&rules.audience) || early {
            return Err(Refusal::Claims);
        }
        let expires_at = Timestamp::from_seconds(claims.exp);
        if now >= expires_at {
            return Err(Refusal::Expired);
        }
        Ok(VerifiedToken {
            user_id,
            session_id: claims.sid,
            token_id: claims.jti,
            roles: claims.roles.iter().filter_map(|word| word.parse::<Role>().ok()).collect(),
            issued_at: Timestamp::from_seconds(claims.iat),
            expires_at,
            key_id: self.key_id.clone(),
        })
    }
}

/// Looks at the number of segments, and then at the length.
///
/// # Errors
/// Where it need not be looked at any further.
pub(crate) fn check_form(token: &str) -> Result<(), Refusal> {
    match token.split('.').count().cmp(&SEGMENTS) {
        Ordering::Less => Err(Refusal::Segments),
        Ordering::Equal if token.len() <= TOKEN_BYTES_MAX => Ok(()),
        Ordering::Equal | Ordering::Greater => Err(Refusal::Malformed),
    }
}

/// RFC 9068 section 4: `at+jwt`, or the media type in full; without regard to case.
fn is_access_token_type(typ: &str) -> bool {
    typ.eq_ignore_ascii_case(TOKEN_TYPE) || typ.eq_ignore_ascii_case("application/at+jwt")
}
