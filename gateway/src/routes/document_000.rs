//! `/auth/...`: accounts and signing in, as document 000 has them.

use axum::Json;
use http::{
    HeaderMap, StatusCode,
    header::{AUTHORIZATION, SET_COOKIE},
};
use proto::auth::v1::{LogoutRequest, RegisterRequest};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    Gateway,
    answers::{AccountMessage, LoggedIn, Message},
    cookies::{Cookies, SESSION_PATH},
    fields::{Fields, NoMembers},
    idempotency::{self, IdempotencyKey},
    openapi::{
        ACCOUNTS,
        bodies::{LoginByEmail, Nothing, Register},
        cookies::Device,
        refusals::{Conflict, Forbidden, Locked, Unauthorized},
    },
    problem::{Problem, Reason, Wording},
    signing_in::{by_email, sign_in},
    upstream::{Call, given},
};

pub(super) fn routes() -> OpenApiRouter<Gateway> {
    OpenApiRouter::new()
        .routes(routes!(register_user))
        .routes(routes!(login))
        .routes(routes!(logout))
}

const REGISTER: Wording = Wording {
    missing: Some("Missing username, email, or password"),
    members: &[("request_id", idempotency::NAME)],
    ..Wording::PLAIN
};

const LOGIN: Wording = Wording {
    missing: Some("Missing email or password"),
    reasons: &[Reason::says("INVALID_CREDENTIALS", "Invalid email or password")],
    ..Wording::PLAIN
};

/// Makes an account.
#[utoipa::path(
    post,
    path = "/auth/register_user",
    tag = ACCOUNTS,
    params(IdempotencyKey),
    request_body = Register,
    responses(
        (status = 201, description = "The account is made.", body = AccountMessage),
        Conflict,
        Locked,
    )
)]
async fn register_user(
    call: Call,
    IdempotencyKey(request_id): IdempotencyKey,
    body: Fields,
) -> Result<(StatusCode, Json<AccountMessage>), Problem> {
    let request = body.read(&REGISTER, |body| RegisterRequest {
        username: body.required("username"),
        email: body.required("email"),
        password: body.required("password"),
        request_id,
        ..RegisterRequest::default()
    })?;
    let answer = call.answer(call.auth().register(call.request(request)), &REGISTER).await?;
    let (message, user) = ("User registered successfully", given(answer.user)?.into());
    Ok((StatusCode::CREATED, Json(AccountMessage { message, user })))
}

/// Signs in with the e-mail address.
#[utoipa::path(
    post,
    path = "/auth/login",
    tag = ACCOUNTS,
    params(Device),
    request_body = LoginByEmail,
    responses(
        (
            status = 200,
            description = "The tokens of a new session.",
            body = LoggedIn,
            headers(
                (
                    "Set-Cookie" = String,
                    description = "The session, good for signing out alone, and the device."
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
    let mut signed_in = sign_in(&call, &cookies, body, &LOGIN, by_email).await?;
    if !signed_in.logout_token.is_empty() {
        signed_in.headers.append(SET_COOKIE, cookies.session(&signed_in.logout_token)?);
    }
    let (tokens, user) = (signed_in.tokens.into(), signed_in.user.into());
    Ok((signed_in.headers, Json(LoggedIn { message: "Login successful", tokens, user })))
}

/// Ends the session of the bearer token; that of the cookie where there is no such token, or it is
/// refused, as one that has expired.
#[utoipa::path(
    post,
    path = SESSION_PATH,
    tag = ACCOUNTS,
    security(("bearer" = []), ("session" = [])),
    request_body = Nothing,
    responses(
        (
            status = 200,
            description = "The session is ended.",
            body = Message,
            headers(("Set-Cookie" = String, description = "Takes the session's cookie back.")),
        ),
    )
)]
async fn logout(
    call: Call,
    mut cookies: Cookies,
    headers: HeaderMap,
    _: NoMembers,
) -> Result<(HeaderMap, Json<Message>), Problem> {
    let end = async |logout_token| {
        let request = LogoutRequest { logout_token, ..LogoutRequest::default() };
        call.answer(call.auth().logout(call.request(request)), &Wording::PLAIN).await
    };
    match cookies.session.take() {
        Some(cookie) if !headers.contains_key(AUTHORIZATION) => end(cookie).await,
        Some(cookie) => match end(String::new()).await {
            Err(problem) if problem.refuses_a_token() => end(cookie).await,
            ended => ended,
        },
        None => end(String::new()).await,
    }?;
    let headers = HeaderMap::from_iter([(SET_COOKIE, cookies.no_session()?)]);
    Ok((headers, Json(Message { message: "Logout successful" })))
}
