//! Document 003, route by route.

use serde_json::json;

use crate::{
    conformance::{Row, check, send},
    program::{Home, eventually},
};

const JOHN: &str = r#"{
  "email": "user@example.com",
  "password": "securepassword",
  "username": "John Doe"
}"#;
const SIGN_IN: &str = r#"{
  "email": "user@example.com",
  "password": "securepassword"
}"#;
const MADE: Row = ("POST /register", JOHN, 201, r#"{"message": "User registered successfully"}"#);

#[tokio::test]
async fn a_profile_is_made_shown_changed_and_left() {
    let home = Home::new();
    let pavilion = home.start(&[]).await;
    let http = pavilion.http();
    let taken = r#"{"message": "User already exists", "error": "User already exists", "code": "EMAIL_TAKEN"}"#;
    check(&http, None, &[MADE, ("POST /register", JOHN, 400, taken)]).await;
    let signed_in = r#"{
  "message": "Login successful",
  "token": "*",
  "refresh": "*",
  "username": "John Doe",
  "email": "user@example.com"
}"#;
    let answer = send(&http, None, ("POST /login", SIGN_IN, 200, signed_in)).await;
    assert_eq!(answer.json["token"], answer.json["access_token"]);
    assert_eq!(answer.json["refresh"], answer.json["refresh_token"]);
    let revoked = r#"{"msg": "Token has been revoked"}"#;
    #[rustfmt::skip]
    let table: &[Row] = &[
        ("PUT /update-profile", r#"{
  "name": "New Name"
}"#, 200, r#"{"message": "Profile updated successfully"}"#),
        ("GET /api/users/1", "", 200, r#"{"name": "New Name", "username": null}"#),
        ("PUT /update-profile", "{}", 400, r#"{"message": "Missing parameters", "errors": [{"field": "name"}]}"#),
        ("PUT /update-profile", r#"{"name": 7}"#, 400, r#"{"errors": [{"field": "name", "code": "INVALID_TYPE"}]}"#),
        ("POST /logout", "", 200, r#"{"message": "Logout successful"}"#),
        ("PUT /update-profile", r#"{"name": "Again"}"#, 401, revoked),
        ("POST /logout", "", 401, revoked),
    ];
    check(&http, Some(&answer.text("token")), table).await;
    let unsigned = r#"{"msg": "Missing Authorization Header"}"#;
    check(
        &http,
        None,
        &[
            ("PUT /update-profile", r#"{"name": "New Name"}"#, 401, unsigned),
            ("PUT /update-profile", "{}", 401, unsigned),
            ("POST /logout", "", 401, unsigned),
        ],
    )
    .await;
}

/// The code in the last mail, which is in the log where no mail server is set.
async fn code(home: &Home, mails: usize) -> u32 {
    eventually("a mail with a code", async || {
        let log = home.log();
        let codes: Vec<_> = log.split("Your code: ").skip(1).collect();
        codes.get(mails - 1).and_then(|rest| rest.get(..6)?.parse().ok())
    })
    .await
}

#[tokio::test]
async fn a_password_is_reset_by_a_mailed_code() {
    let home = Home::new();
    let pavilion = home.start(&[]).await;
    let http = pavilion.http();
    let sent = r#"{"message": "OTP sent successfully"}"#;
    let missing = r#"{"message": "Missing parameters"}"#;
    let invalid = r#"{"message": "Invalid or expired OTP", "code": "OTP_INVALID"}"#;
    #[rustfmt::skip]
    let table: &[Row] = &[
        MADE,
        ("POST /reset-password", r#"{
  "email": "user@example.com"
}"#, 200, sent),
        ("POST /reset-password", r#"{"email": "nobody@example.com"}"#, 200, sent),
        ("POST /reset-password", "{}", 400, missing),
        ("POST /reset-password", r#"{"email": "nowhere"}"#, 400, r#"{"message": "Invalid email format"}"#),
        ("POST /update-password", r#"{
  "email": "user@example.com",
  "otp": 12345,
  "new_password": "newsecurepassword"
}"#, 400, invalid),
        ("POST /update-password", r#"{"email": "nobody@example.com", "otp": "123456", "new_password": "newsecurepassword"}"#,
         400, invalid),
        ("POST /update-password", r#"{"email": "user@example.com"}"#, 400,
         r#"{"message": "Missing parameters", "errors": [{"field": "otp"}, {"field": "new_password"}]}"#),
        ("POST /update-password", r#"{"email": "user@example.com", "otp": 1.5, "new_password": "newsecurepassword"}"#,
         400, r#"{"errors": [{"field": "otp", "code": "INVALID_TYPE"}]}"#),
    ];
    check(&http, None, table).await;

    let otp = code(&home, 1).await;
    let reset = |otp| json!({ "email": "user@example.com", "otp": otp, "new_password": "newsecurepassword" });
    let done = http.post("/update-password", reset(json!(otp))).await;
    assert_eq!(
        (done.status, done.text("message")),
        (200, "Password updated successfully".to_owned())
    );
    http.post("/update-password", reset(json!(otp))).await.assert_problem(
        400,
        "OTP_INVALID",
        "Invalid or expired OTP",
    );
    let new = r#"{"email": "user@example.com", "password": "newsecurepassword"}"#;
    check(
        &http,
        None,
        &[
            ("POST /login", SIGN_IN, 401, "{}"),
            ("POST /login", new, 200, "{}"),
            ("POST /reset-password", r#"{"email": "user@example.com"}"#, 200, sent),
        ],
    )
    .await;
    let otp = code(&home, 2).await.to_string();
    assert_eq!(http.post("/update-password", reset(json!(otp))).await.status, 200, "as a string");
}
