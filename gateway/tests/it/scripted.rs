//! A gRPC service on a free port that answers as a test says and remembers what it was asked.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::{body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use service_kit::channel::RpcChannel;
use tokio::{
    net::{TcpListener, TcpStream},
    task::{AbortHandle, JoinSet},
};
use tonic::Status;

/// One call: its path, its metadata and its message.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) metadata: HeaderMap,
    message: Bytes,
}

impl Asked {
    pub(crate) fn message<M: Message + Default>(&self) -> M {
        M::decode(self.message.clone()).expect("the message that was expected")
    }
}

/// What an answer is made of.
pub(crate) type AnswerBody = UnsyncBoxBody<Bytes, Infallible>;

/// What to answer.
pub(crate) type Said = Result<Vec<u8>, Status>;

/// The service and all that it was asked.
#[derive(Clone)]
pub(crate) struct Scripted {
    pub(crate) channel: RpcChannel,
    pub(crate) address: SocketAddr,
    calls: Arc<Mutex<Vec<Asked>>>,
    serving: AbortHandle,
}

impl Scripted {
    /// One that answers every call with what `answer` says, in its own time.
    pub(crate) async fn start<F>(answer: impl Fn(Asked) -> F + Clone + Send + 'static) -> Self
    where
        F: Future<Output = Said> + Send + 'static,
    {
        Self::start_at("127.0.0.1:0".parse().expect("an address"), answer).await
    }

    /// The same at `address`.
    pub(crate) async fn start_at<F>(
        address: SocketAddr,
        answer: impl Fn(Asked) -> F + Clone + Send + 'static,
    ) -> Self
    where
        F: Future<Output = Said> + Send + 'static,
    {
        Self::serve_at(address, move |asked| {
            let said = answer(asked);
            async { write(said.await) }
        })
        .await
    }

    /// One that answers every call with the bytes that `answer` makes.
    pub(crate) async fn serve_at<F>(
        address: SocketAddr,
        answer: impl Fn(Asked) -> F + Clone + Send + 'static,
    ) -> Self
    where
        F: Future<Output = Response<AnswerBody>> + Send + 'static,
    {
        let listener = TcpListener::bind(address).await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let channel = channel_to(&[address]);
        let calls: Arc<Mutex<Vec<Asked>>> = Arc::default();

        let remembered = calls.clone();
        let serving = tokio::spawn(async move {
            // Dropped with this task, and all connections with it.
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                let (remembered, answer) = (remembered.clone(), answer.clone());
                let service = service_fn(move |request: Request<Incoming>| {
                    let (remembered, answer) = (remembered.clone(), answer.clone());
                    async move {
                        let asked = read(request).await;
                        remembered.lock().expect("no panic").push(asked.clone());
                        Ok::<_, Infallible>(answer(asked).await)
                    }
                });
                let connection = http2::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), service);
                connections.spawn(connection);
            }
        });
        Self { channel, address, calls, serving: serving.abort_handle() }
    }

    /// Ends it as a crash does, with its connections.
    pub(crate) async fn kill(&self) {
        self.serving.abort();
        while TcpStream::connect(self.address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    }

    /// One that answers every call with `message`.
    pub(crate) async fn saying(message: impl Message) -> Self {
        let message = message.encode_to_vec();
        Self::start(move |_| std::future::ready(Ok(message.clone()))).await
    }

    /// One that refuses every call.
    pub(crate) async fn refusing(status: impl Into<Status>) -> Self {
        let status = status.into();
        Self::start(move |_| std::future::ready(Err(status.clone()))).await
    }

    /// What it was asked so far.
    pub(crate) fn calls(&self) -> Vec<Asked> {
        self.calls.lock().expect("no panic").clone()
    }

    /// The one call that it was asked.
    pub(crate) fn only_call(&self) -> Asked {
        let mut calls = self.calls();
        assert_eq!(calls.len(), 1, "{calls:?}");
        calls.remove(0)
    }
}

/// A channel to services at `addresses`.
pub(crate) fn channel_to(addresses: &[SocketAddr]) -> RpcChannel {
    let url = |address: &SocketAddr| format!("http://{address}").parse().expect("a URL");
    RpcChannel::balanced(&addresses.iter().map(url).collect::<Vec<_>>())
}

/// The frame of a message: a byte for "not compressed" and four for its length.
const PREFIX_BYTES: usize = 5;

async fn read(request: Request<Incoming>) -> Asked {
    let (head, body) = request.into_parts();
    let framed = body.collect().await.expect("a whole message").to_bytes();
    let message = framed.slice(PREFIX_BYTES..);
    Asked { path: head.uri.path().to_owned(), metadata: head.headers, message }
}

pub(crate) fn write(said: Said) -> Response<AnswerBody> {
    let message = match said {
        Ok(message) => message,
        Err(status) => {
            return status.into_http::<()>().map(|()| Full::default().boxed_unsync());
        }
    };
    let mut framed = BytesMut::with_capacity(PREFIX_BYTES + message.len());
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.len()).expect("a small message"));
    framed.extend_from_slice(&message);
    let trailers = HeaderMap::from_iter([(
        http::HeaderName::from_static("grpc-status"),
        HeaderValue::from_static("0"),
    )]);
    let body = Full::new(framed.freeze()).with_trailers(async { Some(Ok(trailers)) });
    Response::builder()
        .header("content-type", "application/grpc")
        .body(body.boxed_unsync())
        .expect("a response")
}
