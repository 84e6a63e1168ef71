//! Who calls auth-service: judged by what is in the database now.

use auth_client::{Caller, bearer::bearer_token};
use service_kit::{client::Client, settings::ServiceTokens};
use tonic::{Request, Status};

use crate::{
    error::Error,
    model::ClientInfo,
    sessions::{ActiveToken, Sessions},
};

/// The user who sent a request, and from where.
///
/// # Errors
/// UNAUTHENTICATED with the reason why the token is refused.
pub async fn user<T>(
    sessions: &Sessions,
    request: &Request<T>,
) -> Result<(Caller, ClientInfo), Status> {
    let (active, client) = account(sessions, request).await?;
    Ok((Caller::from(&*active.token), client))
}

/// The same, with the account as it is now.
///
/// # Errors
/// As [`user`].
pub async fn account<T>(
    sessions: &Sessions,
    request: &Request<T>,
) -> Result<(ActiveToken, ClientInfo), Status> {
    let token = bearer_token(request.metadata().as_ref()).map_err(Error::from)?;
    let active = sessions.judge(token).await?;
    Ok((active, Client::of_request(request).into()))
}

/// Refuses who does not show a service token.
///
/// # Errors
/// PERMISSION_DENIED `SERVICE_TOKEN_REQUIRED`.
pub fn service<T>(tokens: &ServiceTokens, request: &Request<T>) -> Result<(), Status> {
    match bearer_token(request.metadata().as_ref()) {
        Ok(token) if tokens.accept(token) => Ok(()),
        _ => Err(Error::ServiceTokenRequired.into()),
    }
}
