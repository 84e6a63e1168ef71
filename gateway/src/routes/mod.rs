//! The routes, one file for each family.

mod document_000;
mod health;
mod registrations;

use axum::{Router, middleware::from_fn_with_state};
use http::StatusCode;

use crate::{Gateway, edge, rate};

/// Every route, with the edge around them.
pub(crate) fn router(gateway: &Gateway) -> Router {
    let routes = Router::new()
        .merge(document_000::routes())
        .merge(registrations::routes())
        // Spelled out, or the layers would leave unknown paths alone.
        .fallback(async || StatusCode::NOT_FOUND)
        .layer(from_fn_with_state(gateway.clone(), edge::admit))
        .layer(from_fn_with_state(gateway.clone(), rate::limit))
        .merge(health::routes());
    edge::around(routes, gateway)
}
