//! Document 000, route by route.

use std::time::Duration;

use service_kit::testing::{DatabaseKind, TestDatabase};

use crate::{
    conformance::{Row, check, send},
    deployment::Deployment,
    http_client::Http,
    program::Home,
};

const ACCOUNT: &str = r#"{
    "username": "newuser",
    "email": "user@example.com",
    "password": "securepassword123"
}"#;
const SIGN_IN: &str = r#"{
    "email": "user@example.com",
    "password": "securepassword123"
}"#;
const REGISTRATION: &str = r#"{
    "sport": "cricket",
    "training_level": "intermediate"
}"#;
const MADE: Row = ("POST /auth/register_user", ACCOUNT, 201, REGISTERED);
const REGISTERED: &str = r#"{"message": "User registered successfully", "user": {"id": 1}}"#;

async fn token(http: &Http) -> String {
    let expected = r#"{"message": "Login successful", "access_token": "*", "refresh_token": "*",
        "expires_in": 900}"#;
    send(http, None, ("POST /auth/login", SIGN_IN, 200, expected)).await.text("access_token")
}

#[tokio::test]
async fn accounts_are_made_and_signed_in_to() {
    let home = Home::new();
    let pavilion = home.start(&[]).await;
    let missing = r#"{"message": "Missing username, email, or password"}"#;
    let no_sign_in = r#"{"message": "Missing email or password"}"#;
    let wrong = r#"{"message": "Invalid email or password"}"#;
    #[rustfmt::skip]
    let table: &[Row] = &[
        MADE,
        ("POST /auth/register_user", ACCOUNT, 409, r#"{"message": "Username already exists"}"#),
        ("POST /auth/register_user",
         r#"{"username": "NEWUSER", "email": "b@example.com", "password": "securepassword123"}"#,
         409, r#"{"message": "Username already exists", "error": "Username already exists"}"#),
        ("POST /auth/register_user",
         r#"{"username": "other", "email": "User@example.com", "password": "securepassword123"}"#,
         409, r#"{"message": "Email already exists"}"#),
        ("POST /auth/register_user", "", 400, missing),
        ("POST /auth/register_user", r#"{"email": "a@example.com", "password": "long enough"}"#, 400, missing),
        ("POST /auth/register_user", r#"{"username": "a", "email": null, "password": "long enough"}"#, 400, missing),
        ("POST /auth/register_user", r#"{"username": "a", "email": "a@example.com", "password": ""}"#, 400, missing),
        ("POST /auth/register_user", "[]", 400, r#"{"code": "INVALID_ARGUMENT"}"#),
        ("POST /auth/login", SIGN_IN, 200, r#"{"message": "Login successful", "access_token": "*"}"#),
        ("POST /auth/login", r#"{"email": "USER@EXAMPLE.COM", "password": "securepassword123"}"#, 200, "{}"),
        ("POST /auth/login", r#"{"email": "user@example.com", "password": "wrong"}"#, 401, wrong),
        ("POST /auth/login", r#"{"email": "nobody@example.com", "password": "securepassword123"}"#, 401, wrong),
        ("POST /auth/login", r#"{"email": "user@example.com"}"#, 400, no_sign_in),
        ("POST /auth/login", r#"{"username": "newuser", "password": "securepassword123"}"#, 400, no_sign_in),
        ("GET /auth/login", "", 405, r#"{"code": "METHOD_NOT_ALLOWED"}"#),
    ];
    check(&pavilion.http(), None, table).await;
}

#[tokio::test]
async fn registrations_are_made_and_listed() {
    let home = Home::new();
    let pavilion = home.start(&[]).await;
    let http = pavilion.http();
    let unsigned = r#"{"msg": "Missing Authorization Header"}"#;
    let missing = r#"{"message": "Missing sport or training_level"}"#;
    send(&http, None, MADE).await;
    let token = token(&http).await;
    #[rustfmt::skip]
    let table: &[Row] = &[
        ("GET /registrations", "", 200, "[]"),
        ("POST /registrations", REGISTRATION, 201, r#"{
            "message": "Registration successful",
            "registration": {
                "id": 1, "user_id": 1, "sport": "cricket", "training_level": "intermediate",
                "registration_date": "YYYY-MM-DDTHH:MM:SS.ffffff"
            }}"#),
        ("GET /registrations", "", 200, r#"[{
            "id": 1, "user_id": 1, "sport": "cricket", "training_level": "intermediate",
            "registration_date": "YYYY-MM-DDTHH:MM:SS.ffffff"}]"#),
        ("GET /registrations/1", "", 200, r#"{"id": 1, "sport": "cricket"}"#),
        ("GET /registrations/2", "", 404, r#"{"message": "Registration not found"}"#),
        ("GET /registrations/0", "", 404, r#"{"code": "NOT_FOUND"}"#),
        ("POST /registrations", "{}", 400, missing),
        ("POST /registrations", r#"{"sport": "cricket", "training_level": null}"#, 400, missing),
        ("POST /registrations", r#"{"sport": "", "training_level": "beginner"}"#, 400, missing),
        ("DELETE /registrations", "", 405, r#"{"code": "METHOD_NOT_ALLOWED"}"#),
    ];
    check(&http, Some(&token), table).await;
    check(
        &http,
        None,
        &[
            ("POST /registrations", REGISTRATION, 401, unsigned),
            ("GET /registrations", "", 401, unsigned),
            ("GET /registrations/1", "", 401, unsigned),
        ],
    )
    .await;
    check(
        &http,
        Some("a.b"),
        &[("GET /registrations", "", 401, r#"{"msg": "Not enough segments"}"#)],
    )
    .await;
    check(
        &http,
        Some("a.b.c"),
        &[("GET /registrations", "", 401, r#"{"msg": "Invalid header padding"}"#)],
    )
    .await;
}

#[tokio::test]
async fn whoever_has_signed_out_is_refused() {
    let home = Home::new();
    let pavilion = home.start(&[]).await;
    let http = pavilion.http();
    send(&http, None, MADE).await;
    let token = token(&http).await;
    let revoked = r#"{"msg": "Token has been revoked", "code": "TOKEN_REVOKED"}"#;
    let table: &[Row] = &[
        ("POST /auth/logout", "", 200, r#"{"message": "Logout successful"}"#),
        ("POST /auth/logout", "", 401, revoked),
        ("GET /registrations", "", 401, revoked),
        ("POST /registrations", REGISTRATION, 401, revoked),
    ];
    check(&http, Some(&token), table).await;
    let unsigned = r#"{"msg": "Missing Authorization Header"}"#;
    send(&http, None, ("POST /auth/logout", "", 401, unsigned)).await;
}

#[tokio::test]
async fn a_token_expires() {
    let database = TestDatabase::create(DatabaseKind::Sqlite).await;
    let deployment = Deployment::start(database, None).await;
    let http = deployment.http();
    send(&http, None, MADE).await;
    let token = token(&http).await;
    send(&http, Some(&token), ("GET /registrations", "", 200, "[]")).await;
    deployment.advance(Duration::from_mins(15));
    let expired = r#"{"msg": "Token has expired", "code": "TOKEN_EXPIRED"}"#;
    let table: &[Row] = &[
        ("GET /registrations", "", 401, expired),
        ("POST /registrations", REGISTRATION, 401, expired),
        ("POST /auth/logout", "", 401, expired),
    ];
    check(&http, Some(&token), table).await;
}

#[tokio::test]
async fn a_page_links_to_the_next_one() {
    let home = Home::new();
    let pavilion = home.start(&[]).await;
    let http = pavilion.http();
    send(&http, None, MADE).await;
    let token = token(&http).await;
    for _ in 0..3 {
        send(&http, Some(&token), ("POST /registrations", REGISTRATION, 201, "{}")).await;
    }
    let page = ("GET /registrations?page_size=2", "", 200, r#"[{"id": 1}, {"id": 2}]"#);
    let first = send(&http, Some(&token), page).await;
    let link = first.headers["link"].to_str().expect("ASCII").to_owned();
    let next = link.strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\""));
    let rest = http.get(next.expect("a link to the next page"), &token).await;
    assert_eq!((rest.status, &rest.json[0]["id"]), (200, &3.into()), "{rest:?}");
    assert!(!rest.headers.contains_key("link"), "{rest:?}");
}

#[tokio::test]
async fn a_locked_account_is_423_until_then() {
    let home = Home::new();
    let pavilion = home.start(&[("LOCKOUT_THRESHOLD", "1")]).await;
    let http = pavilion.http();
    send(&http, None, MADE).await;
    let wrong = r#"{"email": "user@example.com", "password": "wrong"}"#;
    send(&http, None, ("POST /auth/login", wrong, 401, "{}")).await;
    let locked = r#"{"message": "Account is locked. Please try again later."}"#;
    for path in ["POST /auth/login", "POST /api/auth/login", "POST /login"] {
        let answer = send(&http, None, (path, SIGN_IN, 423, locked)).await;
        let pause: u64 = answer.headers["retry-after"].to_str().expect("ASCII").parse().expect("s");
        assert!((1..=900).contains(&pause), "{answer:?}");
    }
}

#[tokio::test]
async fn an_idempotency_key_makes_a_registration_repeatable() {
    let home = Home::new();
    let pavilion = home.start(&[]).await;
    let http = pavilion.http();
    send(&http, None, MADE).await;
    let token = token(&http).await;
    let body = serde_json::from_str(REGISTRATION).expect("JSON");
    let post = async |keys: &[&str], body: &serde_json::Value| {
        let mut request = http.signed(http::Method::POST, "/registrations", &token);
        for key in keys {
            request = request.header("idempotency-key", *key);
        }
        http.send(request, Some(body.clone())).await
    };
    let made = post(&["try-1"], &body).await;
    assert_eq!((made.status, post(&["try-1"], &body).await.json), (201, made.json));
    assert_eq!(post(&["try-2"], &body).await.json["registration"]["id"], 2);
    let other = serde_json::json!({ "sport": "tennis", "training_level": "beginner" });
    for refused in [post(&["try-1"], &other).await, post(&["a", "b"], &body).await] {
        assert_eq!(refused.status, 400, "{refused:?}");
        assert_eq!(refused.json["errors"][0]["field"], "Idempotency-Key", "{refused:?}");
    }
}
