//! Making an account, which three families of routes have in common.

use proto::auth::v1::{RegisterRequest, User};

use crate::{
    fields::{Fields, Members},
    idempotency::{self, IdempotencyKey},
    problem::{Problem, Wording},
    upstream::{Call, given},
};

/// Makes the account that `account` reads out of the members.
///
/// # Errors
/// Bad input, and what auth-service refuses, in the words of the route.
pub(crate) async fn register(
    call: &Call,
    IdempotencyKey(request_id): IdempotencyKey,
    body: Fields,
    wording: &Wording,
    account: fn(&mut Members) -> RegisterRequest,
) -> Result<User, Problem> {
    let wording = Wording { members: &[("request_id", idempotency::NAME)], ..*wording };
    let account = body.read(&wording, account)?;
    let request = call.request(RegisterRequest { request_id, ..account });
    given(call.answer(call.auth().register(request), &wording).await?.user)
}

/// With a username and an address.
pub(crate) fn by_both(body: &mut Members) -> RegisterRequest {
    RegisterRequest {
        username: body.required("username"),
        email: body.required("email"),
        password: body.required("password"),
        ..RegisterRequest::default()
    }
}

/// With a username, an address, or both.
pub(crate) fn by_either(body: &mut Members) -> RegisterRequest {
    RegisterRequest {
        username: body.text("username"),
        email: body.text("email"),
        password: body.expected("password"),
        name: body.text("name"),
        ..RegisterRequest::default()
    }
}
