//! Reading a request's body: all of it, in time, no more than is good, and one JSON object.

use axum::{
    body::{Body, HttpBody},
    extract::Request,
};
use bytes::{Bytes, BytesMut};
use http::{
    HeaderMap, StatusCode,
    header::{CONTENT_ENCODING, CONTENT_TYPE, EXPECT},
};
use http_body_util::BodyExt;
use serde_json::{Map, Value};
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

/// The body of `request`, a JSON object; none counts as `{}`.
///
/// # Errors
/// 413 where it is too large, 408 where it takes too long, 415 where it is not called JSON, 400
/// where it breaks off or is no object.
pub(crate) async fn read_object(
    request: Request,
    limits: &Limits,
) -> Result<Map<String, Value>, Problem> {
    let is_json = is_json(request.headers());
    parse(&read(request, limits).await?, is_json)
}

async fn read(request: Request, limits: &Limits) -> Result<Bytes, Problem> {
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

fn parse(bytes: &[u8], is_json: bool) -> Result<Map<String, Value>, Problem> {
    if bytes.is_empty() {
        return Ok(Map::new());
    }
    if !is_json {
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "UNSUPPORTED_MEDIA_TYPE",
            "The request body must be JSON, with Content-Type: application/json",
        ));
    }
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) => Err(Problem::bad_body("INVALID_TYPE", "The request body must be a JSON object")),
        Err(error) => {
            tracing::debug!(%error, "malformed JSON");
            Err(Problem::bad_body("MALFORMED_JSON", "The request body is not valid JSON"))
        }
    }
}

/// Whether the body is `application/json` or `application/...+json` (RFC 6839), as it is.
fn is_json(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let (Some(value), None) = (types.next(), types.next()) else { return false };
    let essence = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default();
    let essence = essence.trim().to_ascii_lowercase();
    let subtype = essence.strip_prefix("application/").unwrap_or_default();
    let is_plain = headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .all(|coding| coding.as_bytes().eq_ignore_ascii_case(b"identity"));
    is_plain
        && (subtype == "json" || subtype.strip_suffix("+json").is_some_and(|it| !it.is_empty()))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn refusal(body: &[u8], is_json: bool) -> String {
        parse(body, is_json).expect_err("a bad body").code().to_owned()
    }

    #[test]
    fn no_body_counts_as_an_empty_object() {
        assert_eq!(parse(b"", false), Ok(Map::new()));
    }

    #[test]
    fn refuses_what_is_no_json_object() {
        for bad in
            ["{", "{'name': 1}", "{\"a\": 1e999}", "{\"a\": \"\\ud800\"}", "{} {}", "\u{feff}{}"]
        {
            assert_eq!(refusal(bad.as_bytes(), true), "INVALID_ARGUMENT", "{bad}");
        }
        assert_eq!(refusal(b"{\"name\": \"caf\xe9\"}", true), "INVALID_ARGUMENT", "not UTF-8");
        assert_eq!(refusal("[".repeat(60_000).as_bytes(), true), "INVALID_ARGUMENT", "nested");
        for other in ["null", "[]", "1", "\"name\"", "true"] {
            assert_eq!(refusal(other.as_bytes(), true), "INVALID_ARGUMENT", "{other}");
        }
        assert_eq!(refusal(b"{}", false), "UNSUPPORTED_MEDIA_TYPE");
    }

    #[test]
    fn knows_json_by_its_content_type() {
        let is_json_type = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_str(value).expect("a header value"));
            is_json(&headers)
        };
        for json in [
            "application/json",
            "Application/JSON; charset=utf-8",
            "application/problem+json",
            "application/vnd.example+JSON ; v=1",
        ] {
            assert!(is_json_type(json), "{json}");
        }
        for other in ["text/json", "application/jsonp", "application/+json", "application/x", ""] {
            assert!(!is_json_type(other), "{other}");
        }
        assert!(!is_json(&HeaderMap::new()));
    }

    #[test]
    fn a_compressed_body_is_not_json() {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        assert!(!is_json(&headers));
    }
}
