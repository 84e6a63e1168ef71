//! Starting a gateway on a free port, and talking to it with a real HTTP client.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use gateway::{Config, limits::Limits};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::Value;
use service_kit::{Shutdown, StartError, channel::RpcChannel};
use tokio::{net::TcpListener, task::JoinHandle, time::timeout};

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// A gateway that runs until it is dropped.
pub(crate) struct TestGateway {
    pub(crate) address: SocketAddr,
    pub(crate) shutdown: Shutdown,
    pub(crate) ended: JoinHandle<Result<(), StartError>>,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Drop for TestGateway {
    fn drop(&mut self) {
        self.shutdown.begin();
    }
}

/// An answer, with its body read as JSON; null where it has none.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) json: Value,
}

/// A gateway in front of two services.
pub(crate) async fn start_gateway(auth: RpcChannel, training: RpcChannel) -> TestGateway {
    start_with(Config::new(auth, training)).await
}

/// A gateway in front of services that are down.
pub(crate) async fn start_alone() -> TestGateway {
    let nowhere = nowhere().await;
    start_gateway(nowhere.clone(), nowhere).await
}

/// A gateway in front of services that are down, with limits of its own.
pub(crate) async fn start_limited(limits: Limits) -> TestGateway {
    let nowhere = nowhere().await;
    start_with(Config { limits, ..Config::new(nowhere.clone(), nowhere) }).await
}

pub(crate) async fn start_with(config: Config) -> TestGateway {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let shutdown = Shutdown::new();
    let ended = tokio::spawn(gateway::serve(config, listener, shutdown.clone()));
    let client = Client::builder(TokioExecutor::new()).build_http();
    TestGateway { address, shutdown, ended, client }
}

/// A channel to a port that nobody listens on.
pub(crate) async fn nowhere() -> RpcChannel {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    RpcChannel::balanced(&[format!("http://{address}").parse().expect("a URL")])
}

impl TestGateway {
    /// A GET.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path).body(Full::default()).expect("a request")).await
    }

    /// A GET of what is no JSON: the answer without its body, and that as text.
    pub(crate) async fn get_text(&self, path: &str, headers: &[(&str, &str)]) -> (Answer, String) {
        let request = headers
            .iter()
            .fold(self.request(Method::GET, path), |request, it| request.header(it.0, it.1));
        let request = request.body(Full::default()).expect("a request");
        let response = timeout(PATIENCE, self.client.request(request)).await;
        let (head, body) = response.expect("an answer in time").expect("an answer").into_parts();
        let body = body.collect().await.expect("a whole body").to_bytes();
        let answer = Answer { status: head.status, headers: head.headers, json: Value::Null };
        (answer, String::from_utf8_lossy(&body).into_owned())
    }

    /// A POST of JSON.
    pub(crate) async fn post(&self, path: &str, body: impl Into<Bytes>) -> Answer {
        let request = self.request(Method::POST, path).header("content-type", "application/json");
        self.send(request.body(Full::new(body.into())).expect("a request")).await
    }

    /// A request to build on.
    pub(crate) fn request(&self, method: Method, path: &str) -> http::request::Builder {
        Request::builder().method(method).uri(format!("http://{}{path}", self.address))
    }

    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Answer {
        send(&self.client, request).await
    }

    /// Waits until it has ended, as it should by itself.
    pub(crate) async fn end(mut self) {
        let ended = timeout(PATIENCE, &mut self.ended).await.expect("an end in time");
        ended.expect("no panic").expect("no error");
    }
}

pub(crate) async fn send(
    client: &Client<HttpConnector, Full<Bytes>>,
    request: Request<Full<Bytes>>,
) -> Answer {
    let response = timeout(PATIENCE, client.request(request)).await.expect("an answer in time");
    let (head, body) = response.expect("an answer").into_parts();
    let body = body.collect().await.expect("a whole body").to_bytes();
    let json = if body.is_empty() {
        Value::Null
    } else {
        serde_json::from_slice(&body).unwrap_or_else(|error| panic!("{error}: {body:?}"))
    };
    Answer { status: head.status, headers: head.headers, json }
}

impl Answer {
    /// Checks what every error has, and that it is this one.
    pub(crate) fn assert_problem(&self, status: u16, code: &str) {
        assert_eq!(
            (self.status.as_u16(), self.json["code"].as_str()),
            (status, Some(code)),
            "{self:?}"
        );
        assert_eq!(self.json["status"], status, "{self:?}");
        assert_eq!(self.headers["content-type"], "application/problem+json", "{self:?}");
        assert_eq!(self.json["request_id"], self.headers["x-request-id"].to_str().expect("ASCII"));
        for member in ["type", "title", "detail", "message", "error"] {
            assert!(self.json[member].as_str().is_some_and(|text| !text.is_empty()), "{self:?}");
        }
        self.assert_headers();
    }

    /// Checks what every answer has.
    pub(crate) fn assert_headers(&self) {
        assert_eq!(self.headers["x-content-type-options"], "nosniff", "{self:?}");
        assert_eq!(self.headers["referrer-policy"], "no-referrer", "{self:?}");
        assert_eq!(self.headers["cache-control"], "no-store", "{self:?}");
        assert!(self.headers.contains_key("x-request-id"), "{self:?}");
    }

    /// `[field, code]` of each entry of `errors`.
    pub(crate) fn errors(&self) -> Vec<[&str; 2]> {
        let errors = self.json["errors"].as_array().expect("a list of errors");
        errors
            .iter()
            .map(|error| ["field", "code"].map(|member| error[member].as_str().expect("a word")))
            .collect()
    }
}
