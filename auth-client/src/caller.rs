//! Who calls, and the layer that finds it out before a handler runs.
//!
//! The layer fails closed: a request without a good token never reaches the handler.

use std::{
    convert::Infallible,
    future::Future,
    mem,
    pin::Pin,
    task::{Context, Poll},
};

use http::{Request, Response};
use service_kit::Timestamp;
use tonic::{Status, body::Body, server::NamedService};
use tower::{Layer, Service};

use crate::{Role, Roles, Verifier, token::VerifiedToken};

/// The user who sent a request, by a token that was found good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Whose token it is.
    pub user_id: i64,
    /// The session that it belongs to.
    pub session_id: String,
    /// The token itself.
    pub token_id: String,
    /// What the user may do.
    pub roles: Roles,
    /// When the token expires.
    pub expires_at: Timestamp,
}

impl From<&VerifiedToken> for Caller {
    fn from(token: &VerifiedToken) -> Self {
        Self {
            user_id: token.user_id,
            session_id: token.session_id.clone(),
            token_id: token.token_id.clone(),
            roles: token.roles,
            expires_at: token.expires_at,
        }
    }
}

impl Caller {
    /// The caller of an RPC that passed an [`AuthLayer`].
    ///
    /// # Errors
    /// INTERNAL where it did not, which is a mistake in the service: it fails closed.
    pub fn of<T>(request: &tonic::Request<T>) -> Result<Self, Status> {
        let caller = request.extensions().get::<Self>().cloned();
        caller.ok_or_else(|| Status::internal("the caller is not known here"))
    }

    /// Whether the user has `role`.
    pub fn has(&self, role: Role) -> bool {
        self.roles.contains(role)
    }

    /// Whether the user has one of `roles`.
    pub fn has_any(&self, roles: &[Role]) -> bool {
        roles.iter().any(|role| self.has(*role))
    }
}

/// Puts a [`Caller`] before each handler of a gRPC service.
#[derive(Clone, Debug)]
pub struct AuthLayer {
    verifier: Verifier,
    domain: &'static str,
}

impl AuthLayer {
    /// A layer that judges tokens with `verifier` and refuses in the name of `domain`, the proto
    /// package of the service.
    pub fn new(verifier: Verifier, domain: &'static str) -> Self {
        Self { verifier, domain }
    }
}

impl<S> Layer<S> for AuthLayer {
    type Service = Authenticated<S>;

    fn layer(&self, inner: S) -> Authenticated<S> {
        Authenticated { inner, layer: self.clone() }
    }
}

/// A service behind an [`AuthLayer`].
#[derive(Clone, Debug)]
pub struct Authenticated<S> {
    inner: S,
    layer: AuthLayer,
}

impl<S: NamedService> NamedService for Authenticated<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<Request<Body>> for Authenticated<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        // The one that was polled ready is the one to call; a clone takes its place.
        let clone = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, clone);
        let AuthLayer { verifier, domain } = self.layer.clone();
        Box::pin(async move {
            match verifier.authenticate(request.headers()).await {
                Ok(caller) => {
                    request.extensions_mut().insert(caller);
                    inner.call(request).await
                }
                Err(refusal) => Ok(Status::from(refusal.rejection(domain)).into_http()),
            }
        })
    }
}
