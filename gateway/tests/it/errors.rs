//! Every error is one object, whoever finds it.

use bytes::Bytes;
use http::{Method, header};
use http_body_util::Full;
use proto::auth::v1::RevokeSessionRequest;
use service_kit::rejection::{Rejection, Violation};
use tonic::{Code, Status};

use crate::{
    connections::exchange,
    harness::{nowhere, start_alone, start_gateway},
    scripted::Scripted,
};

const ACCOUNT: &str = r#"{"username": "ann", "email": "ann@example.com", "password": "pass word"}"#;

#[tokio::test]
async fn an_unknown_path_is_404() {
    let gateway = start_alone().await;
    for path in ["/", "/nothing", "/registrations/", "/auth", "/%2e%2e/etc"] {
        gateway.get(path).await.assert_problem(404, "NOT_FOUND");
    }
}

#[tokio::test]
async fn a_name_that_is_no_text_names_nothing() {
    let unknown = Rejection::new(Code::NotFound, "auth.v1", "SESSION_NOT_FOUND", "prose");
    let auth = Scripted::refusing(unknown).await;
    let gateway = start_gateway(auth.channel.clone(), nowhere().await).await;
    for path in ["/docs/%ff", "/programs/%ff"] {
        gateway.get(path).await.assert_problem(404, "NOT_FOUND");
    }
    let request = gateway.request(Method::DELETE, "/sessions/%ff").body(Full::default());
    let answer = gateway.send(request.expect("a request")).await;
    answer.assert_problem(404, "SESSION_NOT_FOUND");
    let asked: RevokeSessionRequest = auth.calls()[0].message();
    assert_eq!(asked.session_id, "\u{fffd}", "the service looks at the token first");
}

#[tokio::test]
async fn a_wrong_method_is_405_and_told_the_right_ones() {
    let gateway = start_alone().await;
    let request = gateway.request(Method::DELETE, "/registrations").body(Full::default());
    let answer = gateway.send(request.expect("a request")).await;
    answer.assert_problem(405, "METHOD_NOT_ALLOWED");
    assert_eq!(answer.headers[header::ALLOW], "GET,HEAD,POST");

    let answer = gateway.get("/auth/login").await;
    answer.assert_problem(405, "METHOD_NOT_ALLOWED");
    assert_eq!(answer.headers[header::ALLOW], "POST");
}

#[tokio::test]
async fn a_body_over_64_kib_is_413_announced_or_not() {
    let gateway = start_alone().await;
    let too_large = format!(r#"{{"username": "{}"}}"#, "x".repeat(64 * 1024));
    for body in [too_large, "x".repeat(500_000), "x".repeat(5_000_000)] {
        let answer = gateway.post("/auth/register_user", body).await;
        answer.assert_problem(413, "PAYLOAD_TOO_LARGE");
    }
    let head = "POST /auth/register_user HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
                content-type: application/json\r\n";
    let body = "x".repeat(500_000);
    let chunked =
        format!("transfer-encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    let expecting = format!("content-length: {}\r\nexpect: 100-continue\r\n\r\n", body.len());
    for rest in [chunked, expecting] {
        let answer = exchange(&gateway, &format!("{head}{rest}")).await;
        assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
        assert!(answer.contains("\"PAYLOAD_TOO_LARGE\""), "{answer}");
    }
}

#[tokio::test]
async fn a_body_of_64_kib_is_read() {
    let gateway = start_alone().await;
    let body = format!(r#"{{"username": "{}"}}"#, "x".repeat(64 * 1024 - 16));
    assert_eq!(body.len(), 64 * 1024);
    gateway.post("/auth/register_user", body).await.assert_problem(400, "INVALID_ARGUMENT");
}

#[tokio::test]
async fn a_body_that_is_not_called_json_is_415() {
    let gateway = start_alone().await;
    let send = async |content_type: Option<&str>, body: &'static str| {
        let mut request = gateway.request(Method::POST, "/auth/login");
        if let Some(content_type) = content_type {
            request = request.header(header::CONTENT_TYPE, content_type);
        }
        let body = Full::new(Bytes::from_static(body.as_bytes()));
        gateway.send(request.body(body).expect("a request")).await
    };
    for content_type in [None, Some("text/plain"), Some("application/x-www-form-urlencoded")] {
        send(content_type, "{}").await.assert_problem(415, "UNSUPPORTED_MEDIA_TYPE");
    }
    let json = send(Some("Application/JSON; charset=utf-8"), "{}").await;
    json.assert_problem(400, "INVALID_ARGUMENT");
    send(None, "").await.assert_problem(400, "INVALID_ARGUMENT");
}

#[tokio::test]
async fn a_body_that_is_no_json_object_is_400() {
    let gateway = start_alone().await;
    for body in ["{", "nonsense", "null", "[]", "\"text\"", "7", "{\"email\": \"\\ud800\"}"] {
        let answer = gateway.post("/auth/login", body).await;
        answer.assert_problem(400, "INVALID_ARGUMENT");
        assert_eq!(answer.errors().len(), 1, "{answer:?}");
        assert_eq!(answer.errors()[0][0], "", "the body as a whole");
    }
    let answer = gateway.post("/auth/login", Bytes::from_static(b"{\"email\": \"\xff\"}")).await;
    answer.assert_problem(400, "INVALID_ARGUMENT");
}

#[tokio::test]
async fn a_request_of_http_1_names_its_host_once() {
    let gateway = start_alone().await;
    let ask = async |version: &str, hosts: &str| {
        let head = format!("GET /healthz HTTP/{version}\r\n{hosts}connection: close\r\n\r\n");
        exchange(&gateway, &head).await
    };
    for (version, hosts) in [
        ("1.1", ""),
        ("1.1", "host: a\r\nhost: a\r\n"),
        ("1.0", "host: a\r\nhost: b\r\n"),
        ("1.1", "host: a b\r\n"),
        ("1.1", "host: ann@club.example\r\n"),
    ] {
        let answer = ask(version, hosts).await;
        assert!(answer.contains(" 400 Bad Request\r\n"), "{version} {hosts}: {answer}");
        assert!(answer.contains("application/problem+json"), "{answer}");
        assert!(answer.contains(r#""field":"Host""#), "{answer}");
    }
    for (version, hosts) in [
        ("1.0", ""),
        ("1.1", "host: \r\n"),
        ("1.1", "host: club.example:80\r\n"),
        ("1.1", "host: [::1]:5000\r\n"),
        ("1.1", "host: my_club\r\n"),
    ] {
        let answer = ask(version, hosts).await;
        assert!(answer.contains(" 200 OK\r\n"), "{version} {hosts}: {answer}");
    }
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let gateway = start_alone().await;
    let request = gateway.request(Method::GET, "/healthz").header("x-large", "x".repeat(17_000));
    let answer = gateway.send(request.body(Full::default()).expect("a request")).await;
    answer.assert_problem(431, "HEADERS_TOO_LARGE");

    let answer = gateway.get(&format!("/healthz?{}", "x".repeat(9_000))).await;
    answer.assert_problem(414, "URI_TOO_LONG");
}

#[tokio::test]
async fn the_callers_request_id_comes_back_if_it_is_one() {
    let gateway = start_alone().await;
    let id_for = async |id: &str| {
        let request = gateway.request(Method::GET, "/nothing").header("x-request-id", id);
        let answer = gateway.send(request.body(Full::default()).expect("a request")).await;
        answer.assert_problem(404, "NOT_FOUND");
        answer.json["request_id"].as_str().expect("an id").to_owned()
    };
    assert_eq!(id_for("Order-7_a.b").await, "Order-7_a.b");
    for bad in ["", "two words", "a/b", &"x".repeat(65)] {
        let made = id_for(bad).await;
        assert!(made.len() == 32 && made.bytes().all(|byte| byte.is_ascii_hexdigit()), "{made}");
    }
}

#[tokio::test]
async fn a_service_that_is_down_is_503_with_a_pause() {
    let gateway = start_alone().await;
    for answer in [
        gateway.post("/auth/register_user", ACCOUNT).await,
        gateway.post("/registrations", r#"{"sport": "cricket", "training_level": "a"}"#).await,
        gateway.get("/registrations").await,
    ] {
        answer.assert_problem(503, "UNAVAILABLE");
        assert_eq!(answer.headers[header::RETRY_AFTER], "1");
    }
}

#[tokio::test]
async fn a_refused_token_is_401_with_a_challenge_and_msg() {
    let training = Scripted::refusing(
        Rejection::new(Code::Unauthenticated, "training.v1", "TOKEN_MISSING", "prose")
            .with("problem", "scheme"),
    );
    let gateway = start_gateway(nowhere().await, training.await.channel).await;
    let answer = gateway.get("/registrations").await;
    answer.assert_problem(401, "TOKEN_MISSING");
    assert_eq!(answer.headers[header::WWW_AUTHENTICATE], "Bearer");
    let text = "Missing 'Bearer' type in 'Authorization' header. \
                Expected 'Authorization: Bearer <JWT>'";
    assert_eq!(answer.json["msg"], text);
    assert_eq!(answer.json["message"], text);
}

#[tokio::test]
async fn a_fault_of_a_service_is_500_without_its_prose() {
    let auth = Scripted::refusing(Status::internal("relation \"users\" does not exist")).await;
    let gateway = start_gateway(auth.channel, nowhere().await).await;
    let answer = gateway.post("/auth/register_user", ACCOUNT).await;
    answer.assert_problem(500, "INTERNAL");
    assert_eq!(answer.json["message"], "Internal server error");
    assert!(!answer.json.to_string().contains("relation"), "{answer:?}");
}

#[tokio::test]
async fn a_service_that_breaks_its_contract_is_500() {
    let auth = Scripted::saying(proto::auth::v1::RegisterResponse { user: None }).await;
    let gateway = start_gateway(auth.channel, nowhere().await).await;
    gateway.post("/auth/register_user", ACCOUNT).await.assert_problem(500, "INTERNAL");
}

#[tokio::test]
async fn wrong_types_and_missing_members_are_told_at_once_without_asking_the_service() {
    let training = Scripted::refusing(Status::internal("must not be asked")).await;
    let gateway = start_gateway(nowhere().await, training.channel.clone()).await;

    let answer = gateway.post("/auth/register_user", r#"{"username": 7, "email": null}"#).await;
    answer.assert_problem(400, "INVALID_ARGUMENT");
    assert_eq!(answer.json["message"], "Missing username, email, or password");
    let expected = [["username", "INVALID_TYPE"], ["email", "REQUIRED"], ["password", "REQUIRED"]];
    assert_eq!(answer.errors(), expected);

    for program_id in ["1.0", "\"1\""] {
        let body = format!(r#"{{"program_id": {program_id}}}"#);
        let answer = gateway.post("/registrations", body).await;
        answer.assert_problem(400, "INVALID_ARGUMENT");
        assert_eq!(answer.json["message"], "program_id must be an integer of 64 bits");
        assert_eq!(answer.errors(), [["program_id", "INVALID_TYPE"]], "the program has the rest");
    }
    let answer = gateway.post("/registrations", r#"{"program_id": null, "sport": 7}"#).await;
    assert_eq!(answer.json["message"], "Missing sport or training_level");
    assert_eq!(answer.errors(), [["sport", "INVALID_TYPE"], ["training_level", "REQUIRED"]]);

    let answer = gateway.post("/registrations", r#"{"sport": [], "program_id": 4}"#).await;
    assert_eq!(answer.errors(), [["sport", "INVALID_TYPE"]], "the program has the level");
    assert_eq!(answer.json["message"], "sport must be a string");
    assert_eq!(training.calls().len(), 0);
}

#[tokio::test]
async fn the_services_violations_are_told_in_the_names_that_the_client_sent() {
    let auth = Scripted::refusing(Rejection::invalid(
        "auth.v1",
        vec![
            Violation::new("identifier", "TOO_LONG", "identifier must be shorter"),
            Violation::new("password", "TOO_LONG", "password must be shorter"),
        ],
    ));
    let gateway = start_gateway(auth.await.channel, nowhere().await).await;
    let answer = gateway.post("/auth/login", r#"{"email": "a@b.example", "password": "x"}"#).await;
    answer.assert_problem(400, "INVALID_ARGUMENT");
    assert_eq!(answer.errors(), [["email", "TOO_LONG"], ["password", "TOO_LONG"]]);
    assert_eq!(answer.json["message"], "email must be shorter");
}

#[tokio::test]
async fn a_locked_account_is_423_until_then() {
    let locked = Rejection::new(Code::ResourceExhausted, "auth.v1", "ACCOUNT_LOCKED", "prose")
        .retry_after(std::time::Duration::from_millis(899_001));
    let auth = Scripted::refusing(locked).await;
    let gateway = start_gateway(auth.channel, nowhere().await).await;
    let answer = gateway.post("/auth/login", r#"{"email": "a@b.example", "password": "x"}"#).await;
    answer.assert_problem(423, "ACCOUNT_LOCKED");
    assert_eq!(answer.headers[header::RETRY_AFTER], "900");
    assert_eq!(answer.json["message"], "Account is locked. Please try again later.");
}
