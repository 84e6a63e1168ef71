//! HTTP/1.1 on a connection that is kept alive.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http::{
    Method, Request,
    header::{AUTHORIZATION, CONTENT_TYPE, HOST},
};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::timeout};

use super::{ANSWER_TIME_MAX, Answer, Failure, connect};

/// A request in the name of who has `token`, with `body` as JSON.
///
/// # Errors
/// Where the token cannot be in a header.
pub(crate) fn request(
    address: SocketAddr,
    method: Method,
    path: &str,
    body: impl Into<Bytes>,
    token: Option<&str>,
) -> Result<Request<Bytes>> {
    let body = body.into();
    let mut request = Request::builder().method(method).uri(path).header(HOST, address.to_string());
    if !body.is_empty() {
        request = request.header(CONTENT_TYPE, "application/json");
    }
    if let Some(token) = token {
        request = request.header(AUTHORIZATION, format!("Bearer {token}"));
    }
    Ok(request.body(body)?)
}

/// Asks once, on a connection of its own.
///
/// # Errors
/// Where nobody answers in time.
pub(crate) async fn ask_once(address: SocketAddr, request: Request<Bytes>) -> Result<Answer> {
    let mut line = Line::open(connect(address).await?).await?;
    match timeout(ANSWER_TIME_MAX, line.ask(request)).await? {
        Ok(answer) => Ok(answer),
        Err(Failure::Wrong(error) | Failure::Broken(error)) => bail!(error),
    }
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Line(SendRequest<Full<Bytes>>);

impl Line {
    /// Makes one to `address`.
    ///
    /// # Errors
    /// Where nobody accepts it.
    pub(crate) async fn to(address: SocketAddr) -> Result<Self> {
        Self::open(connect(address).await?).await
    }

    pub(super) async fn open(socket: TcpStream) -> Result<Self> {
        let (sender, connection) = handshake(TokioIo::new(socket)).await.context("HTTP/1.1")?;
        // Its error ends the request on it, which tells.
        tokio::spawn(connection);
        Ok(Self(sender))
    }

    /// Asks, and reads the answer to its end.
    ///
    /// # Errors
    /// Where the connection is lost.
    pub(crate) async fn ask(&mut self, request: Request<Bytes>) -> Result<Answer, Failure> {
        let broken = |error: hyper::Error| Failure::Broken(error.to_string());
        self.0.ready().await.map_err(broken)?;
        let answer = self.0.send_request(request.map(Full::new)).await.map_err(broken)?;
        let status = answer.status();
        let body = answer.into_body().collect().await.map_err(broken)?.to_bytes();
        Ok(Answer { status, body })
    }
}
