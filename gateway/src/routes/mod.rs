//! The routes, one file for each family.

mod account;
mod document_000;
mod document_001;
mod documents_002_to_004;
mod health;
mod keys;
mod registrations;
mod sessions;

use axum::{Router, middleware::from_fn_with_state};
use http::StatusCode;

use crate::{Gateway, edge, rate};

/// Every route, with the edge around them.
pub(crate) fn router(gateway: &Gateway) -> Router {
    let routes = Router::new()
        .merge(document_000::routes())
        .merge(document_001::routes())
        .merge(documents_002_to_004::routes())
        .merge(account::routes())
        .merge(keys::routes())
        .merge(sessions::routes())
        .merge(registrations::routes())
        // Spelled out, or the layers would leave unknown paths alone.
        .fallback(async || StatusCode::NOT_FOUND)
        .layer(from_fn_with_state(gateway.clone(), edge::admit))
        .layer(from_fn_with_state(gateway.clone(), rate::limit))
        .merge(health::routes());
    edge::around(routes, gateway)
}
