//! `/auth/...`: accounts and signing in, as document 000 has them.

use axum::Json;
use http::StatusCode;
use proto::auth::v1::{LoginRequest, RegisterRequest};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    Gateway,
    fields::Fields,
    openapi::{
        ACCOUNTS,
        bodies::{LoginByEmail, Register},
        refusals::{Conflict, Locked, Unauthorized},
    },
    problem::{Problem, Wording},
    resources::User,
    upstream::{Call, given},
};

pub(super) fn routes() -> OpenApiRouter<Gateway> {
    OpenApiRouter::new().routes(routes!(register_user)).routes(routes!(login))
}

const REGISTER: Wording =
    Wording { missing: Some("Missing username, email, or password"), texts: &[], members: &[] };

const LOGIN: Wording = Wording {
    missing: Some("Missing email or password"),
    texts: &[("INVALID_CREDENTIALS", "Invalid email or password")],
    members: &[("identifier", "email")],
};

#[derive(Serialize, ToSchema)]
struct Registered {
    #[schema(example = "User registered successfully")]
    message: &'static str,
    user: User,
}

/// Makes an account.
#[utoipa::path(
    post,
    path = "/auth/register_user",
    tag = ACCOUNTS,
    request_body = Register,
    responses((status = 201, description = "The account is made.", body = Registered), Conflict)
)]
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

#[derive(Serialize, ToSchema)]
struct LoggedIn {
    #[schema(example = "Login successful")]
    message: &'static str,
    /// A JWT (RFC 9068), sent as `Authorization: Bearer ...`.
    #[schema(example = "eyJ0eXAiOiJhdCtqd3QiLCJhbGciOiJFZERTQSJ9.e30.c2lnbmF0dXJl")]
    access_token: String,
    /// Opaque; good for one refresh.
    refresh_token: String,
    #[schema(example = "Bearer")]
    token_type: String,
    /// The lifetime of the access token in seconds.
    #[schema(example = 900)]
    expires_in: i64,
    user: User,
}

/// Signs in with the e-mail address.
#[utoipa::path(
    post,
    path = "/auth/login",
    tag = ACCOUNTS,
    request_body = LoginByEmail,
    responses(
        (status = 200, description = "The tokens of a new session.", body = LoggedIn),
        Unauthorized,
        Locked,
    )
)]
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
