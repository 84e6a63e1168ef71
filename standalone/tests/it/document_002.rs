//! Document 002, route by route.

use crate::{
    conformance::{Row, check, send},
    program::Home,
};

#[tokio::test]
async fn users_are_made_and_signed_in_to() {
    let home = Home::new();
    let pavilion = home.start(&[]).await;
    let http = pavilion.http();
    let missing = r#"{"message": "Missing parameters", "error": "Missing parameters"}"#;
    let wrong = r#"{"message": "Invalid credentials", "error": "Invalid username or password"}"#;
    #[rustfmt::skip]
    let table: &[Row] = &[
        ("POST /register", r#"{
  "username": "newuser",
  "password": "newpassword"
}"#, 201, r#"{
  "message": "User registered successfully",
  "user_id": 1
}"#),
        ("POST /register", r#"{"username": "NewUser", "password": "newpassword"}"#, 400,
         r#"{"message": "Username already exists", "error": "User already exists", "code": "USERNAME_TAKEN"}"#),
        ("POST /register", r#"{"username": "testuser", "password": "testpassword"}"#, 201, r#"{"user_id": 2}"#),
        ("POST /register", "", 400, missing),
        ("POST /register", r#"{"username": "third"}"#, 400, missing),
        ("POST /register", r#"{"username": "", "password": "newpassword"}"#, 400, missing),
        ("POST /register", r#"{"username": "John Doe", "password": "newpassword"}"#, 400,
         r#"{"errors": [{"field": "username", "code": "INVALID_FORMAT"}]}"#),
        ("POST /login", "{}", 400, missing),
        ("POST /login", r#"{"username": "testuser", "password": null}"#, 400, missing),
        ("POST /login", r#"{"username": "testuser", "password": "wrong"}"#, 401, wrong),
        ("POST /login", r#"{"username": "nobody", "password": "testpassword"}"#, 401, wrong),
    ];
    check(&http, None, table).await;

    let sign_in = r#"{
  "username": "testuser",
  "password": "testpassword"
}"#;
    let expected =
        r#"{"user_id": 2, "message": "Login successful", "username": "testuser", "email": null}"#;
    let answer = send(&http, None, ("POST /login", sign_in, 200, expected)).await;
    let token = answer.text("access_token");
    assert_eq!(answer.headers["authorization"], format!("Bearer {token}"));
    send(&http, Some(&token), ("GET /api/users/2", "", 200, r#"{"id": 2}"#)).await;
}
