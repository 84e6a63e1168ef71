//! Where one is signed in: `/sessions` and `/auth/logout_all`.

use axum::{
    Json, Router,
    extract::Path,
    routing::{delete, get, post},
};
use http::StatusCode;
use proto::auth::v1::{ListSessionsRequest, LogoutAllRequest, RevokeSessionRequest};
use serde::Serialize;

use crate::{
    Gateway,
    problem::{Problem, Wording},
    resources::Session,
    upstream::Call,
};

pub(super) fn routes() -> Router<Gateway> {
    Router::new()
        .route("/sessions", get(list))
        .route("/sessions/{id}", delete(revoke))
        .route("/auth/logout_all", post(logout_all))
}

async fn list(call: Call) -> Result<Json<Vec<Session>>, Problem> {
    let request = call.request(ListSessionsRequest::default());
    let answer = call.answer(call.users().list_sessions(request), &Wording::PLAIN).await?;
    Ok(Json(answer.sessions.into_iter().map(Session::from).collect()))
}

async fn revoke(call: Call, Path(session_id): Path<String>) -> Result<StatusCode, Problem> {
    let request = call.request(RevokeSessionRequest { session_id });
    call.answer(call.users().revoke_session(request), &Wording::PLAIN).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// That it was done, and how many sessions there were.
#[derive(Debug, Serialize)]
struct LoggedOutEverywhere {
    message: &'static str,
    sessions_ended: i64,
}

async fn logout_all(call: Call) -> Result<Json<LoggedOutEverywhere>, Problem> {
    let request = call.request(LogoutAllRequest {});
    let answer = call.answer(call.auth().logout_all(request), &Wording::PLAIN).await?;
    let (message, sessions_ended) = ("Logout successful", answer.sessions_ended);
    Ok(Json(LoggedOutEverywhere { message, sessions_ended }))
}
