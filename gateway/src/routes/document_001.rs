//! `/api/...`: accounts, signing in and managing accounts, as document 001 has them.

use axum::{Json, response::Response};
use http::{HeaderMap, StatusCode};
use prost_types::FieldMask;
use proto::auth::v1::{
    self as auth, DeleteUserRequest, GetUserRequest, ListUsersRequest, LogoutRequest,
    RefreshTokenRequest, Role, UpdateUserRequest,
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    Gateway,
    answers::{AccountMessage, LoggedIn, Message, Tokens},
    bearer::Bearer,
    cookies::Cookies,
    fields::{Fields, Members, NoMembers},
    idempotency::IdempotencyKey,
    ids::Id,
    openapi::{
        ACCOUNTS, USERS as USERS_TAG,
        bodies::{LoginByEither, Nothing, Refresh, RegisterByEither, UpdateUser},
        cookies::Device,
        refusals::{Conflict, Forbidden, Locked, Unauthorized},
    },
    paging::Paging,
    problem::{Problem, Reason, Wording},
    query::{FromQuery, Parameters, Query},
    registering::{self, by_either},
    resources::User,
    signing_in::{by_email_or_username, sign_in},
    upstream::{Call, given},
};

pub(super) fn routes() -> OpenApiRouter<Gateway> {
    OpenApiRouter::new()
        .routes(routes!(register))
        .routes(routes!(login))
        .routes(routes!(logout))
        .routes(routes!(refresh))
        .routes(routes!(list_users))
        .routes(routes!(get_user, update_user, delete_user))
}

/// Makes an account.
#[utoipa::path(
    post,
    path = "/api/auth/register",
    tag = ACCOUNTS,
    params(IdempotencyKey),
    request_body = RegisterByEither,
    responses(
        (status = 201, description = "The account is made.", body = AccountMessage),
        Conflict,
        Locked,
    )
)]
async fn register(
    call: Call,
    key: IdempotencyKey,
    body: Fields,
) -> Result<(StatusCode, Json<AccountMessage>), Problem> {
    let user = registering::register(&call, key, body, &Wording::PLAIN, by_either).await?;
    Ok((StatusCode::CREATED, Json(AccountMessage::registered(user))))
}

/// Signs in with the e-mail address or the username.
#[utoipa::path(
    post,
    path = "/api/auth/login",
    tag = ACCOUNTS,
    params(Device),
    request_body = LoginByEither,
    responses(
        (
            status = 200,
            description = "The tokens of a new session.",
            body = LoggedIn,
            headers(
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
    let signed_in = sign_in(&call, &cookies, body, &Wording::PLAIN, by_email_or_username).await?;
    Ok(signed_in.answer())
}

/// Ends the session of the token, which is refused everywhere from then on.
#[utoipa::path(
    post,
    path = "/api/auth/logout",
    tag = ACCOUNTS,
    security(("bearer" = [])),
    request_body = Nothing,
    responses((status = 200, description = "The session is ended.", body = Message))
)]
async fn logout(call: Call, _: NoMembers) -> Result<Json<Message>, Problem> {
    let request = call.request(LogoutRequest::default());
    call.answer(call.auth().logout(request), &Wording::PLAIN).await?;
    Ok(Json(Message { message: "Logout successful" }))
}

/// The refresh token of the body, or that of the header.
#[utoipa::path(
    post,
    path = "/api/auth/refresh",
    tag = ACCOUNTS,
    security(("refresh" = []), ()),
    request_body = Refresh,
    responses(
        (status = 200, description = "The next tokens of the session.", body = Tokens),
        Unauthorized,
        Forbidden,
    )
)]
async fn refresh(call: Call, bearer: Bearer, body: Fields) -> Result<Json<Tokens>, Problem> {
    let refresh_token = body.read(&Wording::PLAIN, |body| body.text("refresh_token"))?;
    let refresh_token = if refresh_token.is_empty() { bearer.token()? } else { refresh_token };
    let request = call.request(RefreshTokenRequest { refresh_token });
    let answer = call.answer(call.auth().refresh_token(request), &Wording::PLAIN).await?;
    Ok(Json(given(answer.tokens)?.into()))
}

const USERS: Wording = Wording {
    reasons: &[Reason::says("ROLE_REQUIRED", "Admin access required")],
    members: &[
        ("user.username", "username"),
        ("new_password", "password"),
        ("update_mask", "body"),
        ("roles", "role"),
    ],
    ..Wording::PLAIN
};

/// Which accounts a client asks for.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct Search {
    /// Only those whose username or e-mail begins with this, without regard to case.
    #[param(required = false, max_length = 254)]
    query: String,
}

impl FromQuery for Search {
    fn read(parameters: &mut Parameters) -> Self {
        Self { query: parameters.text("query") }
    }
}

/// A page of accounts, or without `page_size` and `page_token` the first 10,000; for administrators.
#[utoipa::path(
    get,
    path = "/api/users",
    tag = USERS_TAG,
    security(("bearer" = [])),
    params(Paging, Search),
    responses(
        (
            status = 200,
            description = "The accounts.",
            body = [User],
            headers(
                ("Link" = Option<String>, description = "The next page (`rel=next`, RFC 8288)."),
            ),
        ),
        Forbidden,
    )
)]
async fn list_users(
    call: Call,
    Query((paging, Search { query })): Query<(Paging, Search)>,
) -> Result<Response, Problem> {
    let (call, query) = (&call, query.as_str());
    let fetch = |page_size, page_token| async move {
        let request = ListUsersRequest { page_size, page_token, query: query.to_owned() };
        let page = call.answer(call.users().list_users(call.request(request)), &USERS).await?;
        Ok((page.users.into_iter().map(User::from).collect(), page.next_page_token))
    };
    paging.answer("/api/users", &[("query", query)], fetch).await
}

/// One's own account, or for administrators any.
#[utoipa::path(
    get,
    path = "/api/users/{id}",
    tag = USERS_TAG,
    security(("bearer" = [])),
    params(Id),
    responses((status = 200, description = "The account.", body = User), Forbidden)
)]
async fn get_user(call: Call, Id(user_id): Id) -> Result<Json<User>, Problem> {
    let request = call.request(GetUserRequest { user_id });
    let answer = call.answer(call.users().get_user(request), &USERS).await?;
    Ok(Json(given(answer.user)?.into()))
}

const ROLES: [(&str, Role); 3] =
    [("user", Role::User), ("coach", Role::Coach), ("admin", Role::Admin)];

/// Changes one's own account, or for administrators any; `role` and `disabled` are theirs alone.
#[utoipa::path(
    put,
    path = "/api/users/{id}",
    tag = USERS_TAG,
    security(("bearer" = [])),
    params(Id),
    request_body = UpdateUser,
    responses(
        (status = 200, description = "The account as it is now.", body = AccountMessage),
        Forbidden,
        Conflict,
        Locked,
    )
)]
async fn update_user(
    call: Call,
    Id(id): Id,
    body: Fields,
) -> Result<Json<AccountMessage>, Problem> {
    let request = body.read(&USERS, |body| changes(body, id))?;
    let answer = call.answer(call.users().update_user(call.request(request)), &USERS).await?;
    let (message, user) = ("User updated successfully", given(answer.user)?.into());
    Ok(Json(AccountMessage { message, user }))
}

/// What is absent stays as it is; a name that is null goes.
fn changes(body: &mut Members, id: i64) -> UpdateUserRequest {
    let mut user = auth::User { id, ..auth::User::default() };
    let mut paths = Vec::new();
    for (name, field) in
        [("username", &mut user.username), ("email", &mut user.email), ("name", &mut user.name)]
    {
        if let Some(text) = body.change(name) {
            *field = text;
            paths.push(name.to_owned());
        }
    }
    if let Some(role) = body.word("role", &ROLES) {
        user.roles = vec![role.into()];
        paths.push("roles".to_owned());
    }
    if let Some(disabled) = body.flag("disabled") {
        user.disabled = disabled;
        paths.push("disabled".to_owned());
    }
    UpdateUserRequest {
        user: Some(user),
        update_mask: Some(FieldMask { paths }),
        current_password: body.text("current_password"),
        new_password: body.text("password"),
    }
}

/// Deletes an account; for administrators.
#[utoipa::path(
    delete,
    path = "/api/users/{id}",
    tag = USERS_TAG,
    security(("bearer" = [])),
    params(Id),
    request_body = Nothing,
    responses((status = 200, description = "It is deleted.", body = Message), Forbidden, Conflict)
)]
async fn delete_user(call: Call, Id(user_id): Id, _: NoMembers) -> Result<Json<Message>, Problem> {
    let request =
        DeleteUserRequest { user_id, as_administrator: true, ..DeleteUserRequest::default() };
    call.answer(call.users().delete_user(call.request(request)), &USERS).await?;
    Ok(Json(Message { message: "User deleted successfully" }))
}
