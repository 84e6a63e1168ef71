//! Which tokens are refused, and with which reason.

use std::time::Duration;

use proto::training::v1::{
    CreateRegistrationRequest, GetRegistrationRequest, ListRegistrationsRequest,
};
use serde_json::{Value, json};
use service_kit::{
    channel::RpcChannel,
    rejection::Rejection,
    testing::{DatabaseKind, ManualClock, TestDatabase},
};
use tokio::net::TcpListener;
use tonic::{Code, Request, Status};

use crate::{
    auth_peer::{AuthPeer, SigningKey, TOKEN_LIFETIME, base64url},
    service::{Service, reason},
};

const MICROSECOND: Duration = Duration::from_micros(1);

/// Lists with these `authorization` headers.
async fn list(service: &Service, authorization: &[&str]) -> Result<(), Rejection> {
    let mut request = Request::new(ListRegistrationsRequest::default());
    for value in authorization {
        request.metadata_mut().append("authorization", value.parse().expect("a header value"));
    }
    let answer = service.client().list_registrations(request).await;
    answer.map(drop).map_err(|status| Rejection::from(&status))
}

/// Lists with this token.
async fn list_with(service: &Service, token: &str) -> Result<(), Rejection> {
    list(service, &[&format!("Bearer {token}")]).await
}

/// `object` with `changes`; null takes a member away.
fn with(mut object: Value, changes: &Value) -> Value {
    for (name, value) in changes.as_object().expect("an object") {
        if value.is_null() {
            object.as_object_mut().expect("an object").remove(name);
        } else {
            object[name] = value.clone();
        }
    }
    object
}

/// Signs good headers and claims with these changes.
fn changed(auth: &AuthPeer, header: &Value, claims: &Value) -> String {
    auth.key.sign(&with(auth.header(), header), &with(auth.claims(7, &["user"]), claims))
}

/// Tokens that are not of the form of ours, each with `ErrorInfo.metadata["problem"]`.
fn malformed(auth: &AuthPeer) -> Vec<(&'static str, String, Option<&'static str>)> {
    let good = auth.token(7, &["user"]);
    let (header, claims) = (auth.header(), auth.claims(7, &["user"]));
    let header_as = |changes| changed(auth, &changes, &json!({}));
    let claims_as = |changes| changed(auth, &json!({}), &changes);
    let segments: Vec<_> = good.split('.').collect();
    let (payload, signature) = (segments[1], segments[2]);
    let unsigned = base64url(with(header.clone(), &json!({ "alg": "none" })).to_string());
    let symmetric = with(header.clone(), &json!({ "alg": "HS256" }));
    vec![
        ("no token", String::new(), Some("segments")),
        ("one segment", "abc".to_owned(), Some("segments")),
        ("two segments", format!("{}.{payload}", segments[0]), Some("segments")),
        ("two long segments", format!("{payload}.{}", "x".repeat(9 * 1024)), Some("segments")),
        ("two segments of whatever", "!.%".to_owned(), Some("segments")),
        ("four segments", format!("{good}.{signature}"), None),
        ("a header that is not base64", format!("!.{payload}.{signature}"), Some("header")),
        ("a header with padding", format!("e30=.{payload}.{signature}"), Some("header")),
        (
            "a header that is not JSON",
            format!("{}.{payload}.{signature}", base64url("{")),
            Some("header"),
        ),
        ("alg none", format!("{unsigned}.{payload}."), None),
        ("alg none, signed", header_as(json!({ "alg": "none" })), None),
        ("alg HS256 with the public key", auth.key.sign_as_hs256(&symmetric, &claims), None),
        ("no alg", header_as(json!({ "alg": null })), None),
        ("typ JWT", header_as(json!({ "typ": "JWT" })), None),
        ("no typ", header_as(json!({ "typ": null })), None),
        ("no kid", header_as(json!({ "kid": null })), None),
        ("a critical extension", header_as(json!({ "crit": ["exp"] })), None),
        ("a payload that is not JSON", auth.key.sign_text(&header, "{"), None),
        ("a user 0", claims_as(json!({ "sub": "0" })), None),
        ("a user without a number", claims_as(json!({ "sub": "seven" })), None),
        ("a user that is no string", claims_as(json!({ "sub": 7 })), None),
        ("no sub", claims_as(json!({ "sub": null })), None),
        ("no exp", claims_as(json!({ "exp": null })), None),
        ("no iat", claims_as(json!({ "iat": null })), None),
        ("no aud", claims_as(json!({ "aud": null })), None),
        ("no jti", claims_as(json!({ "jti": null })), None),
        ("no sid", claims_as(json!({ "sid": null })), None),
        ("no client_id", claims_as(json!({ "client_id": null })), None),
        ("no roles", claims_as(json!({ "roles": null })), None),
        ("too long", claims_as(json!({ "client_id": "x".repeat(8 * 1024) })), None),
    ]
}

/// Tokens that are signed by nobody we know, or changed since.
fn badly_signed(auth: &AuthPeer) -> Vec<(&'static str, String)> {
    let (header, claims) = (auth.header(), auth.claims(7, &["user"]));
    let good = auth.token(7, &["user"]);
    let segments: Vec<_> = good.split('.').collect();
    let (head, payload, signature) = (segments[0], segments[1], segments[2]);
    let promoted = base64url(auth.claims(7, &["admin"]).to_string());
    let stranger = SigningKey::new("key-unknown");
    let impostor = SigningKey::new(&auth.key.kid);
    let unknown = with(header.clone(), &json!({ "kid": stranger.kid }));
    vec![
        ("an unknown kid", stranger.sign(&unknown, &claims)),
        ("another key under a known kid", impostor.sign(&header, &claims)),
        ("another algorithm than the key's", changed(auth, &json!({ "alg": "ES256" }), &json!({}))),
        ("a changed payload", format!("{head}.{promoted}.{signature}")),
        ("no signature", format!("{head}.{payload}.")),
        ("half a signature", format!("{head}.{payload}.{}", &signature[..43])),
        ("a signature that is not base64", format!("{head}.{payload}.!")),
    ]
}

/// Claims of a token that is not for us, or not now.
fn unaccepted(now: i64) -> Vec<(Value, &'static str)> {
    vec![
        (json!({ "iss": "elsewhere" }), "TOKEN_CLAIMS_INVALID"),
        (json!({ "aud": "elsewhere" }), "TOKEN_CLAIMS_INVALID"),
        (json!({ "aud": [] }), "TOKEN_CLAIMS_INVALID"),
        (json!({ "aud": ["elsewhere", "Pavilion"] }), "TOKEN_CLAIMS_INVALID"),
        (json!({ "nbf": now + 1 }), "TOKEN_CLAIMS_INVALID"),
        (json!({ "exp": now }), "TOKEN_EXPIRED"),
        (json!({ "exp": 0 }), "TOKEN_EXPIRED"),
        (json!({ "exp": i64::MIN }), "TOKEN_EXPIRED"),
        (json!({ "exp": now, "iss": "elsewhere" }), "TOKEN_CLAIMS_INVALID"),
    ]
}

#[tokio::test]
async fn every_call_needs_a_token() {
    let database = TestDatabase::create(DatabaseKind::Sqlite).await;
    let service = Service::start(&database).await;
    let mut client = service.client();
    let refused: [Status; 3] = [
        client.create_registration(CreateRegistrationRequest::default()).await.unwrap_err(),
        client.get_registration(GetRegistrationRequest::default()).await.unwrap_err(),
        client.list_registrations(ListRegistrationsRequest::default()).await.unwrap_err(),
    ];
    for status in &refused {
        let rejection = Rejection::from(status);
        assert_eq!(reason(&rejection), (Code::Unauthenticated, "TOKEN_MISSING"));
        assert!(rejection.metadata.is_empty() && rejection.violations.is_empty());
    }
}

#[tokio::test]
async fn a_header_without_one_bearer_token_is_refused() {
    let database = TestDatabase::create(DatabaseKind::Sqlite).await;
    let service = Service::start(&database).await;
    let good = format!("Bearer {}", service.auth.token(7, &["user"]));
    let bare = service.auth.token(7, &["user"]);
    let cases: [(&[&str], &str, Option<&str>); 6] = [
        (&[], "TOKEN_MISSING", None),
        (&["Basic dXNlcjpwYXNz"], "TOKEN_MISSING", Some("scheme")),
        (&[&bare], "TOKEN_MISSING", Some("scheme")),
        (&[""], "TOKEN_MISSING", None),
        (&[&good, &good], "TOKEN_MALFORMED", Some("duplicate")),
        (&["Basic dXNlcjpwYXNz", &good], "TOKEN_MALFORMED", Some("duplicate")),
    ];
    for (headers, expected, problem) in cases {
        let rejection = list(&service, headers).await.expect_err("refused");
        assert_eq!(reason(&rejection), (Code::Unauthenticated, expected), "{headers:?}");
        assert_eq!(rejection.metadata.get("problem").map(String::as_str), problem, "{headers:?}");
    }
}

#[tokio::test]
async fn a_token_of_another_form_is_malformed() {
    let database = TestDatabase::create(DatabaseKind::Sqlite).await;
    let service = Service::start(&database).await;
    for (name, token, problem) in malformed(&service.auth) {
        let rejection = list_with(&service, &token).await.expect_err(name);
        assert_eq!(reason(&rejection), (Code::Unauthenticated, "TOKEN_MALFORMED"), "{name}");
        assert_eq!(rejection.metadata.get("problem").map(String::as_str), problem, "{name}");
    }
}

#[tokio::test]
async fn a_token_that_nobody_known_signed_is_refused() {
    let database = TestDatabase::create(DatabaseKind::Sqlite).await;
    let service = Service::start(&database).await;
    for (name, token) in badly_signed(&service.auth) {
        let rejection = list_with(&service, &token).await.expect_err(name);
        let expected = (Code::Unauthenticated, "TOKEN_SIGNATURE_INVALID");
        assert_eq!(reason(&rejection), expected, "{name}");
    }
}

#[tokio::test]
async fn a_token_for_others_or_another_time_is_refused() {
    let database = TestDatabase::create(DatabaseKind::Sqlite).await;
    let service = Service::start(&database).await;
    for (claims, expected) in unaccepted(service.clock.clock().now().seconds()) {
        let token = changed(&service.auth, &json!({}), &claims);
        let rejection = list_with(&service, &token).await.expect_err("refused");
        assert_eq!(reason(&rejection), (Code::Unauthenticated, expected), "{claims}");
    }
}

#[tokio::test]
async fn a_token_expires_at_the_second_it_says() {
    let database = TestDatabase::create(DatabaseKind::Sqlite).await;
    let service = Service::start(&database).await;
    let token = service.auth.token(7, &["user"]);
    service.clock.advance(TOKEN_LIFETIME.saturating_sub(MICROSECOND));
    list_with(&service, &token).await.expect("still good");
    service.clock.advance(MICROSECOND);
    let rejection = list_with(&service, &token).await.expect_err("expired");
    assert_eq!(reason(&rejection), (Code::Unauthenticated, "TOKEN_EXPIRED"));
}

#[tokio::test]
async fn a_good_token_may_be_spelt_in_several_ways() {
    let database = TestDatabase::create(DatabaseKind::Sqlite).await;
    let service = Service::start(&database).await;
    let now = service.clock.clock().now().seconds();
    let good = [
        changed(&service.auth, &json!({}), &json!({ "aud": ["elsewhere", "pavilion"] })),
        changed(&service.auth, &json!({}), &json!({ "nbf": now, "scope": "more" })),
        changed(&service.auth, &json!({ "typ": "application/AT+JWT" }), &json!({})),
        changed(&service.auth, &json!({ "jku": "https://evil.example/keys" }), &json!({})),
    ];
    for token in good {
        list_with(&service, &token).await.expect("good");
        list(&service, &[&format!("bEARER  {token} ")]).await.expect("good");
    }
}

#[tokio::test]
async fn a_new_key_is_fetched_when_a_token_names_it() {
    let database = TestDatabase::create(DatabaseKind::Sqlite).await;
    let service = Service::start(&database).await;
    let next = SigningKey::new("key-2");
    let header = with(service.auth.header(), &json!({ "kid": "key-2" }));
    let token = next.sign(&header, &service.auth.claims(7, &["user"]));
    let rejection = list_with(&service, &token).await.expect_err("not known yet");
    assert_eq!(reason(&rejection), (Code::Unauthenticated, "TOKEN_SIGNATURE_INVALID"));

    service.auth.publish(&next);
    // Unknown keys cause at most one fetch a second.
    service.clock.advance(Duration::from_secs(1));
    list_with(&service, &token).await.expect("good");
}

#[tokio::test]
async fn while_auth_service_is_down_no_token_is_judged() {
    let database = TestDatabase::create(DatabaseKind::Sqlite).await;
    let clock = ManualClock::default();
    let mut auth = AuthPeer::start(clock.clock()).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    drop(listener);
    auth.channel = RpcChannel::balanced(&[url.parse().expect("a URL")]);
    let service = Service::start_with(&database, auth, clock).await;

    let token = service.auth.token(7, &["user"]);
    let rejection = list_with(&service, &token).await.expect_err("cannot be judged");
    assert_eq!(reason(&rejection), (Code::Unavailable, "AUTH_UNAVAILABLE"));
    assert_eq!(rejection.retry_after, Some(Duration::from_secs(1)));
    // What needs no key to be refused still is.
    let rejection = list_with(&service, "a.b").await.expect_err("refused");
    assert_eq!(reason(&rejection), (Code::Unauthenticated, "TOKEN_MALFORMED"));
}

#[tokio::test]
async fn tokens_are_judged_again_when_auth_service_is_back() {
    let database = TestDatabase::create(DatabaseKind::Sqlite).await;
    let clock = ManualClock::default();
    let auth = AuthPeer::start(clock.clock()).await;
    auth.set_failing(true);
    let service = Service::start_with(&database, auth, clock).await;
    let token = service.auth.token(7, &["user"]);
    let rejection = list_with(&service, &token).await.expect_err("cannot be judged");
    assert_eq!(reason(&rejection), (Code::Unavailable, "AUTH_UNAVAILABLE"));

    service.auth.set_failing(false);
    service.clock.advance(Duration::from_secs(1));
    list_with(&service, &token).await.expect("good");
}

#[tokio::test]
async fn an_ended_session_is_refused_without_a_question_to_auth_service() {
    let database = TestDatabase::create(DatabaseKind::Sqlite).await;
    let service = Service::start(&database).await;
    let token = service.auth.token(7, &["user"]);
    list_with(&service, &token).await.expect("good");
    let asked = service.auth.times_asked();
    service.auth.revoke_session("session-1");
    // The news is on its way.
    let rejection = loop {
        match list_with(&service, &token).await {
            Ok(()) => tokio::task::yield_now().await,
            Err(rejection) => break rejection,
        }
    };
    assert_eq!(reason(&rejection), (Code::Unauthenticated, "TOKEN_REVOKED"));
    assert_eq!(service.auth.times_asked(), asked);
}

#[tokio::test]
async fn news_that_are_too_old_are_asked_for_and_without_an_answer_nobody_is_let_in() {
    let database = TestDatabase::create(DatabaseKind::Sqlite).await;
    let service = Service::start(&database).await;
    let token = service.auth.token(7, &["user"]);
    list_with(&service, &token).await.expect("good");
    service.auth.set_failing(true);
    // From here on no sign of life comes, and what is known grows old.
    let rejection = loop {
        service.clock.advance(Duration::from_millis(300));
        match list_with(&service, &token).await {
            Ok(()) => tokio::task::yield_now().await,
            Err(rejection) => break rejection,
        }
    };
    assert_eq!(reason(&rejection), (Code::Unavailable, "AUTH_UNAVAILABLE"));
    service.auth.set_failing(false);
    let asked = service.auth.times_asked();
    list_with(&service, &token).await.expect("asked for, and good");
    assert!(service.auth.times_asked() > asked);
}
