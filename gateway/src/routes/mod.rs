//! The routes, one file for each family.

mod account;
mod calendars;
mod docs;
mod document_000;
mod document_001;
mod documents_002_to_004;
mod health;
mod keys;
mod participants;
mod programs;
mod registrations;
mod sessions;

use axum::{Router, middleware::from_fn_with_state};
use http::StatusCode;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use crate::{Gateway, edge, openapi, rate};

/// Every route, with the edge around them.
pub(crate) fn router(gateway: &Gateway) -> Router {
    let routes = limited()
        // Spelled out, or the layers would leave unknown paths alone.
        .fallback(async || StatusCode::NOT_FOUND)
        .layer(from_fn_with_state(gateway.clone(), edge::admit))
        .layer(from_fn_with_state(gateway.clone(), rate::limit))
        .merge(health::routes());
    let (routes, _) = routes.split_for_parts();
    edge::around(routes, gateway)
}

/// The description of every route.
pub(crate) fn document() -> OpenApi {
    let routes = OpenApiRouter::with_openapi(openapi::empty()).merge(limited());
    let mut document = routes.into_openapi();
    openapi::describe_rate_limit(&mut document);
    document.merge(health::routes().into_openapi());
    openapi::complete(&mut document);
    document
}

/// The routes that are refused where too much is in flight.
fn limited() -> OpenApiRouter<Gateway> {
    OpenApiRouter::new()
        .merge(document_000::routes())
        .merge(document_001::routes())
        .merge(documents_002_to_004::routes())
        .merge(account::routes())
        .merge(sessions::routes())
        .merge(programs::routes())
        .merge(participants::routes())
        .merge(registrations::routes())
        .merge(calendars::routes())
        .merge(keys::routes())
        .merge(docs::routes())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use axum::{
        body::{Body, to_bytes},
        extract::Request,
    };
    use serde_json::{Value, json};
    use service_kit::channel::RpcChannel;
    use tower::ServiceExt;

    use super::*;
    use crate::{Config, fields::asked, upstream::ClientAddress};

    type Names<'a> = BTreeSet<&'a str>;

    fn names<'a>(members: impl IntoIterator<Item = &'a Value>) -> Names<'a> {
        members.into_iter().filter_map(Value::as_str).collect()
    }

    /// What the route answers to a body that is called `content_type`.
    async fn answer(method: &str, path: &str, content_type: &str, body: String) -> (u16, Value) {
        let (_, nowhere) = RpcChannel::in_process();
        let router = router(&Gateway::new(Config::new(nowhere.clone(), nowhere)));
        let request = Request::builder().method(method).uri(path.replace("{id}", "1"));
        let request = request.header("host", "x").header("content-type", content_type);
        let mut request = request.body(Body::from(body)).expect("a request");
        let client = ClientAddress::from(std::net::SocketAddr::from(([127, 0, 0, 1], 1)));
        request.extensions_mut().insert(client);
        let Ok(answer) = router.oneshot(request).await;
        let status = answer.status().as_u16();
        let body = to_bytes(answer.into_body(), 100_000).await.expect("a body");
        (status, serde_json::from_slice(&body).expect("JSON"))
    }

    /// The `errors` of what the route answers.
    async fn errors(method: &str, path: &str, body: Value) -> Vec<Value> {
        let (_, problem) = answer(method, path, "application/json", body.to_string()).await;
        problem["errors"].as_array().unwrap_or_else(|| panic!("{path}: {problem}")).clone()
    }

    #[tokio::test]
    async fn whatever_writes_reads_a_body_and_refuses_a_bad_one() {
        let mut document = document();
        for (path, item) in &mut document.paths.paths {
            for (method, operation) in openapi::operations(item) {
                assert_eq!(operation.request_body.is_some(), method != "GET", "{method} {path}");
                if operation.request_body.is_none() {
                    continue;
                }
                let large = format!("{{\"x\": \"{}\"}}", "x".repeat(64 * 1024));
                for (content_type, body, status) in [
                    ("application/json", "{".to_owned(), 400),
                    ("application/json", "[]".to_owned(), 400),
                    ("application/json", large, 413),
                    ("text/plain", "{}".to_owned(), 415),
                ] {
                    let (found, problem) = answer(method, path, content_type, body).await;
                    assert_eq!(found, status, "{method} {path}: {problem}");
                }
            }
        }
    }

    /// Gives every member in turn a type that none has. What is told about it, and about the
    /// others, is what the description says.
    #[tokio::test]
    async fn handlers_read_the_members_that_are_described() {
        let mut document = document();
        let described = json!(document);
        let mut bodies = 0;
        for (path, item) in &mut document.paths.paths {
            for (method, operation) in openapi::operations(item) {
                let operation = json!(operation);
                let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
                let Some(name) = schema["$ref"].as_str() else { continue };
                let schema = described.pointer(name.trim_start_matches('#')).expect("a schema");
                let object = schema.pointer("/allOf/0").unwrap_or(schema);
                let members = object["properties"].as_object().into_iter().flatten();
                let members: Names = members.map(|(name, _)| name.as_str()).collect();
                let required = names(object["required"].as_array().into_iter().flatten());
                let sets = schema.pointer("/allOf/1/anyOf").and_then(Value::as_array);
                let either =
                    sets.into_iter().flatten().filter_map(|set| set["required"].as_array());
                let either = names(either.flatten());

                for member in &members {
                    asked::since();
                    let errors = errors(method, path, json!({ *member: [[]] })).await;
                    let told = |missing: bool| {
                        let told = errors.iter().filter(|it| (it["code"] == "REQUIRED") == missing);
                        names(told.map(|it| &it["field"]))
                    };
                    let this = Names::from([*member]);
                    assert_eq!(told(false), this, "{method} {path}");
                    let missing = told(true);
                    assert!(
                        missing.is_superset(&(&required - &this)),
                        "{method} {path}: {errors:?}"
                    );
                    assert!(
                        missing.is_subset(&(&required | &either)),
                        "{method} {path}: {errors:?}"
                    );
                    assert!(asked::since().is_subset(&members), "{method} {path}");
                }
                bodies += 1;
            }
        }
        assert!(bodies > 2, "only {bodies} bodies are described");
    }
}
