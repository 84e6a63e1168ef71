//! Connections: both versions of HTTP, slow clients, and the graceful end.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use gateway::{Config, limits::Limits};
use http::Method;
use http_body_util::Full;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use prost::Message;
use proto::training::v1::ListRegistrationsResponse;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
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

/// A connection to the gateway from an address of this machine, and what comes back over it for a
/// request; empty where it is closed instead.
async fn ask_from(address: &str, gateway: &TestGateway) -> (TcpStream, String) {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(SocketAddr::new(address.parse().expect("an address"), 0)).expect("a free port");
    let mut stream = socket.connect(gateway.address).await.expect("a connection");
    let mut answer = [0; 15];
    let asked = async {
        stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await?;
        stream.read_exact(&mut answer).await
    };
    let answered = timeout(PATIENCE, asked).await.expect("an end in time");
    let answer = answered.map_or(String::new(), |_| String::from_utf8_lossy(&answer).into_owned());
    (stream, answer)
}

const OK: &str = "HTTP/1.1 200 OK";

#[tokio::test]
async fn a_client_has_no_more_connections_than_its_share() {
    let limits = Limits { connections_per_client_max: 2, ..Limits::default() };
    let gateway = start_limited(limits).await;
    let (first, answer) = ask_from("127.0.0.1", &gateway).await;
    assert_eq!(answer, OK);
    let (_second, answer) = ask_from("127.0.0.1", &gateway).await;
    assert_eq!(answer, OK);
    let (_, answer) = ask_from("127.0.0.1", &gateway).await;
    assert_eq!(answer, "", "a third connection");
    let (_other, answer) = ask_from("127.0.0.2", &gateway).await;
    assert_eq!(answer, OK, "another client");

    drop(first);
    let given_back = async {
        while ask_from("127.0.0.1", &gateway).await.1 != OK {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, given_back).await.expect("a place that was given back");
}

#[tokio::test]
async fn a_trusted_proxy_has_as_many_connections_as_it_likes() {
    let nowhere = nowhere().await;
    let gateway = start_with(Config {
        limits: Limits { connections_per_client_max: 1, ..Limits::default() },
        trusted_proxies: "127.0.0.2".parse().expect("an address"),
        ..Config::new(nowhere.clone(), nowhere)
    });
    let gateway = gateway.await;
    let mut open = Vec::new();
    for _ in 0..5 {
        let (stream, answer) = ask_from("127.0.0.2", &gateway).await;
        assert_eq!(answer, OK);
        open.push(stream);
    }
    let (_stream, answer) = ask_from("127.0.0.1", &gateway).await;
    assert_eq!(answer, OK);
    assert_eq!(ask_from("127.0.0.1", &gateway).await.1, "");
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
