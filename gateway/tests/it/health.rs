//! `/healthz` and `/readyz`.

use std::time::{Duration, Instant};

use serde_json::json;
use tonic_health::pb::{HealthCheckResponse, health_check_response::ServingStatus};

use crate::{
    harness::{nowhere, start_alone, start_gateway},
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
