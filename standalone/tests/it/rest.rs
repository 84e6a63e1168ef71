//! `pavilion` over REST.

use http::{Method, header::AUTHORIZATION};
use serde_json::json;

use crate::{
    journey::{EMAIL, PASSWORD, account, log_in, register, travel},
    program::Home,
};

#[tokio::test]
async fn one_can_register_sign_in_and_register_for_training() {
    let home = Home::new();
    let pavilion = home.start(&[]).await;
    travel(&pavilion.http()).await;
    pavilion.stop().await;
}

#[tokio::test]
async fn a_password_is_hashed_at_the_default_cost_too() {
    let home = Home::new();
    let defaults = [("ARGON2_MEMORY_KIB", "19456"), ("ARGON2_ITERATIONS", "2")];
    let pavilion = home.start(&defaults).await;
    register(&pavilion.http()).await;
    log_in(&pavilion.http()).await;
}

#[tokio::test]
async fn a_name_or_an_address_that_is_taken_is_409() {
    let home = Home::new();
    let pavilion = home.start(&[]).await;
    let http = pavilion.http();
    register(&http).await;

    let again = http.post("/auth/register_user", account()).await;
    again.assert_problem(409, "USERNAME_TAKEN", "Username already exists");
    let body = json!({ "username": "other", "email": "USER@example.com", "password": PASSWORD });
    let again = http.post("/auth/register_user", body).await;
    again.assert_problem(409, "EMAIL_TAKEN", "Email already exists");
}

#[tokio::test]
async fn missing_members_are_400_in_the_documents_words() {
    let home = Home::new();
    let pavilion = home.start(&[]).await;
    let http = pavilion.http();
    register(&http).await;
    let [token, _] = log_in(&http).await;

    for body in [json!({}), json!({ "username": "a", "email": null, "password": "b" })] {
        let answer = http.post("/auth/register_user", body).await;
        let text = "Missing username, email, or password";
        answer.assert_problem(400, "INVALID_ARGUMENT", text);
    }
    let answer = http.post("/auth/login", json!({ "email": EMAIL })).await;
    answer.assert_problem(400, "INVALID_ARGUMENT", "Missing email or password");
    for body in [json!({}), json!({ "sport": "cricket" }), json!({ "training_level": "" })] {
        let answer = http.post_signed("/registrations", &token, body).await;
        answer.assert_problem(400, "INVALID_ARGUMENT", "Missing sport or training_level");
    }
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_address_are_the_same_401() {
    let home = Home::new();
    let pavilion = home.start(&[]).await;
    let http = pavilion.http();
    register(&http).await;
    for (email, password) in [(EMAIL, "not the password"), ("nobody@example.com", PASSWORD)] {
        let body = json!({ "email": email, "password": password });
        let answer = http.post("/auth/login", body).await;
        answer.assert_problem(401, "INVALID_CREDENTIALS", "Invalid email or password");
    }
}

#[tokio::test]
async fn a_missing_a_tampered_and_a_second_token_are_401_with_msg() {
    let home = Home::new();
    let pavilion = home.start(&[]).await;
    let http = pavilion.http();
    register(&http).await;
    let [token, _] = log_in(&http).await;

    let answer = http.send(http.request(Method::GET, "/registrations"), None).await;
    answer.assert_refused("TOKEN_MISSING", "Missing Authorization Header");

    let (signed, signature) = token.rsplit_once('.').expect("three segments");
    let (first, rest) = signature.split_at(1);
    let other = if first == "A" { "B" } else { "A" };
    let answer = http.get("/registrations", &format!("{signed}.{other}{rest}")).await;
    answer.assert_refused("TOKEN_SIGNATURE_INVALID", "Signature verification failed");

    let request = http.signed(Method::GET, "/registrations", &token);
    let request = request.header(AUTHORIZATION, format!("Bearer {token}"));
    http.send(request, None).await.assert_refused("TOKEN_MALFORMED", "Invalid token");

    assert_eq!(http.get("/registrations", &token).await.json, json!([]), "it is good by itself");
}
