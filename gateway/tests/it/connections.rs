//! Connections: both versions of HTTP, slow clients, and the graceful end.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use gateway::{Config, limits::Limits};
use http::Method;
use http_body_util::Full;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use prost::Message;
use proto::training::v1::ListRegistrationsResponse;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Notify,
    time::timeout,
};

use crate::{
    harness::{TestGateway, nowhere, send, start_alone, start_limited, start_with},
    scripted::Scripted,
};

const PATIENCE: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(200);

/// Sends `text` over a connection of its own and returns all that comes back.
pub(crate) async fn exchange(gateway: &TestGateway, text: &str) -> String {
    let mut stream = TcpStream::connect(gateway.address).await.expect("a connection");
    stream.write_all(text.as_bytes()).await.expect("written");
    read_to_end(&mut stream).await
}

/// All that comes until the gateway closes the connection.
async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let read = timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("an end in time");
    if let Err(error) = read {
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}");
    }
    String::from_utf8(answer).expect("text")
}

#[tokio::test]
async fn http_2_with_prior_knowledge_is_served() {
    let gateway = start_alone().await;
    let client = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
    let request = gateway.request(Method::GET, "/healthz").body(Full::<Bytes>::default());
    let answer = send(&client, request.expect("a request")).await;
    assert_eq!(answer.status, 200);
    let request = gateway.request(Method::HEAD, "/nothing").body(Full::<Bytes>::default());
    let answer = send(&client, request.expect("a request")).await;
    assert_eq!((answer.status.as_u16(), answer.json), (404, serde_json::Value::Null));
}

#[tokio::test]
async fn a_client_that_never_ends_its_head_is_dropped() {
    let gateway = start_limited(Limits { head_time_max: SHORT, ..Limits::default() }).await;
    for beginning in
        ["", "P", "GET /healthz HTTP/1.1\r\nhost: x\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"]
    {
        let mut stream = TcpStream::connect(gateway.address).await.expect("a connection");
        stream.write_all(beginning.as_bytes()).await.expect("written");
        let mut answer = Vec::new();
        let ended = timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
        assert!(ended.is_ok(), "{beginning:?}");
        assert!(!answer.starts_with(b"HTTP/1.1 2"), "{beginning:?}");
    }
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_408() {
    let gateway = start_limited(Limits { body_time_max: SHORT, ..Limits::default() }).await;
    let request = "POST /auth/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
                   content-length: 100\r\n\r\n{\"email\": ";
    let answer = exchange(&gateway, request).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("\"REQUEST_TIMEOUT\""), "{answer}");
}

#[tokio::test]
async fn a_service_that_hangs_is_503_at_the_deadline() {
    let training = Scripted::start(|_| std::future::pending()).await;
    let limits = Limits { request_time_max: SHORT, ..Limits::default() };
    let config = Config::new(nowhere().await, training.channel.clone());
    let gateway = start_with(Config { limits, ..config }).await;
    let answer = gateway.get("/registrations").await;
    answer.assert_problem(503, "DEADLINE_EXCEEDED");
    assert_eq!(answer.headers["retry-after"], "1");
}

#[tokio::test]
async fn more_connections_than_allowed_wait_for_their_turn() {
    let gateway = start_limited(Limits { connections_max: 1, ..Limits::default() }).await;
    let first = TcpStream::connect(gateway.address).await.expect("a connection");
    let request = "GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let mut second = Box::pin(exchange(&gateway, request));
    assert!(timeout(SHORT, &mut second).await.is_err(), "served beside the first");
    drop(first);
    assert!(second.await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn a_shutdown_lets_a_request_in_flight_finish_and_accepts_no_more() {
    let (asked, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let training = Scripted::start({
        let (asked, go_on) = (asked.clone(), go_on.clone());
        move |_| {
            let (asked, go_on) = (asked.clone(), go_on.clone());
            async move {
                asked.notify_one();
                go_on.notified().await;
                Ok(ListRegistrationsResponse::default().encode_to_vec())
            }
        }
    });
    let gateway = start_with(Config::new(nowhere().await, training.await.channel)).await;
    let address = gateway.address;
    let idle = TcpStream::connect(address).await.expect("a connection");
    let request = "GET /registrations HTTP/1.1\r\nhost: x\r\n\r\n";
    let in_flight = async {
        let answer = exchange(&gateway, request).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert!(answer.ends_with("[]"), "{answer}");
        assert!(answer.to_lowercase().contains("connection: close"), "{answer}");
    };
    let ending = async {
        asked.notified().await;
        gateway.shutdown.begin();
        // Refused once the listener is gone; until then the backlog still takes connections.
        let refused = async {
            while TcpStream::connect(address).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, refused).await.expect("no further connections");
        go_on.notify_one();
    };
    tokio::join!(in_flight, ending);
    gateway.end().await;
    drop(idle);
}

#[tokio::test]
async fn a_shutdown_without_requests_is_quick() {
    let gateway = start_alone().await;
    // Leaves an idle connection behind.
    assert_eq!(gateway.get("/healthz").await.status, 200);
    gateway.shutdown.begin();
    timeout(Duration::from_secs(2), gateway.end()).await.expect("nothing to wait for");
}
