//! `/registrations`: one's own places in training.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, StatusCode, header::LINK};
use proto::training::v1::{CreateRegistrationRequest, ListRegistrationsRequest};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    Gateway,
    fields::{Fields, Members},
    openapi::{
        REGISTRATIONS,
        bodies::CreateRegistration,
        refusals::{Conflict, NotFound},
    },
    paging::{Paging, link_to_next},
    problem::{Problem, Wording},
    resources::Registration,
    upstream::{Call, given},
};

/// Where a client asks for no page, it gets all: up to this many pages of this size.
const PAGES_MAX: usize = 10;
const PAGE_SIZE: i32 = 1000;

pub(super) fn routes() -> OpenApiRouter<Gateway> {
    OpenApiRouter::new().routes(routes!(list, create))
}

const CREATE: Wording = Wording {
    missing: Some("Missing sport or training_level"),
    texts: &[],
    members: &[("request_id", "Idempotency-Key")],
};

#[derive(Serialize, ToSchema)]
#[schema(as = NewRegistration)]
struct Created {
    #[schema(example = "Registration successful")]
    message: &'static str,
    registration: Registration,
}

/// Registers for training: in a program, or outside of any.
#[utoipa::path(
    post,
    path = "/registrations",
    tag = REGISTRATIONS,
    security(("bearer" = [])),
    params(
        (
            "Idempotency-Key" = Option<String>, Header, max_length = 64, pattern = "^[ -~]*$",
            description = "Makes the request repeatable: the same key within 24 hours gives the \
                           same registration.",
        ),
    ),
    request_body = CreateRegistration,
    responses((status = 201, description = "The registration.", body = Created), NotFound, Conflict)
)]
async fn create(
    call: Call,
    headers: HeaderMap,
    body: Fields,
) -> Result<(StatusCode, Json<Created>), Problem> {
    let request = body.read(&CREATE, |body| {
        let program_id = body.integer("program_id");
        // With a program they are taken from it.
        let text = if program_id == 0 { Members::expected } else { Members::text };
        CreateRegistrationRequest {
            sport: text(body, "sport"),
            training_level: text(body, "training_level"),
            program_id,
            request_id: idempotency_key(&headers),
        }
    })?;
    let mut training = call.registrations();
    let rpc = training.create_registration(call.request(request));
    let answer = call.answer(rpc, &CREATE).await?;
    let registration = given(answer.registration)?.into();
    Ok((StatusCode::CREATED, Json(Created { message: "Registration successful", registration })))
}

/// Whatever was sent: the service says what a good one looks like.
fn idempotency_key(headers: &HeaderMap) -> String {
    let key = headers.get("idempotency-key").map_or(&b""[..], HeaderValue::as_bytes);
    String::from_utf8_lossy(key).into_owned()
}

/// One's own registrations, oldest first: all of them, or a page.
#[utoipa::path(
    get,
    path = "/registrations",
    tag = REGISTRATIONS,
    security(("bearer" = [])),
    params(Paging),
    responses((
        status = 200,
        description = "The registrations.",
        body = [Registration],
        headers(("Link" = Option<String>, description = "The next page (`rel=next`, RFC 8288)."))
    ))
)]
async fn list(call: Call, paging: Paging) -> Result<Response, Problem> {
    let (pages_max, page_size, mut page_token) = if paging == Paging::default() {
        (PAGES_MAX, Some(PAGE_SIZE), String::new())
    } else {
        (1, paging.page_size, paging.page_token)
    };
    let mut training = call.registrations();
    let mut registrations: Vec<Registration> = Vec::new();
    for _ in 0..pages_max {
        // 0 is the service's default, and the caller's own.
        let page_size = page_size.unwrap_or(0);
        let request = ListRegistrationsRequest { page_size, page_token, user_id: 0 };
        let rpc = training.list_registrations(call.request(request));
        let page = call.answer(rpc, &Wording::default()).await?;
        registrations.extend(page.registrations.into_iter().map(Registration::from));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(Json(registrations).into_response());
        }
    }
    let link = link_to_next("/registrations", page_size, &page_token);
    Ok(([(LINK, link)], Json(registrations)).into_response())
}
