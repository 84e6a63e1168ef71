//! Document 000's routes: what they ask of the services and what they make of the answers.

use prost_types::Timestamp;
use proto::{
    auth::v1::{
        LoginRequest, LoginResponse, RegisterRequest, RegisterResponse, Role, Tokens, User,
    },
    training::v1::{
        CreateRegistrationRequest, CreateRegistrationResponse, Registration, RegistrationStatus,
    },
};
use serde_json::json;
use service_kit::rejection::Rejection;
use tonic::Code;

use crate::{
    harness::{nowhere, start_gateway},
    scripted::Scripted,
};

fn ann() -> User {
    let made = Some(Timestamp { seconds: 1_769_860_800, nanos: 0 });
    User {
        id: 1,
        username: "ann".to_owned(),
        email: "ann@example.com".to_owned(),
        roles: vec![Role::User.into()],
        created_at: made,
        updated_at: made,
        ..User::default()
    }
}

#[tokio::test]
async fn registering_makes_an_account() {
    let auth = Scripted::saying(RegisterResponse { user: Some(ann()) }).await;
    let gateway = start_gateway(auth.channel.clone(), nowhere().await).await;
    let body =
        r#"{"username": "ann", "email": "ann@example.com", "password": "pass word", "x": 1}"#;
    let answer = gateway.post("/auth/register_user", body).await;

    assert_eq!(answer.status, 201);
    answer.assert_headers();
    assert_eq!(answer.headers["content-type"], "application/json");
    assert_eq!(
        answer.json,
        json!({
            "message": "User registered successfully",
            "user": {
                "id": 1,
                "username": "ann",
                "email": "ann@example.com",
                "name": null,
                "role": "user",
                "roles": ["user"],
                "disabled": false,
                "created_at": "2026-01-31T12:00:00.000000Z",
                "updated_at": "2026-01-31T12:00:00.000000Z",
            },
        })
    );
    let asked = auth.only_call();
    assert_eq!(asked.path, "/auth.v1.AuthService/Register");
    assert_eq!(
        asked.message::<RegisterRequest>(),
        RegisterRequest {
            username: "ann".to_owned(),
            email: "ann@example.com".to_owned(),
            password: "pass word".to_owned(),
            ..RegisterRequest::default()
        }
    );
}

#[tokio::test]
async fn registering_needs_all_three_members() {
    let auth = Scripted::saying(RegisterResponse { user: Some(ann()) }).await;
    let gateway = start_gateway(auth.channel.clone(), nowhere().await).await;
    for body in [
        "",
        "{}",
        r#"{"username": "ann", "password": "pass word"}"#,
        r#"{"username": "", "email": "ann@example.com", "password": "pass word"}"#,
        r#"{"username": "ann", "email": "ann@example.com", "password": null}"#,
    ] {
        let answer = gateway.post("/auth/register_user", body).await;
        answer.assert_problem(400, "INVALID_ARGUMENT");
        assert_eq!(answer.json["message"], "Missing username, email, or password", "{body}");
    }
    assert_eq!(auth.calls().len(), 0, "no account without an address");
}

#[tokio::test]
async fn registering_a_name_or_an_address_twice_is_409() {
    for (reason, text) in
        [("USERNAME_TAKEN", "Username already exists"), ("EMAIL_TAKEN", "Email already exists")]
    {
        let taken = Rejection::new(Code::AlreadyExists, "auth.v1", reason, "prose");
        let auth = Scripted::refusing(taken).await;
        let gateway = start_gateway(auth.channel, nowhere().await).await;
        let body = r#"{"username": "a", "email": "a@b.example", "password": "pass word"}"#;
        let answer = gateway.post("/auth/register_user", body).await;
        answer.assert_problem(409, reason);
        assert_eq!((&answer.json["message"], &answer.json["error"]), (&json!(text), &json!(text)));
    }
}

#[tokio::test]
async fn signing_in_gives_tokens() {
    let tokens = Tokens {
        access_token: "a.b.c".to_owned(),
        refresh_token: "opaque".to_owned(),
        token_type: "Bearer".to_owned(),
        expires_in_seconds: 900,
    };
    let login =
        LoginResponse { tokens: Some(tokens), user: Some(ann()), ..LoginResponse::default() };
    let auth = Scripted::saying(login).await;
    let gateway = start_gateway(auth.channel.clone(), nowhere().await).await;
    let body = r#"{"email": "ann@example.com", "password": "pass word"}"#;
    let answer = gateway.post("/auth/login", body).await;

    assert_eq!(answer.status, 200);
    answer.assert_headers();
    assert_eq!(answer.json["message"], "Login successful");
    assert_eq!(answer.json["access_token"], "a.b.c");
    assert_eq!(answer.json["refresh_token"], "opaque");
    assert_eq!(answer.json["token_type"], "Bearer");
    assert_eq!(answer.json["expires_in"], 900);
    assert_eq!(answer.json["user"]["id"], 1);
    let asked = auth.only_call();
    assert_eq!(asked.path, "/auth.v1.AuthService/Login");
    let (identifier, password) = ("ann@example.com".to_owned(), "pass word".to_owned());
    let request = LoginRequest { identifier, password, ..LoginRequest::default() };
    assert_eq!(asked.message::<LoginRequest>(), request);
}

#[tokio::test]
async fn signing_in_with_a_wrong_password_is_401_without_msg() {
    let wrong = Rejection::new(Code::Unauthenticated, "auth.v1", "INVALID_CREDENTIALS", "prose");
    let auth = Scripted::refusing(wrong).await;
    let gateway = start_gateway(auth.channel, nowhere().await).await;
    let answer = gateway.post("/auth/login", r#"{"email": "a@b.example", "password": "x"}"#).await;
    answer.assert_problem(401, "INVALID_CREDENTIALS");
    assert_eq!(answer.json["message"], "Invalid email or password");
    assert_eq!(answer.headers["www-authenticate"], "Bearer");
    assert_eq!(answer.json.get("msg"), None);
}

#[tokio::test]
async fn signing_in_needs_both_members() {
    let gateway = start_gateway(nowhere().await, nowhere().await).await;
    let answer = gateway.post("/auth/login", r#"{"email": "a@b.example"}"#).await;
    answer.assert_problem(400, "INVALID_ARGUMENT");
    assert_eq!(answer.json["message"], "Missing email or password");
    assert_eq!(answer.errors(), [["password", "REQUIRED"]]);
}

#[tokio::test]
async fn a_registration_is_made_and_shown() {
    let registration = Registration {
        id: 9,
        user_id: 1,
        sport: "cricket".to_owned(),
        training_level: "intermediate".to_owned(),
        registration_date: Some(Timestamp { seconds: 1_769_860_800, nanos: 0 }),
        program_id: 4,
        status: RegistrationStatus::Waitlisted.into(),
        waitlist_position: 2,
    };
    let said = CreateRegistrationResponse { registration: Some(registration) };
    let training = Scripted::saying(said).await;
    let gateway = start_gateway(nowhere().await, training.channel.clone()).await;
    let request = gateway
        .request(http::Method::POST, "/registrations")
        .header("content-type", "application/json")
        .header("idempotency-key", "try-1");
    let body = r#"{"sport": "cricket", "training_level": "intermediate", "program_id": 4}"#;
    let answer = gateway.send(request.body(body.into()).expect("a request")).await;

    assert_eq!(answer.status, 201);
    answer.assert_headers();
    assert_eq!(
        answer.json,
        json!({
            "message": "Registration successful",
            "registration": {
                "id": 9,
                "user_id": 1,
                "sport": "cricket",
                "training_level": "intermediate",
                "registration_date": "2026-01-31T12:00:00.000000",
                "program_id": 4,
                "status": "waitlisted",
                "waitlist_position": 2,
            },
        })
    );
    assert_eq!(
        training.only_call().message::<CreateRegistrationRequest>(),
        CreateRegistrationRequest {
            sport: "cricket".to_owned(),
            training_level: "intermediate".to_owned(),
            program_id: 4,
            request_id: "try-1".to_owned(),
        }
    );
}

#[tokio::test]
async fn whether_a_registration_lacks_members_is_asked_after_the_token() {
    let missing = Rejection::new(Code::Unauthenticated, "training.v1", "TOKEN_MISSING", "prose");
    let training = Scripted::refusing(missing).await;
    let gateway = start_gateway(nowhere().await, training.channel.clone()).await;
    let answer = gateway.post("/registrations", "{}").await;
    answer.assert_problem(401, "TOKEN_MISSING");
    assert_eq!(answer.json["msg"], "Missing Authorization Header");
    let asked = training.only_call();
    assert_eq!(asked.message::<CreateRegistrationRequest>(), CreateRegistrationRequest::default());
}
