//! A real HTTP client.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, header::AUTHORIZATION, request::Builder, response::Parts};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::Value;
use tokio::time::timeout;

use crate::program::PATIENCE;

/// A client of one gateway.
pub(crate) struct Http {
    address: SocketAddr,
    client: Client<HttpConnector, Full<Bytes>>,
}

/// An answer, with its body read as JSON; null where it has none.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) json: Value,
}

impl Http {
    pub(crate) fn to(address: SocketAddr) -> Self {
        Self { address, client: Client::builder(TokioExecutor::new()).build_http() }
    }

    /// A request to build on.
    pub(crate) fn request(&self, method: Method, path: &str) -> Builder {
        Request::builder().method(method).uri(format!("http://{}{path}", self.address))
    }

    /// The same in the name of whoever has the token.
    pub(crate) fn signed(&self, method: Method, path: &str, token: &str) -> Builder {
        self.request(method, path).header(AUTHORIZATION, format!("Bearer {token}"))
    }

    /// GET in the name of whoever has the token.
    pub(crate) async fn get(&self, path: &str, token: &str) -> Answer {
        self.send(self.signed(Method::GET, path, token), None).await
    }

    /// POST without a token.
    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(self.request(Method::POST, path), Some(body)).await
    }

    /// POST in the name of whoever has the token.
    pub(crate) async fn post_signed(&self, path: &str, token: &str, body: Value) -> Answer {
        self.send(self.signed(Method::POST, path, token), Some(body)).await
    }

    pub(crate) async fn send(&self, request: Builder, body: Option<Value>) -> Answer {
        self.try_send(request, body).await.expect("an answer")
    }

    /// GET without a token; `None` where nobody answers.
    pub(crate) async fn try_get(&self, path: &str) -> Option<Answer> {
        self.try_send(self.request(Method::GET, path), None).await
    }

    async fn try_send(&self, request: Builder, body: Option<Value>) -> Option<Answer> {
        let request = match body {
            Some(body) => request
                .header("content-type", "application/json")
                .body(Full::from(body.to_string())),
            None => request.body(Full::default()),
        };
        let (head, body) = self.fetch(request.expect("a request")).await?;
        let json = if body.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&body).unwrap_or_else(|error| panic!("{error}: {body:?}"))
        };
        Some(Answer { status: head.status.as_u16(), headers: head.headers, json })
    }

    /// The answer to a request without a body: its head, and its body as text.
    pub(crate) async fn send_for_text(&self, request: Builder) -> (Parts, String) {
        let request = request.body(Full::default()).expect("a request");
        let (head, body) = self.fetch(request).await.expect("an answer");
        (head, String::from_utf8(body.into()).expect("text"))
    }

    async fn fetch(&self, request: Request<Full<Bytes>>) -> Option<(Parts, Bytes)> {
        let answering = self.client.request(request);
        let (head, body) = timeout(PATIENCE, answering).await.expect("in time").ok()?.into_parts();
        Some((head, body.collect().await.expect("a whole body").to_bytes()))
    }
}

impl Answer {
    /// The cookie of this name that it sets: its value, and its attributes.
    pub(crate) fn cookie(&self, name: &str) -> Option<(String, Vec<String>)> {
        let cookies = self.headers.get_all("set-cookie").iter();
        let mut cookies = cookies.map(|cookie| cookie.to_str().expect("ASCII").split("; "));
        cookies.find_map(|mut parts| {
            let value = parts.next()?.strip_prefix(name)?.strip_prefix('=')?.to_owned();
            Some((value, parts.map(str::to_owned).collect()))
        })
    }

    /// A member that is text.
    pub(crate) fn text(&self, member: &str) -> String {
        self.json[member].as_str().unwrap_or_else(|| panic!("{member}: {self:?}")).to_owned()
    }

    /// Checks that it is an error with this status, code and text.
    pub(crate) fn assert_problem(&self, status: u16, code: &str, text: &str) {
        assert_eq!(self.headers["content-type"], "application/problem+json", "{self:?}");
        let [found_code, message, error] =
            ["code", "message", "error"].map(|member| self.json[member].as_str());
        assert_eq!(
            (self.status, found_code, message, error),
            (status, Some(code), Some(text), Some(text)),
            "{self:?}"
        );
    }

    /// Checks that it refuses a token for this reason.
    pub(crate) fn assert_refused(&self, code: &str, text: &str) {
        self.assert_problem(401, code, text);
        assert_eq!(self.json["msg"], text, "{self:?}");
        assert_eq!(self.headers["www-authenticate"], "Bearer", "{self:?}");
    }
}
