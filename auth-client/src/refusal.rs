//! Why a token is refused. The reasons are the contract's; what a reason does not tell apart, the
//! metadata `problem` does, for clients of the REST gateway that know the texts of old.

use std::time::Duration;

use service_kit::rejection::Rejection;
use tonic::Code;

/// How long a caller is told to wait while tokens cannot be judged.
const UNAVAILABLE_PAUSE: Duration = Duration::from_secs(1);

/// Why a request is refused before it reaches a handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No `authorization` header.
    #[error("the authorization header is missing")]
    Missing,
    /// An `authorization` header of another scheme than Bearer.
    #[error("the authorization header is not of the Bearer scheme")]
    OtherScheme,
    /// Two `authorization` headers: which one would a proxy have judged?
    #[error("more than one authorization header")]
    Duplicate,
    /// Fewer than three segments.
    #[error("the token has fewer than three segments")]
    Segments,
    /// A header that cannot be decoded.
    #[error("the token's header cannot be decoded")]
    Header,
    /// Too long, an algorithm or `typ` that is not ours, a claim missing, ...
    #[error("the token is malformed")]
    Malformed,
    /// Signed by nobody we know, or changed since.
    #[error("the token's signature is not valid")]
    Signature,
    /// For another audience, from another issuer, or not valid yet.
    #[error("the token's claims are not accepted here")]
    Claims,
    /// Past its `exp`.
    #[error("the token has expired")]
    Expired,
    /// It, its session or its user's sessions were ended.
    #[error("the token has been revoked")]
    Revoked,
    /// It could not be judged: auth-service cannot be reached.
    #[error("the token cannot be judged now")]
    Unavailable,
}

impl Refusal {
    /// `ErrorInfo.reason`.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Missing | Self::OtherScheme => "TOKEN_MISSING",
            Self::Duplicate | Self::Segments | Self::Header | Self::Malformed => "TOKEN_MALFORMED",
            Self::Signature => "TOKEN_SIGNATURE_INVALID",
            Self::Claims => "TOKEN_CLAIMS_INVALID",
            Self::Expired => "TOKEN_EXPIRED",
            Self::Revoked => "TOKEN_REVOKED",
            Self::Unavailable => "AUTH_UNAVAILABLE",
        }
    }

    /// `ErrorInfo.metadata["problem"]`, where one reason has several causes.
    const fn problem(self) -> Option<&'static str> {
        match self {
            Self::OtherScheme => Some("scheme"),
            Self::Duplicate => Some("duplicate"),
            Self::Segments => Some("segments"),
            Self::Header => Some("header"),
            _ => None,
        }
    }

    /// The rejection that a service of `domain` answers with.
    pub fn rejection(self, domain: &'static str) -> Rejection {
        let code = match self {
            Self::Unavailable => Code::Unavailable,
            _ => Code::Unauthenticated,
        };
        let rejection = Rejection::new(code, domain, self.reason(), self.to_string());
        match self.problem() {
            Some(problem) => rejection.with("problem", problem),
            None if code == Code::Unavailable => rejection.retry_after(UNAVAILABLE_PAUSE),
            None => rejection,
        }
    }
}
