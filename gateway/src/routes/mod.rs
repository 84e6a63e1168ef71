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

use crate::{Gateway, edge};

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
        .layer(from_fn_with_state(gateway.clone(), edge::admit))
        .merge(health::routes());
    edge::around(routes, gateway)
}
