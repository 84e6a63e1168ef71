//! `/healthz`: the gateway is alive. `/readyz`: both services can be reached and serve.

use std::time::Duration;

use axum::{Json, Router, extract::State, routing::get};
use http::StatusCode;
use serde_json::{Value, json};
use service_kit::channel::RpcChannel;
use tokio::time::timeout;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use crate::{Gateway, problem::Problem};

/// How long a service may take to say that it serves.
const CHECK_TIME_MAX: Duration = Duration::from_secs(1);

pub(super) fn routes() -> Router<Gateway> {
    Router::new().route("/healthz", get(healthz)).route("/readyz", get(readyz))
}

async fn healthz() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

async fn readyz(State(gateway): State<Gateway>) -> Result<Json<Value>, Problem> {
    let (auth, training) = (&gateway.0.auth, &gateway.0.training);
    let (auth, training) = tokio::join!(is_serving(auth), is_serving(training));
    let missing: Vec<_> = [("auth-service", auth), ("training-service", training)]
        .into_iter()
        .filter_map(|(name, serves)| (!serves).then_some(name))
        .collect();
    if missing.is_empty() {
        return Ok(Json(json!({ "status": "ready" })));
    }
    let text = format!("Not ready: {}", missing.join(", "));
    Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "NOT_READY", text))
}

async fn is_serving(service: &RpcChannel) -> bool {
    // No name stands for the server as a whole.
    let request = HealthCheckRequest { service: String::new() };
    let mut health = HealthClient::new(service.clone());
    let answered = timeout(CHECK_TIME_MAX, health.check(request)).await;
    answered.is_ok_and(|answer| {
        answer.is_ok_and(|health| health.get_ref().status() == ServingStatus::Serving)
    })
}
