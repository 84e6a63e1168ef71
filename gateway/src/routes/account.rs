//! One's own account: `/account` and `/auth/change_password`.

use axum::{
    Json, Router,
    routing::{delete, post},
};
use http::{HeaderMap, StatusCode};
use proto::auth::v1::{ChangePasswordRequest, DeleteUserRequest};

use crate::{
    Gateway,
    answers::Message,
    cookies::Cookies,
    fields::Fields,
    problem::{Problem, Wording},
    upstream::Call,
};

pub(super) fn routes() -> Router<Gateway> {
    Router::new()
        .route("/account", delete(delete_account))
        .route("/auth/change_password", post(change_password))
}

/// Without the password the RPC would have to be told the account: what it then misses is the
/// password here.
const DELETE: Wording = Wording {
    members: &[("user_id", "password"), ("current_password", "password")],
    ..Wording::PLAIN
};

async fn delete_account(call: Call, body: Fields) -> Result<StatusCode, Problem> {
    let request = body.read(&DELETE, |body| DeleteUserRequest {
        current_password: body.expected("password"),
        ..DeleteUserRequest::default()
    })?;
    call.answer(call.users().delete_user(call.request(request)), &DELETE).await?;
    Ok(StatusCode::NO_CONTENT)
}

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
