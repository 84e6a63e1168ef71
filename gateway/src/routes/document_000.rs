//! `/auth/...`: accounts and signing in, as document 000 has them.

use axum::{Json, Router, routing::post};
use http::StatusCode;
use proto::auth::v1::{LoginRequest, RegisterRequest};
use serde::Serialize;

use crate::{
    Gateway,
    fields::Fields,
    problem::{Problem, Wording},
    resources::User,
    upstream::{Call, given},
};

pub(super) fn routes() -> Router<Gateway> {
    Router::new()
        .route("/auth/register_user", post(register_user))
        .route("/auth/login", post(login))
}

const REGISTER: Wording =
    Wording { missing: Some("Missing username, email, or password"), texts: &[], members: &[] };

const LOGIN: Wording = Wording {
    missing: Some("Missing email or password"),
    texts: &[("INVALID_CREDENTIALS", "Invalid email or password")],
    members: &[("identifier", "email")],
};

#[derive(Serialize)]
struct Registered {
    message: &'static str,
    user: User,
}

async fn register_user(
    call: Call,
    body: Fields,
) -> Result<(StatusCode, Json<Registered>), Problem> {
    let request = body.read(&REGISTER, |body| RegisterRequest {
        username: body.required("username"),
        email: body.required("email"),
        password: body.required("password"),
        name: String::new(),
    })?;
    let answer = call.answer(call.auth().register(call.request(request)), &REGISTER).await?;
    let user = given(answer.user)?.into();
    Ok((StatusCode::CREATED, Json(Registered { message: "User registered successfully", user })))
}

#[derive(Serialize)]
struct LoggedIn {
    message: &'static str,
    access_token: String,
    refresh_token: String,
    token_type: String,
    /// In seconds.
    expires_in: i64,
    user: User,
}

async fn login(call: Call, body: Fields) -> Result<Json<LoggedIn>, Problem> {
    let request = body.read(&LOGIN, |body| LoginRequest {
        identifier: body.required("email"),
        password: body.required("password"),
        ..LoginRequest::default()
    })?;
    let answer = call.answer(call.auth().login(call.request(request)), &LOGIN).await?;
    let tokens = given(answer.tokens)?;
    Ok(Json(LoggedIn {
        message: "Login successful",
        access_token: tokens.access_token,
        refresh_token: tokens.refresh_token,
        token_type: tokens.token_type,
        expires_in: tokens.expires_in_seconds,
        user: given(answer.user)?.into(),
    }))
}
