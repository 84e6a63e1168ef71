//! The routes that no document has.

use http::Method;
use serde_json::json;

use crate::{
    conformance::{Row, check, send},
    http_client::Http,
    journey::{EMAIL, PASSWORD, log_in, register},
    program::Home,
};

const UNSIGNED: &str = r#"{"msg": "Missing Authorization Header"}"#;

#[tokio::test]
async fn what_is_wrong_with_an_authorization_is_told_whatever_it_is_made_of() {
    let home = Home::new();
    let pavilion = home.start(&[]).await;
    let http = pavilion.http();
    let long = format!("Bearer a.{}", "b".repeat(9_000));
    for (value, code, text) in [
        (&b""[..], "TOKEN_MISSING", "Missing Authorization Header"),
        (b"Bearer", "TOKEN_MALFORMED", "Not enough segments"),
        (b"Bearer \xff", "TOKEN_MALFORMED", "Not enough segments"),
        (b"Bearer caf\xc3\xa9.b", "TOKEN_MALFORMED", "Not enough segments"),
        (long.as_bytes(), "TOKEN_MALFORMED", "Not enough segments"),
        (b"Bearer \xff.b.c", "TOKEN_MALFORMED", "Invalid token"),
    ] {
        for path in ["/registrations", "/sessions"] {
            let request = http.request(Method::GET, path).header("authorization", value);
            http.send(request, None).await.assert_refused(code, text);
        }
    }
}

#[tokio::test]
async fn an_idempotency_key_makes_one_account_of_a_registration_that_is_sent_again() {
    let home = Home::new();
    let pavilion = home.start(&[]).await;
    let ann = r#"{"username": "ann", "email": "ann@example.com", "password": "securepassword123"}"#;
    let bob = r#"{"username": "bob", "password": "securepassword123"}"#;
    let eve = r#"{"email": "eve@example.com", "password": "securepassword123"}"#;
    let other =
        r#"{"username": "ann", "email": "ann@example.com", "password": "another password"}"#;
    let reused = r#"{"message": "Idempotency-Key was used for another request",
        "errors": [{"field": "Idempotency-Key", "code": "REUSED"}]}"#;
    let bad = r#"{"errors": [{"field": "Idempotency-Key", "code": "TOO_LONG"}]}"#;
    let long = format!("POST /register\nidempotency-key: {}", "x".repeat(65)).leak();
    #[rustfmt::skip]
    let table: &[Row] = &[
        ("POST /auth/register_user\nidempotency-key: a", ann, 201, r#"{"user": {"id": 1}}"#),
        ("POST /auth/register_user\nidempotency-key: a", ann, 201, r#"{"user": {"id": 1}}"#),
        ("POST /auth/register_user\nidempotency-key: a", other, 400, reused),
        ("POST /auth/register_user", ann, 409, r#"{"code": "USERNAME_TAKEN"}"#),
        ("POST /api/auth/register\nidempotency-key: b", bob, 201, r#"{"user": {"id": 2}}"#),
        ("POST /api/auth/register\nidempotency-key: b", bob, 201, r#"{"user": {"id": 2}}"#),
        ("POST /api/auth/register\nidempotency-key: b", eve, 400, reused),
        ("POST /register\nidempotency-key: c", eve, 201, r#"{"user_id": 3}"#),
        ("POST /register\nidempotency-key: c", eve, 201, r#"{"user_id": 3}"#),
        ("POST /register\nidempotency-key: c", bob, 400, reused),
        (long, eve, 400, bad),
    ];
    check(&pavilion.http(), None, table).await;
}

#[tokio::test]
async fn sessions_are_listed_and_ended() {
    let home = Home::new();
    let pavilion = home.start(&[]).await;
    let http = pavilion.http();
    register(&http).await;
    let [here, _] = log_in(&http).await;
    let request = http.request(Method::POST, "/auth/login").header("user-agent", "a phone");
    let body = json!({ "email": EMAIL, "password": PASSWORD });
    let there = http.send(request, Some(body)).await.text("access_token");

    let both = r#"[
        {"session_id": "*", "client_address": "127.0.0.1", "user_agent": "a phone", "current": false},
        {"session_id": "*", "created_at": "*", "last_used_at": "*", "expires_at": "*", "current": true}
    ]"#;
    let list = send(&http, Some(&here), ("GET /sessions", "", 200, both)).await;
    let other = list.json[0]["session_id"].as_str().expect("text");
    let revoke = async || {
        let path = format!("/sessions/{other}");
        http.send(http.signed(Method::DELETE, &path, &here), None).await
    };
    let revoked = revoke().await;
    assert_eq!((revoked.status, revoked.json), (204, json!(null)));
    revoke().await.assert_problem(404, "SESSION_NOT_FOUND", "Session not found");
    http.get("/sessions", &there).await.assert_refused("TOKEN_REVOKED", "Token has been revoked");
    check(
        &http,
        None,
        &[
            ("GET /sessions", "", 401, UNSIGNED),
            ("DELETE /sessions/x", "", 401, UNSIGNED),
            ("POST /auth/logout_all", "", 401, UNSIGNED),
        ],
    )
    .await;

    log_in(&http).await;
    let all = (
        "POST /auth/logout_all",
        "",
        200,
        r#"{"message": "Logout successful", "sessions_ended": 2}"#,
    );
    send(&http, Some(&here), all).await;
    assert_eq!(http.get("/sessions", &here).await.status, 401);
}

#[tokio::test]
async fn a_password_is_changed_by_who_knows_it() {
    let home = Home::new();
    let pavilion = home.start(&[]).await;
    let http = pavilion.http();
    register(&http).await;
    let [here, _] = log_in(&http).await;
    let [there, _] = log_in(&http).await;
    let path = "POST /auth/change_password";
    let change = r#"{"current_password": "securepassword123", "new_password": "another password"}"#;
    send(&http, None, (path, change, 401, UNSIGNED)).await;
    send(&http, None, (path, "{}", 401, UNSIGNED)).await;
    #[rustfmt::skip]
    let table: &[Row] = &[
        (path, "{}", 400, r#"{"errors": [{"field": "current_password"}, {"field": "new_password"}]}"#),
        (path, r#"{"current_password": "wrong", "new_password": "another password"}"#, 401,
         r#"{"message": "Invalid credentials"}"#),
        (path, r#"{"current_password": "securepassword123", "new_password": "short"}"#, 400,
         r#"{"errors": [{"field": "new_password", "code": "TOO_SHORT"}]}"#),
        (path, change, 200, r#"{"message": "Password updated successfully"}"#),
        ("GET /sessions", "", 200, r#"[{"current": true}]"#),
    ];
    check(&http, Some(&here), table).await;
    assert_eq!(http.get("/sessions", &there).await.status, 401, "all other sessions have ended");
}

#[tokio::test]
async fn an_account_is_deleted_by_who_knows_its_password() {
    let home = Home::new();
    let pavilion = home.start(&[]).await;
    let http = pavilion.http();
    register(&http).await;
    let [token, _] = log_in(&http).await;
    let delete = r#"{"password": "securepassword123"}"#;
    send(&http, None, ("DELETE /account", delete, 401, UNSIGNED)).await;
    send(&http, None, ("DELETE /account", "{}", 401, UNSIGNED)).await;
    #[rustfmt::skip]
    let table: &[Row] = &[
        ("DELETE /account", "", 400, r#"{"message": "password is required",
         "errors": [{"field": "password", "code": "REQUIRED"}]}"#),
        ("DELETE /account", r#"{"password": 1}"#, 400, r#"{"errors": [{"field": "password", "code": "INVALID_TYPE"}]}"#),
        ("DELETE /account", r#"{"password": "wrong"}"#, 401, r#"{"message": "Invalid credentials"}"#),
        ("DELETE /account", delete, 204, "null"),
        ("DELETE /account", delete, 401, r#"{"code": "TOKEN_REVOKED"}"#),
    ];
    check(&http, Some(&token), table).await;
    let gone = http.post("/auth/login", json!({ "email": EMAIL, "password": PASSWORD })).await;
    assert_eq!(gone.status, 401);
}

async fn kid_of_a_token(http: &Http) -> String {
    use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
    let [token, _] = log_in(http).await;
    let header = token.split('.').next().expect("a header");
    let header = BASE64_URL_SAFE_NO_PAD.decode(header).expect("base64url");
    let header: serde_json::Value = serde_json::from_slice(&header).expect("JSON");
    header["kid"].as_str().expect("a key id").to_owned()
}

#[tokio::test]
async fn the_public_keys_may_be_cached() {
    let home = Home::new();
    let pavilion = home.start(&[]).await;
    let http = pavilion.http();
    register(&http).await;
    let answer = http.send(http.request(Method::GET, "/.well-known/jwks.json"), None).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.headers["cache-control"], "public, max-age=300");
    let keys = answer.json["keys"].as_array().expect("an array");
    let kid = kid_of_a_token(&http).await;
    let key = keys.iter().find(|key| key["kid"] == *kid).expect("the key of a token");
    let x = &key["x"];
    let expected = json!({
        "kty": "OKP", "kid": kid, "use": "sig", "alg": "EdDSA", "crv": "Ed25519", "x": x,
    });
    assert_eq!(*key, expected, "nothing that is secret, and nothing that is empty");
}
