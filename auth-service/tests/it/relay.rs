//! What stands between a verifier and auth-service: a network that a test breaks.

use std::{
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use auth_client::{TokenRules, Verifier};
use futures_util::{Stream, StreamExt};
use proto::auth::v1::{
    GetJwksRequest, GetJwksResponse, ValidateTokenRequest, ValidateTokenResponse,
    WatchRevocationsRequest, WatchRevocationsResponse,
    auth_service_client::AuthServiceClient,
    auth_service_server::{AuthService, AuthServiceServer},
};
use service_kit::{channel::RpcChannel, settings::ServiceTokens, testing::ManualClock};
use tokio::{net::TcpListener, sync::watch, task::JoinSet};
use tonic::{
    Request, Response, Status, async_trait,
    transport::{Channel, Server, server::TcpIncoming},
};

use crate::service::{SERVICE_TOKEN, Service};

/// Passes on what it is told to. Clones are the same relay.
#[derive(Clone)]
pub struct Relay(Arc<Inner>);

struct Inner {
    url: String,
    to: AuthServiceClient<Channel>,
    state: watch::Sender<State>,
    /// Questions about a token, streams that were refused, and key sets that were given.
    asked: AtomicUsize,
    refused: AtomicUsize,
    keys_given: AtomicUsize,
    older_keys: Mutex<Option<GetJwksResponse>>,
}

#[derive(Clone, Copy)]
struct State {
    streams: bool,
    questions: bool,
}

impl Relay {
    /// In front of `service`, passing on streams but no questions about single tokens.
    pub async fn start(service: &Service, tasks: &mut JoinSet<()>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let relay = Self(Arc::new(Inner {
            url: format!("http://{}", listener.local_addr().expect("an address")),
            to: service.auth(),
            state: watch::Sender::new(State { streams: true, questions: false }),
            asked: AtomicUsize::new(0),
            refused: AtomicUsize::new(0),
            keys_given: AtomicUsize::new(0),
            older_keys: Mutex::default(),
        }));
        let server = Server::builder().add_service(AuthServiceServer::new(relay.clone()));
        tasks.spawn(async move {
            server.serve_with_incoming(TcpIncoming::from(listener)).await.expect("it serves");
        });
        relay
    }

    /// A verifier that knows auth-service only through this.
    pub fn verifier(&self, clock: &ManualClock, tasks: &mut JoinSet<()>) -> Verifier {
        let channel = RpcChannel::balanced(&[self.0.url.parse().expect("a URL")]);
        let rules = TokenRules { issuer: "pavilion".to_owned(), audience: "pavilion".to_owned() };
        let tokens: ServiceTokens = SERVICE_TOKEN.parse().expect("a service token");
        let verifier = Verifier::new(channel, rules, &tokens, clock.clock());
        let running = verifier.clone();
        tasks.spawn(async move { running.run().await });
        verifier
    }

    /// Ends the streams and refuses new ones, or lets them through again.
    pub fn pass_streams(&self, streams: bool) {
        self.0.state.send_modify(|state| state.streams = streams);
    }

    /// Whether ValidateToken is passed on.
    pub fn pass_questions(&self, questions: bool) {
        self.0.state.send_modify(|state| state.questions = questions);
    }

    /// Gives these keys instead of those of the service, as a replica does that is behind.
    pub fn give_keys(&self, older: Option<GetJwksResponse>) {
        *self.0.older_keys.lock().expect("no panic") = older;
    }

    pub fn asked(&self) -> usize {
        self.0.asked.load(Ordering::SeqCst)
    }

    pub fn streams_refused(&self) -> usize {
        self.0.refused.load(Ordering::SeqCst)
    }

    pub fn keys_given(&self) -> usize {
        self.0.keys_given.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl AuthService for Relay {
    async fn validate_token(
        &self,
        request: Request<ValidateTokenRequest>,
    ) -> Result<Response<ValidateTokenResponse>, Status> {
        self.0.asked.fetch_add(1, Ordering::SeqCst);
        if !self.0.state.borrow().questions {
            return Err(Status::unavailable("cut off"));
        }
        self.0.to.clone().validate_token(request.into_inner()).await
    }

    async fn get_jwks(
        &self,
        request: Request<GetJwksRequest>,
    ) -> Result<Response<GetJwksResponse>, Status> {
        let older = self.0.older_keys.lock().expect("no panic").clone();
        let answer = match older {
            Some(older) => Response::new(older),
            None => self.0.to.clone().get_jwks(request.into_inner()).await?,
        };
        self.0.keys_given.fetch_add(1, Ordering::SeqCst);
        Ok(answer)
    }

    async fn watch_revocations(
        &self,
        request: Request<WatchRevocationsRequest>,
    ) -> Result<Response<Messages>, Status> {
        let mut state = self.0.state.subscribe();
        if !state.borrow_and_update().streams {
            self.0.refused.fetch_add(1, Ordering::SeqCst);
            return Err(Status::unavailable("cut off"));
        }
        let mut forwarded = Request::new(*request.get_ref());
        *forwarded.metadata_mut() = request.metadata().clone();
        let stream = self.0.to.clone().watch_revocations(forwarded).await?.into_inner();
        let cut = async move {
            // Fails with the relay itself, which is an end as well.
            let _ = state.wait_for(|state| !state.streams).await;
        };
        Ok(Response::new(Box::pin(stream.take_until(Box::pin(cut)))))
    }
}

type Messages =
    Pin<Box<dyn Stream<Item = Result<WatchRevocationsResponse, Status>> + Send + 'static>>;
