//! Signing in, which three families of routes have in common.

use std::mem;

use axum::Json;
use http::HeaderMap;
use proto::auth::v1::{LoginRequest, Tokens, User};

use crate::{
    cookies::Cookies,
    fields::{Fields, Members},
    problem::{Problem, Wording},
    upstream::{Call, given},
};

/// Someone who has signed in.
pub(crate) struct SignedIn {
    pub(crate) tokens: Tokens,
    pub(crate) user: User,
    pub(crate) logout_token: String,
    /// The device's cookie.
    pub(crate) headers: HeaderMap,
}

impl SignedIn {
    /// The answer of a family.
    pub(crate) fn answer<T: From<Self>>(mut self) -> (HeaderMap, Json<T>) {
        (mem::take(&mut self.headers), Json(self.into()))
    }
}

/// Signs in with what `identifier` makes of the members, and `password`. `identifier` also tells
/// the name of the member that it took.
///
/// # Errors
/// Bad input, and what auth-service refuses, in the words of the route.
pub(crate) async fn sign_in(
    call: &Call,
    cookies: &Cookies,
    body: Fields,
    wording: &Wording,
    identifier: fn(&mut Members) -> (String, Naming),
) -> Result<SignedIn, Problem> {
    let (request, members) = body.read(wording, |body| {
        let (identifier, members) = identifier(body);
        let password = body.required("password");
        (LoginRequest { identifier, password, device_token: cookies.device.clone() }, members)
    })?;
    let wording = Wording { members, ..*wording };
    let answer = call.answer(call.auth().login(call.request(request)), &wording).await?;
    let headers = cookies.keep_device(&answer.device_token)?;
    Ok(SignedIn {
        tokens: given(answer.tokens)?,
        user: given(answer.user)?,
        logout_token: answer.logout_token,
        headers,
    })
}

/// What the RPC's field `identifier` is called in a request.
pub(crate) type Naming = &'static [(&'static str, &'static str)];

const BY_EMAIL: Naming = &[("identifier", "email")];
const BY_USERNAME: Naming = &[("identifier", "username")];

/// The address alone.
pub(crate) fn by_email(body: &mut Members) -> (String, Naming) {
    (body.required("email"), BY_EMAIL)
}

/// The address where there is one, else the username.
pub(crate) fn by_email_or_username(body: &mut Members) -> (String, Naming) {
    let email = body.text("email");
    if email.is_empty() {
        return (body.required("username"), BY_USERNAME);
    }
    // Not used, but no less wrong where it is no string.
    body.text("username");
    (email, BY_EMAIL)
}
