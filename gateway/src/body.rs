//! Reading a request's body: all of it, in time, and no more than is good.

use axum::{
    body::{Body, HttpBody},
    extract::Request,
};
use bytes::{Bytes, BytesMut};
use http::{StatusCode, header::EXPECT};
use http_body_util::BodyExt;
use tokio::time::timeout;

use crate::{
    limits::{BODY_BYTES_MAX, DISCARDED_BYTES_MAX, Limits},
    problem::Problem,
};

/// Why there is no body.
enum Unread {
    TooLarge,
    Broken(axum::Error),
}

/// The body of `request`.
///
/// # Errors
/// 413 where it is too large, 408 where it takes too long, 400 where it breaks off.
pub(crate) async fn read(request: Request, limits: &Limits) -> Result<Bytes, Problem> {
    let waits_for_us = request.headers().contains_key(EXPECT);
    let body = request.into_body();
    // Answered without the body where nobody is busy sending it (RFC 9110 section 10.1.1), or it
    // is beyond all patience.
    let useful_bytes_max = if waits_for_us { BODY_BYTES_MAX } else { DISCARDED_BYTES_MAX };
    if body.size_hint().lower() > useful_bytes_max as u64 {
        return Err(too_large());
    }
    match timeout(limits.body_time_max, collect(body)).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(Unread::TooLarge)) => Err(too_large()),
        Ok(Err(Unread::Broken(error))) => {
            tracing::debug!(%error, "a body broke off");
            Err(Problem::bad_body("INCOMPLETE_BODY", "The request body could not be read"))
        }
        Err(_elapsed) => {
            let text = "The request body took too long to arrive";
            Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "REQUEST_TIMEOUT", text))
        }
    }
}

/// Reads on for a while where the body is too large: many clients look for an answer only when
/// they have sent all, and a connection that is closed before makes them lose it.
async fn collect(mut body: Body) -> Result<Bytes, Unread> {
    let mut read = BytesMut::new();
    let mut bytes_seen = 0;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(Unread::Broken)?.into_data() else { continue };
        bytes_seen += data.len();
        if bytes_seen > DISCARDED_BYTES_MAX {
            return Err(Unread::TooLarge);
        }
        if bytes_seen <= BODY_BYTES_MAX {
            read.extend_from_slice(&data);
        }
    }
    if bytes_seen > BODY_BYTES_MAX { Err(Unread::TooLarge) } else { Ok(read.freeze()) }
}

fn too_large() -> Problem {
    let text = "The request body is larger than 64 KiB";
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "PAYLOAD_TOO_LARGE", text)
}
