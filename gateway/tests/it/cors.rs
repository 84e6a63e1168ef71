//! Pages of other origins: preflights, and answers that they may read.

use gateway::{Config, limits::Limits, rate::RequestRate};
use http::{HeaderMap, Method};
use http_body_util::Full;
use service_kit::testing::ManualClock;

use crate::harness::{Answer, TestGateway, nowhere, start_alone, start_with};

const CLUB: &str = "https://club.example";

async fn start_allowing(origins: &str, limits: Limits) -> TestGateway {
    let allowed_origins = origins.parse().expect("origins");
    let nowhere = nowhere().await;
    start_with(Config { allowed_origins, limits, ..Config::new(nowhere.clone(), nowhere) }).await
}

async fn ask(gateway: &TestGateway, method: Method, path: &str, origin: &str) -> Answer {
    let request = gateway.request(method, path).header("origin", origin);
    gateway.send(request.body(Full::default()).expect("a request")).await
}

async fn preflight(gateway: &TestGateway, path: &str, origin: &str) -> Answer {
    let request = gateway
        .request(Method::OPTIONS, path)
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization,content-type");
    gateway.send(request.body(Full::default()).expect("a request")).await
}

fn words(headers: &HeaderMap, name: &str) -> Vec<String> {
    let text = headers[name].to_str().expect("ASCII").to_ascii_lowercase();
    text.split(',').map(|word| word.trim().to_owned()).collect()
}

#[tokio::test]
async fn a_preflight_of_a_listed_origin_is_told_what_it_may_do() {
    let gateway = start_allowing("https://other.example,https://club.example", Limits::default());
    let gateway = gateway.await;
    for path in ["/registrations", "/auth/login", "/no-such-route"] {
        let answer = preflight(&gateway, path, CLUB).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.headers["access-control-allow-origin"], CLUB);
        assert_eq!(answer.headers["access-control-allow-credentials"], "true");
        assert_eq!(answer.headers["access-control-max-age"], "3600");
        assert_eq!(words(&answer.headers, "vary"), ["origin"]);
        let methods = words(&answer.headers, "access-control-allow-methods");
        assert_eq!(methods, ["get", "head", "post", "put", "patch", "delete"]);
        let headers = words(&answer.headers, "access-control-allow-headers");
        let expected =
            ["authorization", "content-type", "idempotency-key", "if-match", "x-request-id"];
        assert_eq!(headers, expected);
        answer.assert_headers();
    }
}

#[tokio::test]
async fn errors_can_be_read_by_a_page_too() {
    let limits = Limits { requests_max: 0, ..Limits::default() };
    let (open, full) =
        (start_allowing(CLUB, Limits::default()).await, start_allowing(CLUB, limits).await);
    let too_long = format!("/healthz?{}", "x".repeat(9_000));
    let answers = [
        (200, ask(&open, Method::GET, "/healthz", CLUB).await),
        (404, ask(&open, Method::GET, "/nothing", CLUB).await),
        (405, ask(&open, Method::DELETE, "/healthz", CLUB).await),
        (414, ask(&open, Method::GET, &too_long, CLUB).await),
        (400, ask(&open, Method::POST, "/auth/login", CLUB).await),
        (429, ask(&full, Method::GET, "/registrations", CLUB).await),
        (503, ask(&open, Method::GET, "/registrations", CLUB).await),
    ];
    for (status, answer) in answers {
        assert_eq!(answer.status, status, "{answer:?}");
        assert_eq!(answer.headers["access-control-allow-origin"], CLUB, "{answer:?}");
        assert_eq!(answer.headers["access-control-allow-credentials"], "true", "{answer:?}");
        assert_eq!(words(&answer.headers, "vary"), ["origin"], "{answer:?}");
        let exposed = words(&answer.headers, "access-control-expose-headers");
        for name in [
            "authorization",
            "etag",
            "link",
            "ratelimit",
            "ratelimit-policy",
            "retry-after",
            "x-request-id",
        ] {
            assert!(exposed.iter().any(|one| one == name), "{exposed:?}");
        }
    }
}

#[tokio::test]
async fn an_origin_that_is_not_listed_gets_no_leave() {
    let gateway = start_allowing(CLUB, Limits::default()).await;
    for origin in
        ["https://evil.example", "https://club.example.evil", "null", "http://club.example"]
    {
        for answer in [
            preflight(&gateway, "/registrations", origin).await,
            ask(&gateway, Method::GET, "/healthz", origin).await,
        ] {
            assert_eq!(answer.headers.get("access-control-allow-origin"), None, "{origin}");
            assert_eq!(answer.headers.get("access-control-allow-credentials"), None, "{origin}");
            assert_eq!(words(&answer.headers, "vary"), ["origin"], "a cache must not mix them up");
        }
    }
}

#[tokio::test]
async fn every_origin_is_allowed_by_an_asterisk_but_not_with_cookies() {
    let gateway = start_allowing("*", Limits::default()).await;
    for answer in [
        preflight(&gateway, "/registrations", CLUB).await,
        ask(&gateway, Method::GET, "/nothing", "null").await,
    ] {
        assert_eq!(answer.headers["access-control-allow-origin"], "*");
        assert_eq!(answer.headers.get("access-control-allow-credentials"), None);
        assert_eq!(answer.headers.get("vary"), None);
    }
}

#[tokio::test]
async fn without_the_setting_there_is_no_cors() {
    let gateway = start_alone().await;
    preflight(&gateway, "/registrations", CLUB).await.assert_problem(405, "METHOD_NOT_ALLOWED");
    let answer = ask(&gateway, Method::GET, "/healthz", CLUB).await;
    let named = |name: &str| name.starts_with("access-control-") || name == "vary";
    assert!(!answer.headers.keys().any(|name| named(name.as_str())), "{answer:?}");
}

#[tokio::test]
async fn an_options_that_is_no_preflight_is_a_method_like_others() {
    let gateway = start_allowing(CLUB, Limits::default()).await;
    let options = || gateway.request(Method::OPTIONS, "/healthz");
    for request in [
        options(),
        options().header("origin", CLUB),
        options().header("access-control-request-method", "GET"),
    ] {
        let answer = gateway.send(request.body(Full::default()).expect("a request")).await;
        answer.assert_problem(405, "METHOD_NOT_ALLOWED");
        assert_eq!(answer.headers["allow"], "GET,HEAD");
    }
    let unknown = gateway.request(Method::OPTIONS, "/nothing").body(Full::default());
    gateway.send(unknown.expect("a request")).await.assert_problem(404, "NOT_FOUND");
}

#[tokio::test]
async fn a_preflight_alone_stands_outside_of_the_limit_of_requests() {
    let nowhere = nowhere().await;
    let gateway = start_with(Config {
        allowed_origins: CLUB.parse().expect("an origin"),
        request_rate: RequestRate::per_second(1).expect("a rate"),
        clock: ManualClock::default().clock(),
        ..Config::new(nowhere.clone(), nowhere)
    });
    let gateway = gateway.await;
    for _ in 0..10 {
        let answer = ask(&gateway, Method::OPTIONS, "/registrations", CLUB).await;
        answer.assert_problem(405, "METHOD_NOT_ALLOWED");
    }
    let answer = ask(&gateway, Method::OPTIONS, "/registrations", CLUB).await;
    answer.assert_problem(429, "RATE_LIMITED");
    assert_eq!(preflight(&gateway, "/registrations", CLUB).await.status, 200);
}
