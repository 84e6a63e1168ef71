//! The product's gateway at its barest: axum reads a header, tonic makes one call, and a constant
//! goes back.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use anyhow::Result;
use axum::{
    Router,
    body::Bytes,
    extract::State,
    response::{IntoResponse, Response},
    routing::get,
};
use http::{HeaderMap, StatusCode, Uri, header::AUTHORIZATION, header::CONTENT_TYPE};
use proto::training::v1::{
    ListRegistrationsRequest, registration_service_client::RegistrationServiceClient,
    registration_service_server::RegistrationServiceServer,
};
use serde_json::json;
use tokio::net::TcpListener;
use tonic::{
    Request,
    body::Body,
    client::GrpcService,
    metadata::MetadataMap,
    transport::{Channel, Endpoint},
};

use super::rpc::Constants;
use crate::paths::ROWS;

/// Channels to a service over the network: one is a queue, more than two are no quicker.
const CHANNELS: usize = 2;

pub(super) async fn serve(listener: TcpListener, rpc: Option<Uri>) -> Result<()> {
    let router = match rpc {
        Some(url) => {
            let mut channels: Vec<Channel> = Vec::new();
            for _ in 0..CHANNELS {
                let endpoint = Endpoint::from(url.clone()).tcp_nodelay(true);
                channels.push(endpoint.connect().await?);
            }
            router(channels)
        }
        None => router(vec![RegistrationServiceServer::new(Constants)]),
    };
    Ok(axum::serve(listener, router).await?)
}

/// What a handler needs: ways to the service, taken in turn, and the answer.
struct Shared<T> {
    clients: Vec<RegistrationServiceClient<T>>,
    next: AtomicUsize,
    answer: Bytes,
}

/// A way to the service.
trait Way: GrpcService<Body, Future: Send, Error: Send, ResponseBody = Body> {}
impl<T> Way for T where T: GrpcService<Body, Future: Send, Error: Send, ResponseBody = Body> {}

fn router<T: Way + Clone + Send + Sync + 'static>(ways: Vec<T>) -> Router {
    let clients = ways.into_iter().map(RegistrationServiceClient::new).collect();
    let shared = Shared { clients, next: AtomicUsize::new(0), answer: answer() };
    Router::new().route("/registrations", get(handle::<T>)).with_state(Arc::new(shared))
}

async fn handle<T: Way + Clone + Send + Sync + 'static>(
    State(shared): State<Arc<Shared<T>>>,
    headers: HeaderMap,
) -> Response {
    let turn = shared.next.fetch_add(1, Ordering::Relaxed) % shared.clients.len();
    let mut client = shared.clients[turn].clone();
    let mut metadata = HeaderMap::with_capacity(1);
    if let Some(token) = headers.get(AUTHORIZATION) {
        metadata.insert(AUTHORIZATION, token.clone());
    }
    let mut request = Request::new(ListRegistrationsRequest::default());
    *request.metadata_mut() = MetadataMap::from_headers(metadata);
    match client.list_registrations(request).await {
        Ok(_) => ([(CONTENT_TYPE, "application/json")], shared.answer.clone()).into_response(),
        Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

/// As many rows, of as many bytes, as the product answers.
fn answer() -> Bytes {
    let rows = (1000..).take(ROWS).map(|id| {
        json!({
            "id": id,
            "user_id": 1000,
            "sport": "cricket",
            "training_level": "intermediate",
            "registration_date": "2026-01-01T00:00:00.000000",
            "program_id": null,
            "status": "confirmed",
            "waitlist_position": null,
        })
    });
    rows.collect::<serde_json::Value>().to_string().into()
}
