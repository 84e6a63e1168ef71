//! `/healthz` and `/readyz`.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use gateway::Config;
use h2::{Reason, client};
use http::Request;
use prost::Message;
use serde_json::json;
use service_kit::testing::ManualClock;
use tokio::{net::TcpStream, sync::Notify};
use tonic_health::pb::{HealthCheckResponse, health_check_response::ServingStatus};

use crate::{
    harness::{TestGateway, nowhere, start_alone, start_gateway, start_with},
    scripted::Scripted,
};

async fn health(status: ServingStatus) -> Scripted {
    Scripted::saying(HealthCheckResponse { status: status.into() }).await
}

#[tokio::test]
async fn a_gateway_alone_is_alive_but_not_ready() {
    let gateway = start_alone().await;
    let answer = gateway.get("/healthz").await;
    assert_eq!((answer.status.as_u16(), &answer.json), (200, &json!({ "status": "ok" })));
    answer.assert_headers();

    let answer = gateway.get("/readyz").await;
    answer.assert_problem(503, "NOT_READY");
    assert_eq!(answer.headers["retry-after"], "1");
    assert_eq!(answer.json["detail"], "Not ready: auth-service, training-service");
}

#[tokio::test]
async fn it_is_ready_when_both_services_serve() {
    let (auth, training) =
        (health(ServingStatus::Serving).await, health(ServingStatus::Serving).await);
    let gateway = start_gateway(auth.channel.clone(), training.channel).await;
    let answer = gateway.get("/readyz").await;
    assert_eq!((answer.status.as_u16(), &answer.json), (200, &json!({ "status": "ready" })));
    assert_eq!(auth.only_call().path, "/grpc.health.v1.Health/Check");
}

#[tokio::test]
async fn it_is_not_ready_while_one_service_does_not_serve() {
    let auth = health(ServingStatus::Serving).await;
    let training = health(ServingStatus::NotServing).await;
    let gateway = start_gateway(auth.channel, training.channel).await;
    let answer = gateway.get("/readyz").await;
    answer.assert_problem(503, "NOT_READY");
    assert_eq!(answer.json["detail"], "Not ready: training-service");
}

#[tokio::test]
async fn a_service_that_hangs_is_not_waited_for() {
    let hanging = Scripted::start(|_| std::future::pending()).await;
    let gateway = start_gateway(hanging.channel.clone(), nowhere().await).await;
    let before = Instant::now();
    gateway.get("/readyz").await.assert_problem(503, "NOT_READY");
    assert!(before.elapsed() < Duration::from_secs(3), "{:?}", before.elapsed());
}

/// A gateway before two of the same service.
async fn start_at(clock: &ManualClock, service: &Scripted) -> TestGateway {
    let config = Config::new(service.channel.clone(), service.channel.clone());
    start_with(Config { clock: clock.clock(), ..config }).await
}

#[tokio::test]
async fn what_was_found_holds_for_a_second() {
    let clock = ManualClock::default();
    let service = health(ServingStatus::Serving).await;
    let gateway = start_at(&clock, &service).await;
    for calls in [2, 4, 6] {
        for _ in 0..5 {
            assert_eq!(gateway.get("/readyz").await.status, 200);
            assert_eq!(service.calls().len(), calls);
            clock.advance(Duration::from_millis(199));
        }
        clock.advance(Duration::from_millis(5));
    }

    let service = health(ServingStatus::NotServing).await;
    let gateway = start_at(&clock, &service).await;
    for _ in 0..5 {
        gateway.get("/readyz").await.assert_problem(503, "NOT_READY");
        assert_eq!(service.calls().len(), 2, "bad news hold as well");
    }
}

/// A service that says that it serves once it may, and what tells that it was asked.
async fn slow_to_say() -> (Scripted, Arc<Notify>, Arc<Notify>) {
    let (asked, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let ends = (asked.clone(), go_on.clone());
    let service = Scripted::start(move |_| {
        let (asked, go_on) = ends.clone();
        async move {
            asked.notify_one();
            go_on.notified().await;
            go_on.notify_one();
            Ok(HealthCheckResponse { status: ServingStatus::Serving.into() }.encode_to_vec())
        }
    });
    (service.await, asked, go_on)
}

#[tokio::test]
async fn who_asks_meanwhile_waits_for_the_same_check() {
    let (service, asked, go_on) = slow_to_say().await;
    let gateway = start_at(&ManualClock::default(), &service).await;
    let released = async {
        asked.notified().await;
        go_on.notify_one();
    };
    let ready = || async { assert_eq!(gateway.get("/readyz").await.status, 200) };
    tokio::join!(ready(), ready(), ready(), ready(), released);
    assert_eq!(service.calls().len(), 2);
}

#[tokio::test]
async fn a_check_goes_on_though_whoever_asked_for_it_has_gone() {
    let (service, asked, go_on) = slow_to_say().await;
    let gateway = start_at(&ManualClock::default(), &service).await;
    let stream = TcpStream::connect(gateway.address).await.expect("a connection");
    let (sender, connection) = client::handshake(stream).await.expect("a handshake");
    let connection = tokio::spawn(connection);
    let mut sender = sender.ready().await.expect("a connection");
    let mut ask = |path: &str| {
        let request = Request::get(format!("http://gateway{path}")).body(());
        sender.send_request(request.expect("a request"), true).expect("sent")
    };
    let (_, mut gone): (_, h2::SendStream<bytes::Bytes>) = ask("/readyz");
    asked.notified().await;
    gone.send_reset(Reason::CANCEL);
    let (waiting, _) = ask("/readyz");
    // What comes after the reset is answered after it.
    assert_eq!(ask("/healthz").0.await.expect("an answer").status(), 200);
    go_on.notify_one();
    assert_eq!(waiting.await.expect("an answer").status(), 200);
    assert_eq!(service.calls().len(), 2);
    connection.abort();
}
