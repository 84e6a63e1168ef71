//! What document 000 is for: register, sign in, register for training, look it up.

use serde_json::{Value, json};

use crate::http_client::Http;

pub(crate) const EMAIL: &str = "user@example.com";
pub(crate) const PASSWORD: &str = "securepassword123";

/// The body that makes the account of the documents' examples.
pub(crate) fn account() -> Value {
    json!({ "username": "newuser", "email": EMAIL, "password": PASSWORD })
}

/// Makes that account.
pub(crate) async fn register(http: &Http) {
    let answer = http.post("/auth/register_user", account()).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    assert_eq!(answer.json["message"], "User registered successfully", "{answer:?}");
    assert_eq!(answer.json["user"]["id"], 1, "{answer:?}");
    assert!(!answer.json.to_string().contains(PASSWORD), "{answer:?}");
}

/// Signs in to that account: an access token and a refresh token.
pub(crate) async fn log_in(http: &Http) -> [String; 2] {
    let answer = http.post("/auth/login", json!({ "email": EMAIL, "password": PASSWORD })).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json["message"], "Login successful", "{answer:?}");
    ["access_token", "refresh_token"]
        .map(|member| answer.json[member].as_str().expect("a token").to_owned())
}

/// Goes the whole way, and ends with an access token and one registration.
pub(crate) async fn travel(http: &Http) -> String {
    register(http).await;
    let [token, _] = log_in(http).await;
    register_for_training(http, &token).await;
    token
}

/// Makes the first registration of all, and looks it up.
pub(crate) async fn register_for_training(http: &Http, token: &str) {
    let body = json!({ "sport": "cricket", "training_level": "intermediate" });
    let made = http.post_signed("/registrations", token, body).await;
    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!(made.json["message"], "Registration successful", "{made:?}");
    let registration = &made.json["registration"];
    assert_eq!((&registration["id"], &registration["user_id"]), (&json!(1), &json!(1)));
    assert_eq!(registration["sport"], "cricket");
    assert_eq!(registration["training_level"], "intermediate");
    assert_has_six_fractional_digits(&registration["registration_date"]);

    let list = http.get("/registrations", token).await;
    assert_eq!(list.status, 200, "{list:?}");
    assert_eq!(list.json, json!([registration]), "an array of what was made");
}

/// `YYYY-MM-DDTHH:MM:SS.ffffff`.
fn assert_has_six_fractional_digits(date: &Value) {
    let date = date.as_str().expect("text");
    let form: String = date.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    assert_eq!(form, "0000-00-00T00:00:00.000000", "{date}");
}
