//! RequestPasswordReset and ResetPassword.

use proto::auth::v1::{
    RequestPasswordResetRequest, RequestPasswordResetResponse, ResetPasswordRequest,
    ResetPasswordResponse,
};
use service_kit::{client::Client, rejection::Violation};
use tonic::{Request, Response, Status};

use super::AuthApi;
use crate::{
    error::Error,
    model::{Email, Otp, keep},
};

pub(super) async fn request(
    api: &AuthApi,
    request: Request<RequestPasswordResetRequest>,
) -> Result<Response<RequestPasswordResetResponse>, Status> {
    let client = Client::of_request(&request).into();
    let RequestPasswordResetRequest { email: address, device_token } = request.into_inner();
    let email = email(&address).map_err(|one| Error::Invalid(vec![one]))?;
    api.password_resets.request(&email, &device_token, &client).await?;
    Ok(Response::new(RequestPasswordResetResponse {}))
}

pub(super) async fn reset(
    api: &AuthApi,
    request: Request<ResetPasswordRequest>,
) -> Result<Response<ResetPasswordResponse>, Status> {
    let client = Client::of_request(&request).into();
    let ResetPasswordRequest { email: address, otp, new_password } = request.into_inner();
    let mut violations = Vec::new();
    let email = keep(email(&address), &mut violations);
    let otp = keep(Otp::parse(&otp), &mut violations);
    let policy = &api.password_policy;
    let new_password =
        keep(policy.parse("new_password", &new_password, &[&address]), &mut violations);
    let (Some(email), Some(otp), Some(new_password)) = (email, otp, new_password) else {
        return Err(Error::Invalid(violations).into());
    };
    api.password_resets.reset(&email, &otp, new_password, &client).await?;
    Ok(Response::new(ResetPasswordResponse {}))
}

fn email(text: &str) -> Result<Email, Violation> {
    if text.is_empty() { Err(Violation::required("email")) } else { Email::parse(text) }
}
