//! `/healthz`: the gateway is alive. `/readyz`: both services can be reached and serve.

use std::time::Duration;

use axum::{Json, extract::State};
use http::StatusCode;
use serde::Serialize;
use service_kit::channel::RpcChannel;
use tokio::time::timeout;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{Gateway, openapi::OPERATION, problem::Problem};

/// How long a service may take to say that it serves.
const CHECK_TIME_MAX: Duration = Duration::from_secs(1);

pub(super) fn routes() -> OpenApiRouter<Gateway> {
    OpenApiRouter::new().routes(routes!(healthz)).routes(routes!(readyz))
}

#[derive(Serialize, ToSchema)]
struct Health {
    #[schema(example = "ok")]
    status: &'static str,
}

/// The gateway is alive.
#[utoipa::path(
    get,
    path = "/healthz",
    tag = OPERATION,
    responses((status = 200, description = "It is.", body = Health))
)]
async fn healthz() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// Both services can be reached and serve.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = OPERATION,
    responses((status = 200, description = "They do.", body = Health))
)]
async fn readyz(State(gateway): State<Gateway>) -> Result<Json<Health>, Problem> {
    let (auth, training) = (&gateway.0.auth, &gateway.0.training);
    let (auth, training) = tokio::join!(is_serving(auth), is_serving(training));
    let missing: Vec<_> = [("auth-service", auth), ("training-service", training)]
        .into_iter()
        .filter_map(|(name, serves)| (!serves).then_some(name))
        .collect();
    if missing.is_empty() {
        return Ok(Json(Health { status: "ready" }));
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
