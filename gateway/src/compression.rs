//! Larger answers go compressed to those who take them so.
//!
//! Only those to GET: answers that hold a token are answers to POST, and one that is compressed
//! together with what the client sent gives the token away by its length (BREACH).

use axum::{
    body::Body,
    extract::Request,
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{
    Method, StatusCode,
    header::{CONTENT_ENCODING, CONTENT_TYPE, ETAG},
};
use http_body_util::BodyExt;
use tower::{Layer, ServiceExt};
use tower_http::{
    CompressionLevel,
    compression::{CompressionLayer, Predicate},
};

use crate::problem::Problem;

/// Smaller answers fit into one packet as they are.
const BYTES_MIN: u64 = 1024;
/// Of gzip and brotli alike: what more costs in time is not made up for on the way.
const LEVEL: CompressionLevel = CompressionLevel::Precise(4);

/// Compresses what is worth it. The answer is whole before it is sent, so that a client that reads
/// slowly does not hold the compressor's megabytes as well.
pub(crate) async fn compress(request: Request, next: Next) -> Response {
    if request.method() != Method::GET {
        return next.run(request).await;
    }
    let answering = next.map_response(|mut response: Response| {
        let status = response.status();
        response.extensions_mut().insert(Answered(status));
        response
    });
    let compression = CompressionLayer::new().quality(LEVEL).compress_when(Worthwhile);
    let Ok(mut response) = compression.layer(answering).oneshot(request).await;
    // The library turns the answer to a client that refuses every encoding into a 406. It gets it
    // as it is, which RFC 9110 section 12.5.3 leaves to us.
    if let Some(Answered(status)) = response.extensions_mut().remove() {
        *response.status_mut() = status;
    }
    if !response.headers().contains_key(CONTENT_ENCODING) {
        return response.map(Body::new);
    }
    let (head, body) = response.into_parts();
    match body.collect().await {
        Ok(compressed) => Response::from_parts(head, Body::from(compressed.to_bytes())),
        Err(error) => {
            tracing::error!(%error, "an answer cannot be compressed");
            Problem::internal().into_response()
        }
    }
}

/// The status of an answer before the library.
#[derive(Clone, Copy)]
struct Answered(StatusCode);

#[derive(Clone, Copy)]
struct Worthwhile;

impl Predicate for Worthwhile {
    fn should_compress<B: axum::body::HttpBody>(&self, response: &http::Response<B>) -> bool {
        let is_large = response.body().size_hint().exact().is_some_and(|size| size >= BYTES_MIN);
        let content_type = response.headers().get(CONTENT_TYPE).and_then(|it| it.to_str().ok());
        let is_text = content_type.is_some_and(|it| {
            it.starts_with("text/") || it.starts_with("application/json") || it.contains("+json")
        });
        // What has a tag is what the tag stands for, byte by byte, and comes compressed already.
        let has_tag = response.headers().contains_key(ETAG);
        is_large && is_text && !has_tag
    }
}
