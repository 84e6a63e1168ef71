//! Methods that anyone may call, in a service whose other methods need a token.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use http::{Request, Response};
use tonic::{body::Body, server::NamedService};
use tower::Service;

/// The methods that look at no token.
const PUBLIC: [&str; 4] = [
    "/training.v1.ProgramService/GetProgram",
    "/training.v1.ProgramService/GetProgramCalendar",
    "/training.v1.ProgramService/ListPrograms",
    "/training.v1.RegistrationService/GetCalendar",
];

/// A service, open for [`PUBLIC`] and guarded for all else.
#[derive(Clone, Debug)]
pub(crate) struct PublicMethods<S, G> {
    open: S,
    guarded: G,
}

impl<S, G> PublicMethods<S, G> {
    /// Calls of `open` need no token, those of `guarded`, the same behind a guard, do.
    pub(crate) fn new(open: S, guarded: G) -> Self {
        Self { open, guarded }
    }
}

impl<S: NamedService, G> NamedService for PublicMethods<S, G> {
    const NAME: &'static str = S::NAME;
}

impl<S, G> Service<Request<Body>> for PublicMethods<S, G>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
    G: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    G::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        if self.open.poll_ready(cx)?.is_pending() {
            return Poll::Pending;
        }
        self.guarded.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        if PUBLIC.contains(&request.uri().path()) {
            Box::pin(self.open.call(request))
        } else {
            Box::pin(self.guarded.call(request))
        }
    }
}
