//! gRPC over HTTP/2, one unary call after the other.

use std::{future::poll_fn, net::SocketAddr};

use anyhow::{Context, Result};
use bytes::{BufMut, Bytes, BytesMut};
use h2::{RecvStream, client::SendRequest};
use http::{HeaderMap, Request, StatusCode, header::AUTHORIZATION};
use prost::Message;
use tokio::net::TcpStream;

use super::{Answer, Failure};

/// Compression flag and length before a message.
const PREFIX_BYTES: usize = 5;
/// What the server may send ahead, over one connection and for one call.
const WINDOW_BYTES: u32 = 1024 * 1024;

/// A method, ready to be called.
#[derive(Clone, Debug)]
pub(crate) struct Method(Request<()>);

impl Method {
    /// The one at `path` (`/package.Service/Method`), called by who has `token`.
    ///
    /// # Errors
    /// Where the token cannot be in a header.
    pub(crate) fn new(address: SocketAddr, path: &str, token: Option<&str>) -> Result<Self> {
        let mut request = Request::post(format!("http://{address}{path}"))
            .header("te", "trailers")
            .header("content-type", "application/grpc");
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        Ok(Self(request.body(())?))
    }

    /// A call of it.
    pub(crate) fn call(&self, message: &impl Message) -> Request<Bytes> {
        let message = message.encode_to_vec();
        let mut body = BytesMut::with_capacity(PREFIX_BYTES + message.len());
        body.put_u8(0);
        // One that is longer is refused, as it is then not as long as it says.
        body.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
        body.put_slice(&message);
        self.0.clone().map(|()| body.freeze())
    }
}

/// Reads the message of an answer.
///
/// # Errors
/// Where it is none of this type.
pub(crate) fn message<M: Message + Default>(answer: &Answer) -> Result<M, String> {
    M::decode(&*answer.body).map_err(|error| error.to_string())
}

/// One of those who share a connection.
#[derive(Clone, Debug)]
pub(super) struct Line(SendRequest<Bytes>);

impl Line {
    pub(super) async fn open(socket: TcpStream) -> Result<Self> {
        let mut builder = h2::client::Builder::new();
        builder.initial_window_size(WINDOW_BYTES).initial_connection_window_size(WINDOW_BYTES);
        let (sender, connection) = builder.handshake(socket).await.context("HTTP/2")?;
        // Its error ends the calls on it, each of which tells.
        tokio::spawn(connection);
        Ok(Self(sender))
    }

    pub(super) async fn ask(&mut self, request: Request<Bytes>) -> Result<Answer, Failure> {
        let broken = |error: h2::Error| match error.reason() {
            // Of this one call.
            Some(reason) if error.is_reset() => Failure::Wrong(format!("reset: {reason}")),
            _ => Failure::Broken(error.to_string()),
        };
        let (parts, body) = request.into_parts();
        poll_fn(|cx| self.0.poll_ready(cx)).await.map_err(broken)?;
        let (answer, mut stream) =
            self.0.send_request(Request::from_parts(parts, ()), false).map_err(broken)?;
        stream.send_data(body, true).map_err(broken)?;
        let (head, body) = answer.await.map_err(broken)?.into_parts();
        if head.status != StatusCode::OK {
            return Err(Failure::Wrong(format!("HTTP status {}", head.status)));
        }
        let (body, trailers) = read(body).await.map_err(broken)?;
        // An error from the start has its status in the head.
        check_status(trailers.as_ref().unwrap_or(&head.headers)).map_err(Failure::Wrong)?;
        let body = unwrap(&body).ok_or_else(|| Failure::Wrong("not one message".to_owned()))?;
        Ok(Answer { status: head.status, body })
    }
}

async fn read(mut stream: RecvStream) -> Result<(Bytes, Option<HeaderMap>), h2::Error> {
    let mut body = Bytes::new();
    while let Some(chunk) = stream.data().await {
        let chunk = chunk?;
        stream.flow_control().release_capacity(chunk.len())?;
        // One, unless the message is larger than a frame.
        body = if body.is_empty() { chunk } else { [body, chunk].concat().into() };
    }
    Ok((body, stream.trailers().await?))
}

fn check_status(headers: &HeaderMap) -> Result<(), String> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    match text("grpc-status") {
        Some("0") => Ok(()),
        Some(status) => {
            Err(format!("grpc-status {status}: {}", text("grpc-message").unwrap_or_default()))
        }
        None => Err("no grpc-status".to_owned()),
    }
}

/// The one message of a body, which must not be compressed.
fn unwrap(body: &Bytes) -> Option<Bytes> {
    let (prefix, message) = body.split_at_checked(PREFIX_BYTES)?;
    let length = u32::from_be_bytes(*prefix.last_chunk()?);
    let is_whole = prefix[0] == 0 && usize::try_from(length).ok()? == message.len();
    is_whole.then(|| body.slice(PREFIX_BYTES..))
}
