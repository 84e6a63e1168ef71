//! The generator against servers that answer well, badly and not at all.

use std::sync::atomic::{AtomicU64, Ordering};

use axum::{Router, routing::get};
use http::{HeaderMap, HeaderValue, Method, Response};
use proto::auth::v1::{
    GetJwksRequest, ValidateTokenResponse,
    auth_service_server::{AuthService, AuthServiceServer},
};
use tokio::net::TcpListener;
use tonic::transport::{Server, server::TcpIncoming};

use super::*;

const LONG_ENOUGH: Duration = Duration::from_mins(1);

/// Makes so many requests, and takes what says `active` for a good answer.
struct Asking {
    request: Request<Bytes>,
    left: u64,
    judged: std::sync::Arc<AtomicU64>,
}

impl Client for Asking {
    fn next(&mut self) -> Option<Request<Bytes>> {
        self.left = self.left.checked_sub(1)?;
        Some(self.request.clone())
    }

    fn judge(&mut self, answer: &Answer) -> Result<(), String> {
        self.judged.fetch_add(1, Ordering::Relaxed);
        let token: ValidateTokenResponse = grpc::message(answer)?;
        if token.active { Ok(()) } else { Err("not active".to_owned()) }
    }
}

/// What comes of three clients with four requests each, and how many answers they saw.
async fn ask(wire: Wire, address: SocketAddr, request: Request<Bytes>) -> (Tally, u64) {
    let judged = std::sync::Arc::new(AtomicU64::new(0));
    let client = || Asking { request: request.clone(), left: 4, judged: judged.clone() };
    let clients = (0..3).map(|_| client()).collect();
    let (tally, clients) = drive(wire, address, clients, LONG_ENOUGH).await.expect("connected");
    assert_eq!(clients.len(), 3, "all come back");
    (tally, judged.load(Ordering::Relaxed))
}

fn validate_token(address: SocketAddr) -> Request<Bytes> {
    let method = grpc::Method::new(address, "/auth.v1.AuthService/ValidateToken", None);
    method.expect("a method").call(&GetJwksRequest {})
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    (listener, address)
}

/// A server that answers every call with HTTP 200, these bytes and, unless it ends there, these
/// trailers.
async fn scripted(body: Bytes, trailers: Option<HeaderMap>) -> SocketAddr {
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let (body, trailers) = (body.clone(), trailers.clone());
            tokio::spawn(async move {
                let mut connection = h2::server::handshake(socket).await.expect("HTTP/2");
                while let Some(Ok((_, mut respond))) = connection.accept().await {
                    let mut stream =
                        respond.send_response(Response::new(()), false).expect("a head");
                    stream.send_data(body.clone(), trailers.is_none()).expect("a body");
                    if let Some(trailers) = trailers.clone() {
                        stream.send_trailers(trailers).expect("trailers");
                    }
                }
            });
        }
    });
    address
}

fn status(code: &'static str) -> HeaderMap {
    HeaderMap::from_iter([("grpc-status".parse().expect("a name"), HeaderValue::from_static(code))])
}

/// `active: true`, in a frame.
const ACTIVE: Bytes = Bytes::from_static(&[0, 0, 0, 0, 2, 8, 1]);
const INACTIVE: Bytes = Bytes::from_static(&[0, 0, 0, 0, 0]);

#[tokio::test]
async fn good_answers_are_counted_and_timed() {
    let address = scripted(ACTIVE, Some(status("0"))).await;
    let (tally, judged) = ask(Wire::Grpc, address, validate_token(address)).await;
    assert_eq!((tally.answered, tally.errors, judged), (12, 0, 12));
    assert!(tally.latencies().is_some() && tally.rate() > 0.0);
}

#[tokio::test]
async fn a_status_in_the_trailers_after_a_good_message_is_an_error() {
    let address = scripted(ACTIVE, Some(status("16"))).await;
    let (tally, judged) = ask(Wire::Grpc, address, validate_token(address)).await;
    assert_eq!((tally.answered, tally.errors, judged), (0, 12, 0));
    assert!(tally.latencies().is_none(), "errors are not timed");
    assert!(tally.first_error.expect("an error").contains("grpc-status 16"));
}

#[tokio::test]
async fn an_answer_without_status_or_with_half_a_message_or_judged_bad_is_an_error() {
    let half = ACTIVE.slice(..6);
    for (body, trailers, judgements) in [
        (ACTIVE, None, 0),
        (half, Some(status("0")), 0),
        (Bytes::new(), Some(status("0")), 0),
        (INACTIVE, Some(status("0")), 12),
    ] {
        let address = scripted(body.clone(), trailers).await;
        let (tally, judged) = ask(Wire::Grpc, address, validate_token(address)).await;
        assert_eq!((tally.answered, tally.errors, judged), (0, 12, judgements), "{body:?}");
    }
}

/// Implements nothing.
struct Nothing;

#[tonic::async_trait]
impl AuthService for Nothing {}

#[tokio::test]
async fn a_refusal_from_the_start_is_an_error() {
    let (listener, address) = listen().await;
    let server = Server::builder().add_service(AuthServiceServer::new(Nothing));
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
    let (tally, judged) = ask(Wire::Grpc, address, validate_token(address)).await;
    assert_eq!((tally.answered, tally.errors, judged), (0, 12, 0));
    assert!(tally.first_error.expect("an error").contains("grpc-status 12"));
}

#[tokio::test]
async fn a_connection_that_is_lost_ends_its_clients_with_an_error_each() {
    for wire in [Wire::Grpc, Wire::Http1] {
        let (listener, address) = listen().await;
        tokio::spawn(async move { while listener.accept().await.is_ok() {} });
        let request = match wire {
            Wire::Grpc => validate_token(address),
            Wire::Http1 => http1::request(address, Method::GET, "/", "", None).expect("a request"),
        };
        let (tally, judged) = ask(wire, address, request).await;
        assert_eq!((tally.answered, tally.errors, judged), (0, 3, 0), "{wire:?}");
    }
}

#[tokio::test]
async fn over_http_1_every_status_is_left_to_the_client() {
    let (listener, address) = listen().await;
    let router = Router::new().route("/", get(async || StatusCode::SERVICE_UNAVAILABLE));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let request = http1::request(address, Method::GET, "/", "", None).expect("a request");
    let (tally, judged) = ask(Wire::Http1, address, request).await;
    assert_eq!((tally.answered, tally.errors, judged), (0, 12, 12));
}

#[tokio::test]
async fn a_load_ends_after_its_time() {
    let address = scripted(ACTIVE, Some(status("0"))).await;
    let judged = std::sync::Arc::new(AtomicU64::new(0));
    let client = Asking { request: validate_token(address), left: u64::MAX, judged };
    let driven = drive(Wire::Grpc, address, vec![client], Duration::from_millis(50)).await;
    let (tally, clients) = driven.expect("connected");
    assert!(tally.answered > 0 && tally.errors == 0);
    assert_eq!(clients.len(), 1);
}
