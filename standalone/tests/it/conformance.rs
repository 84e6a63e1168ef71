//! Documents as tables: what is sent, and what must come back.

use http::Method;
use serde_json::{Value, json};

use crate::http_client::{Answer, Http};

/// A request as `METHOD /path` and its headers, if any, a line each, its body (empty for none), the
/// status of the answer, and the members that its body must have, verbatim as the documents have
/// them; `"*"` stands for any text, number or object that is not empty, [`DATE`] for any time of
/// that form.
pub(crate) type Row = (&'static str, &'static str, u16, &'static str);

/// `registration_date`.
pub(crate) const DATE: &str = "YYYY-MM-DDTHH:MM:SS.ffffff";

/// Sends each request in turn, in the name of whoever has the token, and checks the answers.
pub(crate) async fn check(http: &Http, token: Option<&str>, table: &[Row]) {
    for row in table {
        send(http, token, *row).await;
    }
}

/// Sends one request and checks the answer.
pub(crate) async fn send(http: &Http, token: Option<&str>, row: Row) -> Answer {
    let (request, body, status, expected) = row;
    let mut lines = request.lines();
    let first = lines.next().and_then(|line| line.split_once(' '));
    let (method, path) = first.expect("a method and a path");
    let method: Method = method.parse().expect("a method");
    let mut request = match token {
        Some(token) => http.signed(method, path, token),
        None => http.request(method, path),
    };
    for (name, value) in lines.map(|line| line.split_once(": ").expect("a header")) {
        request = request.header(name, value);
    }
    let answer = http.send(request, (!body.is_empty()).then(|| parse(body))).await;
    assert_eq!(answer.status, status, "{row:?}: {answer:?}");
    assert!(has(&answer.json, &parse(expected)), "{row:?}: {answer:?}");
    assert_eq!(answer.headers["x-content-type-options"], "nosniff", "{row:?}");
    if status >= 400 {
        assert_is_an_error(&answer, status);
    }
    answer
}

/// Checks what every error has.
fn assert_is_an_error(answer: &Answer, status: u16) {
    assert_eq!(answer.headers["content-type"], "application/problem+json", "{answer:?}");
    assert_eq!(answer.json["status"], status, "{answer:?}");
    for member in ["type", "title", "detail", "code", "message", "error", "request_id"] {
        assert!(answer.json[member].as_str().is_some_and(|text| !text.is_empty()), "{answer:?}");
    }
    assert_eq!(answer.json["errors"].is_array(), status == 400, "{answer:?}");
    assert_eq!(answer.headers.contains_key("www-authenticate"), status == 401, "{answer:?}");
}

fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Whether `found` is `expected`, or an object with more members.
fn has(found: &Value, expected: &Value) -> bool {
    match (found, expected) {
        (Value::Object(found), Value::Object(expected)) => {
            expected.iter().all(|(name, value)| found.get(name).is_some_and(|one| has(one, value)))
        }
        (Value::Array(found), Value::Array(expected)) => {
            found.len() == expected.len() && found.iter().zip(expected).all(|(a, b)| has(a, b))
        }
        (Value::String(found), Value::String(form)) if form == DATE => is_date(found),
        (found, any) if any == "*" => ![json!(null), json!(""), json!({})].contains(found),
        _ => found == expected,
    }
}

fn is_date(text: &str) -> bool {
    let matches = |(found, form): (char, char)| match form {
        '-' | 'T' | ':' | '.' => found == form,
        _ => found.is_ascii_digit(),
    };
    text.len() == DATE.len() && text.chars().zip(DATE.chars()).all(matches)
}
