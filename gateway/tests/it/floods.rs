//! Clients that send too much of one thing: what HTTP itself lets them do.

use std::time::Duration;

use gateway::limits::Limits;
use h2::client;
use http::Request;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{sleep, timeout},
};

use crate::{
    connections::exchange,
    harness::{start_alone, start_limited},
};

const PATIENCE: Duration = Duration::from_secs(20);

/// What the HTTP library answers before there is a request: a status, and nothing of ours.
#[tokio::test]
async fn a_head_that_the_library_cannot_take_gets_a_bare_status_and_the_connection_closed() {
    let gateway = start_alone().await;
    let get = |headers: &str| format!("GET /healthz HTTP/1.1\r\nhost: x\r\n{headers}\r\n");
    for (status, head) in [
        (431, get(&"x: y\r\n".repeat(100))),
        (431, get(&format!("x: {}\r\n", "y".repeat(80_000)))),
        (431, format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "x".repeat(70_000))),
        (400, "nonsense\r\n\r\n".to_owned()),
        (400, "GET /healthz HTTP/3.0\r\nhost: x\r\n\r\n".to_owned()),
        (400, "GET /health\x01 HTTP/1.1\r\nhost: x\r\n\r\n".to_owned()),
        (400, get("no colon\r\n")),
        (400, get("x y: z\r\n")),
        (400, get("content-length: -1\r\n")),
        (400, get("content-length: 1\r\ncontent-length: 2\r\n")),
        (400, get("transfer-encoding: gzip\r\n")),
    ] {
        let answer = exchange(&gateway, &head).await;
        let about = head.get(..80).unwrap_or(&head);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{about:?}: {answer}");
        assert!(answer.contains("\r\nconnection: close\r\n"), "{about:?}: {answer}");
        assert!(answer.ends_with("\r\n\r\n"), "a body: {answer}");
        assert!(!answer.contains("x-request-id"), "{about:?}: {answer}");
    }
    assert_eq!(gateway.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn headers_that_the_library_cannot_take_over_http_2_get_a_bare_status() {
    let gateway = start_alone().await;
    let stream = TcpStream::connect(gateway.address).await.expect("a connection");
    let (sender, connection) = client::handshake(stream).await.expect("a handshake");
    let connection = tokio::spawn(connection);
    let mut sender = sender.ready().await.expect("a connection");
    let request = Request::get("http://gateway/healthz").header("x", "y".repeat(80_000));
    let (answer, _) =
        sender.send_request(request.body(()).expect("a request"), true).expect("sent");
    let mut answer = answer.await.expect("an answer");
    assert_eq!((answer.status().as_u16(), answer.headers().len()), (431, 0));
    assert!(answer.body_mut().data().await.is_none(), "a body");
    connection.abort();
    assert_eq!(gateway.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn a_head_that_drips_is_cut_off_though_it_never_pauses() {
    let limits = Limits { head_time_max: Duration::from_millis(200), ..Limits::default() };
    let gateway = start_limited(limits).await;
    let stream = TcpStream::connect(gateway.address).await.expect("a connection");
    let (mut from, mut to) = stream.into_split();
    let dripping = async {
        if to.write_all(b"GET /healthz HTTP/1.1\r\nhost: ").await.is_err() {
            return;
        }
        while to.write_all(b"x").await.is_ok() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    let mut answer = Vec::new();
    tokio::select! {
        () = dripping => {}
        _ = from.read_to_end(&mut answer) => {}
        () = sleep(PATIENCE) => panic!("it drips on"),
    }
    assert!(!answer.starts_with(b"HTTP/1.1 2"), "{answer:?}");
}

#[tokio::test]
async fn a_connection_is_told_how_many_requests_it_may_have_open() {
    let gateway = start_alone().await;
    let stream = TcpStream::connect(gateway.address).await.expect("a connection");
    let (sender, connection) = client::handshake(stream).await.expect("a handshake");
    let connection = tokio::spawn(connection);
    let mut sender = sender.ready().await.expect("a connection");
    let request = Request::get("http://gateway/healthz").body(()).expect("a request");
    let (answer, _) = sender.send_request(request, true).expect("sent");
    assert_eq!(answer.await.expect("an answer").status(), 200);
    assert_eq!(sender.current_max_send_streams(), 128);
    connection.abort();
}

/// A frame of HTTP/2 (RFC 9113 section 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a small frame").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// The reason of the GOAWAY among `frames`.
fn reason_of_goaway(mut frames: &[u8]) -> Option<u32> {
    while let Some((head, rest)) = frames.split_first_chunk::<9>() {
        let [high, middle, low, kind, ..] = *head;
        let length = usize::try_from(u32::from_be_bytes([0, high, middle, low])).ok()?;
        let (payload, others) = rest.split_at_checked(length)?;
        if kind == GOAWAY {
            return Some(u32::from_be_bytes(*payload.get(4..)?.first_chunk()?));
        }
        frames = others;
    }
    None
}

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const END_HEADERS: u8 = 4;
const CANCEL: [u8; 4] = [0, 0, 0, 8];
const ENHANCE_YOUR_CALM: u32 = 11;

#[tokio::test]
async fn a_flood_of_requests_taken_back_ends_its_connection_alone() {
    let gateway = start_alone().await;
    let (mut from, mut to) =
        TcpStream::connect(gateway.address).await.expect("a connection").into_split();
    // GET / of the host x, in HPACK.
    let headers = [0x82, 0x86, 0x84, 0x41, 1, b'x'];
    let mut flood = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    flood.extend(frame(SETTINGS, 0, 0, &[]));
    for stream in (1..20_000).step_by(2) {
        flood.extend(frame(HEADERS, END_HEADERS, stream, &headers));
        flood.extend(frame(RST_STREAM, 0, stream, &CANCEL));
    }
    let mut answer = Vec::new();
    // Either fails where the gateway closes first; what it has said until then counts.
    let ended = async { tokio::join!(to.write_all(&flood), from.read_to_end(&mut answer)) };
    let _ = timeout(PATIENCE, ended).await.expect("an end of the flood");
    assert_eq!(reason_of_goaway(&answer), Some(ENHANCE_YOUR_CALM));
    assert_eq!(gateway.get("/healthz").await.status, 200);
}
