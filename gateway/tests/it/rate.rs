//! How many requests one client address may make.

use std::time::Duration;

use gateway::{Config, rate::RequestRate};
use http::Method;
use http_body_util::Full;
use service_kit::testing::ManualClock;

use crate::harness::{Answer, TestGateway, nowhere, start_alone, start_with};

/// One request a second, and so ten at once.
async fn start_slow(trusted_proxies: &str) -> (TestGateway, ManualClock) {
    let clock = ManualClock::default();
    let nowhere = nowhere().await;
    let config = Config {
        request_rate: RequestRate::per_second(1).expect("a rate"),
        clock: clock.clock(),
        trusted_proxies: trusted_proxies.parse().expect("networks"),
        ..Config::new(nowhere.clone(), nowhere)
    };
    (start_with(config).await, clock)
}

async fn get_for(gateway: &TestGateway, client: &str) -> Answer {
    let request = gateway.request(Method::GET, "/nothing").header("x-forwarded-for", client);
    gateway.send(request.body(Full::default()).expect("a request")).await
}

#[tokio::test]
async fn answers_tell_how_a_client_stands_until_it_is_refused_and_when_it_may_come_back() {
    let (gateway, clock) = start_slow("").await;
    for left in (0..10).rev() {
        let answer = gateway.get("/nothing").await;
        answer.assert_problem(404, "NOT_FOUND");
        assert_eq!(answer.headers["ratelimit-policy"], r#""address";q=10;w=10"#);
        let standing = format!(r#""address";r={left};t={}"#, 10 - left);
        assert_eq!(answer.headers["ratelimit"], standing.as_str());
        assert_eq!(answer.headers.get("retry-after"), None);
    }
    let answer = gateway.get("/registrations").await;
    answer.assert_problem(429, "RATE_LIMITED");
    assert_eq!(answer.headers["ratelimit"], r#""address";r=0;t=1"#);
    assert_eq!(answer.headers["retry-after"], "1");

    clock.advance(Duration::from_secs(1));
    gateway.get("/nothing").await.assert_problem(404, "NOT_FOUND");
    gateway.get("/nothing").await.assert_problem(429, "RATE_LIMITED");
}

#[tokio::test]
async fn the_routes_of_health_are_always_answered() {
    let (gateway, _clock) = start_slow("").await;
    for _ in 0..12 {
        gateway.get("/nothing").await;
    }
    gateway.get("/nothing").await.assert_problem(429, "RATE_LIMITED");
    let answer = gateway.get("/healthz").await;
    assert_eq!((answer.status.as_u16(), answer.headers.get("ratelimit")), (200, None));
    gateway.get("/readyz").await.assert_problem(503, "NOT_READY");
}

#[tokio::test]
async fn a_client_does_not_escape_by_claiming_other_addresses() {
    let (gateway, _clock) = start_slow("").await;
    for number in 0..10 {
        get_for(&gateway, &format!("203.0.113.{number}")).await.assert_problem(404, "NOT_FOUND");
    }
    get_for(&gateway, "203.0.113.10").await.assert_problem(429, "RATE_LIMITED");
}

#[tokio::test]
async fn behind_a_trusted_proxy_each_client_counts_for_itself() {
    let (gateway, _clock) = start_slow("127.0.0.1").await;
    for number in 0..10 {
        let claimed = format!("198.51.100.{number}, 203.0.113.1");
        get_for(&gateway, &claimed).await.assert_problem(404, "NOT_FOUND");
    }
    get_for(&gateway, "203.0.113.1").await.assert_problem(429, "RATE_LIMITED");
    get_for(&gateway, "203.0.113.2").await.assert_problem(404, "NOT_FOUND");
}

#[tokio::test]
async fn without_the_setting_there_is_no_limit() {
    let gateway = start_alone().await;
    for _ in 0..50 {
        let answer = gateway.get("/nothing").await;
        answer.assert_problem(404, "NOT_FOUND");
        assert_eq!(answer.headers.get("ratelimit"), None);
    }
}
