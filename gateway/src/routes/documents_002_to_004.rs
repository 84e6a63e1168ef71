//! `/register`, `/login`, ...: the routes that documents 002, 003 and 004 share.

use axum::Json;
use http::{HeaderMap, HeaderValue, StatusCode, header::AUTHORIZATION};
use prost_types::FieldMask;
use proto::auth::v1::{
    self as auth, LogoutRequest, RequestPasswordResetRequest, ResetPasswordRequest,
    UpdateUserRequest,
};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    Gateway,
    answers::Message,
    cookies::Cookies,
    faults::worded,
    fields::{Fields, NoMembers},
    idempotency::IdempotencyKey,
    openapi::{
        ACCOUNTS,
        bodies::{
            LoginByEither, Nothing, RegisterByEither, ResetPassword, UpdatePassword, UpdateProfile,
        },
        cookies::Device,
        refusals::{Forbidden, Locked, Unauthorized},
    },
    problem::{Problem, Reason, Wording},
    registering::{self, by_either},
    resources::User,
    signing_in::{SignedIn, by_email_or_username, sign_in},
    upstream::Call,
};

pub(super) fn routes() -> OpenApiRouter<Gateway> {
    let register = OpenApiRouter::new().routes(routes!(register));
    OpenApiRouter::new()
        .merge(worded(register, "Registration failed"))
        .routes(routes!(login))
        .routes(routes!(reset_password))
        .routes(routes!(update_password))
        .routes(routes!(update_profile))
        .routes(routes!(logout))
}

const WORDING: Wording = Wording {
    missing: Some("Missing parameters"),
    malformed: &[("email", "Invalid email format")],
    reasons: &[Reason::says("INVALID_CREDENTIALS", "Invalid credentials")
        .error("Invalid username or password")],
    members: &[("update_mask", "name")],
};

const USER_EXISTS: &str = "User already exists";

const REGISTER: Wording = Wording {
    reasons: &[
        Reason::says("USERNAME_TAKEN", "Username already exists")
            .status(StatusCode::BAD_REQUEST)
            .error(USER_EXISTS),
        Reason::says("EMAIL_TAKEN", USER_EXISTS).status(StatusCode::BAD_REQUEST),
    ],
    ..WORDING
};

/// That an account was made, and which.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RegisteredWithId)]
struct Registered {
    #[schema(example = "User registered successfully")]
    message: &'static str,
    #[schema(minimum = 1, example = 1)]
    user_id: i64,
    user: User,
}

/// Makes an account.
#[utoipa::path(
    post,
    path = "/register",
    tag = ACCOUNTS,
    params(IdempotencyKey),
    request_body = RegisterByEither,
    responses((status = 201, description = "The account is made.", body = Registered), Locked)
)]
async fn register(
    call: Call,
    key: IdempotencyKey,
    body: Fields,
) -> Result<(StatusCode, Json<Registered>), Problem> {
    let user = registering::register(&call, key, body, &REGISTER, by_either).await?;
    let (message, user_id) = ("User registered successfully", user.id);
    Ok((StatusCode::CREATED, Json(Registered { message, user_id, user: user.into() })))
}

/// The tokens of a new session, under the names of each document, and whose it is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LoggedInByAllNames)]
struct LoggedIn {
    #[schema(example = "Login successful")]
    message: &'static str,
    #[schema(minimum = 1, example = 1)]
    user_id: i64,
    /// The same as `access_token`.
    #[schema(example = "eyJ0eXAiOiJhdCtqd3QiLCJhbGciOiJFZERTQSJ9.e30.c2lnbmF0dXJl")]
    token: String,
    /// A JWT (RFC 9068), sent as `Authorization: Bearer ...`.
    #[schema(example = "eyJ0eXAiOiJhdCtqd3QiLCJhbGciOiJFZERTQSJ9.e30.c2lnbmF0dXJl")]
    access_token: String,
    /// The same as `refresh_token`.
    #[schema(example = "sPTRmVn0WGIuLuUbtkJ4lBqk3vQOJrsLOhj8ahbDEZI")]
    refresh: String,
    /// Opaque; good for one refresh.
    #[schema(example = "sPTRmVn0WGIuLuUbtkJ4lBqk3vQOJrsLOhj8ahbDEZI")]
    refresh_token: String,
    /// Always `Bearer`.
    #[schema(example = "Bearer")]
    token_type: String,
    /// The lifetime of the access token in seconds.
    #[schema(example = 900)]
    expires_in: i64,
    /// The handle, or else the name.
    #[schema(example = "newuser")]
    username: String,
    #[schema(required, example = "user@example.com")]
    email: Option<String>,
}

impl From<SignedIn> for LoggedIn {
    fn from(SignedIn { tokens, user, .. }: SignedIn) -> Self {
        Self {
            message: "Login successful",
            user_id: user.id,
            token: tokens.access_token.clone(),
            access_token: tokens.access_token,
            refresh: tokens.refresh_token.clone(),
            refresh_token: tokens.refresh_token,
            token_type: tokens.token_type,
            expires_in: tokens.expires_in_seconds,
            username: if user.username.is_empty() { user.name } else { user.username },
            email: Some(user.email).filter(|email| !email.is_empty()),
        }
    }
}

/// Signs in with the e-mail address or the username.
#[utoipa::path(
    post,
    path = "/login",
    tag = ACCOUNTS,
    params(Device),
    request_body = LoginByEither,
    responses(
        (
            status = 200,
            description = "The tokens of a new session.",
            body = LoggedIn,
            headers(
                ("Authorization" = String, description = "`Bearer` and the access token."),
                (
                    "Set-Cookie" = String,
                    description = "The device, by which it is told from strangers."
                ),
            ),
        ),
        Unauthorized,
        Forbidden,
        Locked,
    )
)]
async fn login(
    call: Call,
    cookies: Cookies,
    body: Fields,
) -> Result<(HeaderMap, Json<LoggedIn>), Problem> {
    let mut signed_in = sign_in(&call, &cookies, body, &WORDING, by_email_or_username).await?;
    let authorization = format!("Bearer {}", signed_in.tokens.access_token);
    let authorization = HeaderValue::try_from(authorization).map_err(|error| {
        tracing::error!(%error, "a service gave an access token that is no header's value");
        Problem::internal()
    })?;
    signed_in.headers.insert(AUTHORIZATION, authorization);
    Ok(signed_in.answer())
}

/// Mails a code to replace a forgotten password, if the address is that of an account.
#[utoipa::path(
    post,
    path = "/reset-password",
    tag = ACCOUNTS,
    params(Device),
    request_body = ResetPassword,
    responses(
        (status = 200, description = "Whether or not there is such an account.", body = Message),
    )
)]
async fn reset_password(
    call: Call,
    cookies: Cookies,
    body: Fields,
) -> Result<Json<Message>, Problem> {
    let request = body.read(&WORDING, |body| RequestPasswordResetRequest {
        email: body.expected("email"),
        device_token: cookies.device,
    })?;
    let request = call.request(request);
    call.answer(call.auth().request_password_reset(request), &WORDING).await?;
    Ok(Json(Message { message: "OTP sent successfully" }))
}

/// Replaces a forgotten password by a code that was mailed.
#[utoipa::path(
    post,
    path = "/update-password",
    tag = ACCOUNTS,
    request_body = UpdatePassword,
    responses(
        (
            status = 200,
            description = "The password is replaced, and all sessions are ended.",
            body = Message,
            headers(
                (
                    "Set-Cookie" = String,
                    description = "The device, by which it is told from strangers."
                ),
            ),
        ),
    )
)]
async fn update_password(
    call: Call,
    cookies: Cookies,
    body: Fields,
) -> Result<(HeaderMap, Json<Message>), Problem> {
    let request = body.read(&WORDING, |body| ResetPasswordRequest {
        email: body.expected("email"),
        otp: body.digits("otp"),
        new_password: body.expected("new_password"),
    })?;
    let request = call.request(request);
    let answer = call.answer(call.auth().reset_password(request), &WORDING).await?;
    let headers = cookies.keep_device(&answer.device_token)?;
    Ok((headers, Json(Message { message: "Password updated successfully" })))
}

/// Changes one's own name.
#[utoipa::path(
    put,
    path = "/update-profile",
    tag = ACCOUNTS,
    security(("bearer" = [])),
    request_body = UpdateProfile,
    responses((status = 200, description = "The name is changed.", body = Message))
)]
async fn update_profile(call: Call, body: Fields) -> Result<Json<Message>, Problem> {
    let name = body.read(&WORDING, |body| body.change("name"))?;
    // Without a name there is nothing to change, which the service says once it knows who asks.
    let paths = name.iter().map(|_| "name".to_owned()).collect();
    let user = auth::User { name: name.unwrap_or_default(), ..auth::User::default() };
    let request = UpdateUserRequest {
        user: Some(user),
        update_mask: Some(FieldMask { paths }),
        ..UpdateUserRequest::default()
    };
    call.answer(call.users().update_user(call.request(request)), &WORDING).await?;
    Ok(Json(Message { message: "Profile updated successfully" }))
}

/// Ends the session of the token.
#[utoipa::path(
    post,
    path = "/logout",
    tag = ACCOUNTS,
    security(("bearer" = [])),
    request_body = Nothing,
    responses((status = 200, description = "The session is ended.", body = Message))
)]
async fn logout(call: Call, _: NoMembers) -> Result<Json<Message>, Problem> {
    let request = call.request(LogoutRequest::default());
    call.answer(call.auth().logout(request), &WORDING).await?;
    Ok(Json(Message { message: "Logout successful" }))
}
