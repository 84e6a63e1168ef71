//! The OpenAPI document. What a route takes and answers stands at its handler; what follows from
//! that (which refusals, which headers) is added here, so that no annotation can forget it.

pub(crate) mod bodies;
pub(crate) mod cookies;
pub(crate) mod refusals;

use utoipa::openapi::{
    Components, Header, Info, License, OpenApi, PathItem, Paths, Ref, RefOr, Required, Schema,
    Server, Tag,
    path::Operation,
    schema::{Object, ObjectBuilder, Type},
    security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme},
};

use refusals::Refusal;

const DESCRIPTION: &str = "Accounts and training registrations of a cricket club.\n\n\
    Every error is one object of RFC 9457: `code` is for programs, `detail` for people, \
    `request_id` for whoever runs this, and for bad input `errors` has every violation at once.";

/// Families of routes, in the order in which a reader sees them.
pub(crate) const ACCOUNTS: &str = "Accounts";
pub(crate) const USERS: &str = "Users";
pub(crate) const PROGRAMS: &str = "Programs";
pub(crate) const REGISTRATIONS: &str = "Registrations";
pub(crate) const OPERATION: &str = "Operation";

/// The scheme of most routes: an access token.
const BEARER: &str = "bearer";
/// The scheme of the next tokens.
const REFRESH: &str = "refresh";
/// The scheme of signing out in a browser: the cookie of signing in.
const SESSION: &str = "session";

/// The document before any route.
pub(crate) fn empty() -> OpenApi {
    let mut info = Info::new("Pavilion", env!("CARGO_PKG_VERSION"));
    info.description = Some(DESCRIPTION.to_owned());
    info.license = Some(license());
    let tags = [
        (ACCOUNTS, "Making accounts, signing in and out"),
        (USERS, "The accounts of others, for administrators, and one's own"),
        (PROGRAMS, "Trainings that have a time, a place and seats"),
        (REGISTRATIONS, "Places in training"),
        (OPERATION, "For whoever runs this or writes a client"),
    ];
    let tags = tags.map(|(name, description)| {
        let mut tag = Tag::new(name);
        tag.description = Some(description.to_owned());
        tag
    });
    let mut document = OpenApi::new(info, Paths::new());
    // Wherever the document was loaded from.
    document.servers = Some(vec![Server::new("/")]);
    document.tags = Some(tags.into());
    document.components = Some(components());
    document
}

fn license() -> License {
    let mut license = License::new(env!("CARGO_PKG_LICENSE"));
    license.identifier = Some(env!("CARGO_PKG_LICENSE").to_owned());
    license
}

fn components() -> Components {
    let mut components = Components::new();
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .description(Some("The `access_token` of a login."));
    components.add_security_scheme(BEARER, SecurityScheme::Http(bearer.build()));
    let refresh = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("The `refresh_token` of the last login or refresh."));
    components.add_security_scheme(REFRESH, SecurityScheme::Http(refresh.build()));
    let cookie = ApiKeyValue::with_description(SESSION, "Set by a login; good for signing out.");
    components.add_security_scheme(SESSION, SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
    refusals::add_to(&mut components);
    components
}

/// Adds to the answers of all routes so far how a client stands that may make only so many requests.
pub(crate) fn describe_rate_limit(document: &mut OpenApi) {
    for item in document.paths.paths.values_mut() {
        for (_, operation) in operations(item) {
            for response in operation.responses.responses.values_mut() {
                if let RefOr::T(response) = response {
                    let headers =
                        rate_limit().map(|(name, header)| (name.to_owned(), header.into()));
                    response.headers.extend(headers);
                }
            }
        }
    }
}

/// Adds to each operation what follows from the rest of it.
pub(crate) fn complete(document: &mut OpenApi) {
    let schemas = document.components.iter().flat_map(|components| &components.schemas);
    let optional: Vec<_> = schemas
        .filter(
            |(_, schema)| matches!(schema, RefOr::T(Schema::Object(it)) if it.required.is_empty()),
        )
        .map(|(name, _)| RefOr::Ref(Ref::from_schema_name(name)))
        .collect();
    for (path, item) in &mut document.paths.paths {
        for (method, operation) in operations(item) {
            if let Some(RefOr::T(body)) = &mut operation.request_body {
                // None counts as `{}`.
                let mut schemas = body.content.values().filter_map(|content| match content {
                    RefOr::T(content) => content.schema.as_ref(),
                    RefOr::Ref(_) => None,
                });
                let may_be_absent = schemas.any(|schema| optional.contains(schema));
                body.required = Some(if may_be_absent { Required::False } else { Required::True });
            }
            operation.operation_id = Some(operation_id(method, path));
            add_refusals(path, operation);
            for response in operation.responses.responses.values_mut() {
                if let RefOr::T(response) = response {
                    response.headers.insert("X-Request-Id".to_owned(), RefOr::T(request_id()));
                }
            }
        }
    }
}

/// The names of handlers are unique in a file alone.
fn operation_id(method: &str, path: &str) -> String {
    let words = path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.fold(method.to_ascii_lowercase(), |id, word| format!("{id}_{word}"))
}

fn add_refusals(path: &str, operation: &mut Operation) {
    let takes_body = operation.request_body.is_some();
    let wants_token = operation.security.as_ref().is_some_and(|ways| !ways.is_empty());
    let follows = [
        (true, Refusal::ALWAYS),
        (takes_body, Refusal::OF_A_BODY),
        (wants_token, &[Refusal::Unauthorized]),
        (path.contains('{'), &[Refusal::NotFound]),
    ];
    for refusal in follows.into_iter().filter(|(applies, _)| *applies).flat_map(|it| it.1) {
        let answer = RefOr::Ref(Ref::from_response_name(refusal.name()));
        operation.responses.responses.entry(refusal.status().to_string()).or_insert(answer);
    }
}

/// Every operation at a path, with its method.
pub(crate) fn operations(item: &mut PathItem) -> impl Iterator<Item = (&str, &mut Operation)> {
    let PathItem { get, put, post, delete, patch, .. } = item;
    [("GET", get), ("PUT", put), ("POST", post), ("DELETE", delete), ("PATCH", patch)]
        .into_iter()
        .filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

fn request_id() -> Header {
    header("The caller's `X-Request-Id` where that was a good one, else a new one.", text())
}

/// The headers of draft-ietf-httpapi-ratelimit-headers.
fn rate_limit() -> [(&'static str, Header); 2] {
    let standing = "How many more requests this client may make (`r`), and in how many seconds it \
                    may make all again (`t`). Where REQUEST_RATE is set, but on the routes of health.";
    let policy = "How many requests a client may make (`q`) in how many seconds (`w`). Where \
                  REQUEST_RATE is set, but on the routes of health.";
    [("RateLimit", header(standing, text())), ("RateLimit-Policy", header(policy, text()))]
}

fn text() -> Object {
    ObjectBuilder::new().schema_type(Type::String).build()
}

fn header(description: &str, schema: Object) -> Header {
    let mut header = Header::new(schema);
    header.description = Some(description.to_owned());
    header
}
