//! One's own account: `/account` and `/auth/change_password`.

use axum::Json;
use http::{HeaderMap, StatusCode};
use proto::auth::v1::{ChangePasswordRequest, DeleteUserRequest};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    Gateway,
    answers::Message,
    cookies::Cookies,
    fields::Fields,
    openapi::{
        ACCOUNTS,
        bodies::{ChangePassword, DeleteAccount},
        refusals::{Conflict, Forbidden, Locked},
    },
    problem::{Problem, Wording},
    upstream::Call,
};

pub(super) fn routes() -> OpenApiRouter<Gateway> {
    OpenApiRouter::new().routes(routes!(delete_account)).routes(routes!(change_password))
}

/// Without the password the RPC would have to be told the account: what it then misses is the
/// password here.
const DELETE: Wording = Wording {
    members: &[("user_id", "password"), ("current_password", "password")],
    ..Wording::PLAIN
};

/// Deletes one's own account.
#[utoipa::path(
    delete,
    path = "/account",
    tag = ACCOUNTS,
    security(("bearer" = [])),
    request_body = DeleteAccount,
    responses((status = 204, description = "It is deleted."), Forbidden, Conflict, Locked)
)]
async fn delete_account(call: Call, body: Fields) -> Result<StatusCode, Problem> {
    let request = body.read(&DELETE, |body| DeleteUserRequest {
        current_password: body.expected("password"),
        ..DeleteUserRequest::default()
    })?;
    call.answer(call.users().delete_user(call.request(request)), &DELETE).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Replaces one's own password.
#[utoipa::path(
    post,
    path = "/auth/change_password",
    tag = ACCOUNTS,
    security(("bearer" = [])),
    request_body = ChangePassword,
    responses(
        (
            status = 200,
            description = "The password is replaced.",
            body = Message,
            headers(
                (
                    "Set-Cookie" = String,
                    description = "The device, by which it is told from strangers."
                ),
            ),
        ),
        Forbidden,
        Locked,
    )
)]
async fn change_password(
    call: Call,
    cookies: Cookies,
    body: Fields,
) -> Result<(HeaderMap, Json<Message>), Problem> {
    let request = body.read(&Wording::PLAIN, |body| ChangePasswordRequest {
        current_password: body.expected("current_password"),
        new_password: body.expected("new_password"),
    })?;
    let request = call.request(request);
    let answer = call.answer(call.auth().change_password(request), &Wording::PLAIN).await?;
    let headers = cookies.keep_device(&answer.device_token)?;
    Ok((headers, Json(Message { message: "Password updated successfully" })))
}
