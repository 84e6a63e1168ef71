//! Where one is signed in: `/sessions` and `/auth/logout_all`.

use axum::Json;
use http::StatusCode;
use proto::auth::v1::{ListSessionsRequest, LogoutAllRequest, RevokeSessionRequest};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    Gateway,
    fields::NoMembers,
    ids::Name,
    openapi::{ACCOUNTS, bodies::Nothing},
    problem::{Problem, Wording},
    resources::Session,
    upstream::Call,
};

pub(super) fn routes() -> OpenApiRouter<Gateway> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(revoke)).routes(routes!(logout_all))
}

/// Where one is signed in.
#[utoipa::path(
    get,
    path = "/sessions",
    tag = ACCOUNTS,
    security(("bearer" = [])),
    responses((status = 200, description = "The sessions.", body = [Session]))
)]
async fn list(call: Call) -> Result<Json<Vec<Session>>, Problem> {
    let request = call.request(ListSessionsRequest::default());
    let answer = call.answer(call.users().list_sessions(request), &Wording::PLAIN).await?;
    Ok(Json(answer.sessions.into_iter().map(Session::from).collect()))
}

/// Ends one of one's own sessions.
#[utoipa::path(
    delete,
    path = "/sessions/{id}",
    tag = ACCOUNTS,
    security(("bearer" = [])),
    params(("id" = String, Path, description = "A `session_id`.")),
    request_body = Nothing,
    responses((status = 204, description = "It is ended."))
)]
async fn revoke(call: Call, Name(session_id): Name, _: NoMembers) -> Result<StatusCode, Problem> {
    let request = call.request(RevokeSessionRequest { session_id });
    call.answer(call.users().revoke_session(request), &Wording::PLAIN).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// That it was done, and how many sessions there were.
#[derive(Debug, Serialize, ToSchema)]
struct LoggedOutEverywhere {
    #[schema(example = "Logout successful")]
    message: &'static str,
    /// The one of the request is among them.
    #[schema(minimum = 0, example = 2)]
    sessions_ended: i64,
}

/// Ends all of one's own sessions.
#[utoipa::path(
    post,
    path = "/auth/logout_all",
    tag = ACCOUNTS,
    security(("bearer" = [])),
    request_body = Nothing,
    responses((status = 200, description = "They are ended.", body = LoggedOutEverywhere))
)]
async fn logout_all(call: Call, _: NoMembers) -> Result<Json<LoggedOutEverywhere>, Problem> {
    let request = call.request(LogoutAllRequest {});
    let answer = call.answer(call.auth().logout_all(request), &Wording::PLAIN).await?;
    let (message, sessions_ended) = ("Logout successful", answer.sessions_ended);
    Ok(Json(LoggedOutEverywhere { message, sessions_ended }))
}
