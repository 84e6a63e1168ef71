//! `/healthz`: the gateway is alive. `/readyz`: both services can be reached and serve.

use axum::{Json, extract::State};
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{Gateway, openapi::OPERATION, problem::Problem};

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

/// Both services can be reached and serve, as of at most a second ago.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = OPERATION,
    responses((status = 200, description = "They do.", body = Health))
)]
async fn readyz(State(gateway): State<Gateway>) -> Result<Json<Health>, Problem> {
    let missing = gateway.0.readiness.missing().await;
    if missing.is_empty() {
        return Ok(Json(Health { status: "ready" }));
    }
    let text = format!("Not ready: {}", missing.join(", "));
    Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "NOT_READY", text))
}
