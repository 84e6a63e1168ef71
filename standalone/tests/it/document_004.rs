//! Document 004, route by route.

use crate::{
    conformance::{Row, check, send},
    program::Home,
};

#[tokio::test]
async fn users_are_made_and_signed_in_to() {
    let home = Home::new();
    let pavilion = home.start(&[]).await;
    let http = pavilion.http();
    let bad_address = r#"{"message": "Invalid email format", "error": "Invalid email format"}"#;
    let wrong = r#"{"error": "Invalid username or password"}"#;
    #[rustfmt::skip]
    let table: &[Row] = &[
        ("POST /register", r#"{
     "username": "user123",
     "password": "password123",
     "email": "user@example.com"
   }"#, 201, r#"{"user_id": 1, "user": {"username": "user123", "email": "user@example.com"}}"#),
        ("POST /register", r#"{"username": "user123", "password": "password123", "email": "other@example.com"}"#,
         400, r#"{"message": "Username already exists", "error": "User already exists"}"#),
        ("POST /register", r#"{"username": "other", "password": "password123", "email": "user@example.com"}"#,
         400, r#"{"message": "User already exists", "error": "User already exists"}"#),
        ("POST /register", r#"{"username": "other", "password": "password123", "email": "user-example.com"}"#,
         400, bad_address),
        ("POST /register", r#"{"username": "other", "password": "short", "email": "user@"}"#, 400, bad_address),
        ("POST /register", r#"{"username": "other", "email": "user@"}"#, 400, r#"{"message": "Missing parameters"}"#),
        ("POST /register", r#"{"username": ["other"], "password": "password123"}"#, 400,
         r#"{"errors": [{"field": "username", "code": "INVALID_TYPE"}]}"#),
        ("POST /login", r#"{"username": "user123", "password": "wrong"}"#, 401, wrong),
        ("POST /login", r#"{"username": "user@example.com", "password": "password123"}"#, 200, "{}"),
        ("POST /login", r#"{"username": "x", "email": "user@example.com", "password": "password123"}"#, 200, "{}"),
    ];
    check(&http, None, table).await;

    let sign_in = r#"{
     "username": "user123",
     "password": "password123"
   }"#;
    let expected = r#"{"message": "Login successful", "access_token": "*", "username": "user123",
        "email": "user@example.com"}"#;
    let token =
        send(&http, None, ("POST /login", sign_in, 200, expected)).await.text("access_token");
    send(&http, Some(&token), ("GET /registrations", "", 200, "[]")).await;
}
