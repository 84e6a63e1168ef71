//! What families of routes make of odd answers of auth-service.

use gateway::Config;
use http::{Method, StatusCode};
use http_body_util::Full;
use proto::auth::v1::{
    LoginResponse, LogoutRequest, LogoutResponse, RegisterResponse, Tokens, User,
};
use service_kit::rejection::Rejection;
use tonic::{Code, Status};

use crate::{
    harness::{nowhere, start_gateway, start_with},
    scripted::Scripted,
};

#[tokio::test]
async fn a_fault_of_ours_is_worded_by_the_family() {
    let fault = Status::internal("relation \"users\" does not exist");
    let body = r#"{"username": "ann", "password": "pass word"}"#;
    for auth in
        [Scripted::refusing(fault).await, Scripted::saying(RegisterResponse { user: None }).await]
    {
        let gateway = start_gateway(auth.channel, nowhere().await).await;
        for (path, text) in
            [("/register", "Registration failed"), ("/api/auth/register", "Internal server error")]
        {
            let answer = gateway.post(path, body).await;
            answer.assert_problem(500, "INTERNAL");
            assert_eq!(answer.json["message"], text);
        }
    }
}

#[tokio::test]
async fn an_account_that_is_disabled_is_403_in_every_family() {
    let disabled = Rejection::new(Code::PermissionDenied, "auth.v1", "ACCOUNT_DISABLED", "prose");
    let auth = Scripted::refusing(disabled).await;
    let gateway = start_gateway(auth.channel, nowhere().await).await;
    for path in ["/auth/login", "/api/auth/login", "/login"] {
        let answer = gateway.post(path, r#"{"email": "a@b.example", "password": "x"}"#).await;
        answer.assert_problem(403, "ACCOUNT_DISABLED");
        assert_eq!(answer.json["message"], "Account is disabled");
    }
}

#[tokio::test]
async fn a_token_that_fits_no_header_or_cookie_is_a_fault_of_ours() {
    let login = |access_token: &str, device_token: &str| {
        let tokens = Tokens { access_token: access_token.to_owned(), ..Tokens::default() };
        LoginResponse {
            tokens: Some(tokens),
            user: Some(User::default()),
            device_token: device_token.to_owned(),
            ..LoginResponse::default()
        }
    };
    for said in [login("a\nb", ""), login("a.b.c", "1; Domain=example.com")] {
        let auth = Scripted::saying(said).await;
        let gateway = start_gateway(auth.channel, nowhere().await).await;
        let body = r#"{"username": "ann", "password": "pass word"}"#;
        let answer = gateway.post("/login", body).await;
        answer.assert_problem(500, "INTERNAL");
        assert!(!answer.headers.contains_key("set-cookie"), "{answer:?}");
    }
}

#[tokio::test]
async fn the_cookie_does_not_stand_in_where_the_token_could_not_be_judged() {
    let away = Rejection::new(Code::Unavailable, "auth.v1", "DATABASE_UNAVAILABLE", "prose");
    let auth = Scripted::refusing(away).await;
    let gateway = start_gateway(auth.channel.clone(), nowhere().await).await;
    let request = gateway
        .request(Method::POST, "/auth/logout")
        .header("authorization", "Bearer a.b.c")
        .header("cookie", "session=s.t");
    let answer = gateway.send(request.body(Full::default()).expect("a request")).await;
    answer.assert_problem(503, "DATABASE_UNAVAILABLE");
    assert_eq!(auth.only_call().message::<LogoutRequest>(), LogoutRequest::default());
}

#[tokio::test]
async fn the_cookie_alone_ends_its_session() {
    let auth = Scripted::saying(LogoutResponse {}).await;
    let gateway = start_gateway(auth.channel.clone(), nowhere().await).await;
    let request = gateway.request(Method::POST, "/auth/logout").header("cookie", "session=s.t");
    let answer = gateway.send(request.body(Full::default()).expect("a request")).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(auth.only_call().message::<LogoutRequest>().logout_token, "s.t");
}

#[tokio::test]
async fn the_cookie_is_heeded_from_our_own_pages_and_those_of_listed_origins_alone() {
    let auth = Scripted::saying(LogoutResponse {}).await;
    let allowed_origins = "https://club.example".parse().expect("an origin");
    let config = Config::new(auth.channel.clone(), nowhere().await);
    let gateway = start_with(Config { allowed_origins, ..config }).await;
    let ours = format!("http://{}", gateway.address);
    let sibling = "http://127.0.0.1:1";
    for (site, origin, token) in [
        ("same-origin", &*ours, "s.t"),
        ("same-site", sibling, ""),
        ("same-site", "https://club.example", "s.t"),
        ("cross-site", "https://club.example", "s.t"),
        ("cross-site", "https://evil.example", ""),
    ] {
        let request = gateway
            .request(Method::POST, "/auth/logout")
            .header("cookie", "session=s.t")
            .header("sec-fetch-site", site)
            .header("origin", origin);
        gateway.send(request.body(Full::default()).expect("a request")).await;
        let call = auth.calls().pop().expect("a call");
        assert_eq!(call.message::<LogoutRequest>().logout_token, token, "{site} {origin}");
    }
}

#[tokio::test]
async fn head_answers_as_get_does_and_other_methods_are_told_which_there_are() {
    let auth = Scripted::saying(proto::auth::v1::GetJwksResponse::default()).await;
    let gateway = start_gateway(auth.channel, nowhere().await).await;
    let send = async |method, path| {
        let request = gateway.request(method, path).body(Full::default());
        gateway.send(request.expect("a request")).await
    };
    let head = send(Method::HEAD, "/.well-known/jwks.json").await;
    assert_eq!(
        (head.status, head.headers["content-length"].as_bytes()),
        (StatusCode::OK, &b"11"[..])
    );
    for (path, allowed) in [
        ("/api/users", "GET,HEAD"),
        ("/api/users/1", "GET,HEAD,PUT,DELETE"),
        ("/sessions/x", "DELETE"),
        ("/update-profile", "PUT"),
        ("/account", "DELETE"),
    ] {
        let answer = send(Method::PATCH, path).await;
        answer.assert_problem(405, "METHOD_NOT_ALLOWED");
        assert_eq!(answer.headers["allow"], allowed, "{path}");
    }
}
