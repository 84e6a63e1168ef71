//! The three parts on ports of their own, connected by nothing but TCP.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use auth_client::TokenRules;
use clap::Parser;
use service_kit::{
    Clock, Shutdown, StartError,
    channel::RpcChannel,
    settings::{Common, Mailing, Retention, ServiceTokens},
    testing::TestDatabase,
};
use tokio::{
    net::{TcpListener, TcpSocket},
    task::JoinHandle,
    time::timeout,
};

use crate::{
    http_client::Http,
    program::{PATIENCE, eventually},
};

/// The settings, read as the programs read them: a new one with a default is no concern here.
#[derive(Parser)]
struct Settings {
    #[command(flatten)]
    auth: auth_service::Settings,
    #[command(flatten)]
    training: training_service::Settings,
    #[command(flatten)]
    token_rules: TokenRules,
    #[command(flatten)]
    service_tokens: ServiceTokens,
    #[command(flatten)]
    mailing: Mailing,
    #[command(flatten)]
    retention: Retention,
    #[command(flatten)]
    common: Common,
}

impl Settings {
    fn read(database: &TestDatabase, service_token: Option<&str>) -> Self {
        let folder = database.folder().to_str().expect("text");
        let mut arguments = vec!["test", "--data-dir", folder];
        arguments.extend(["--auth-database-url", &database.url]);
        arguments.extend(["--training-database-url", &database.url]);
        arguments.extend(["--argon2-memory-kib", "8", "--argon2-iterations", "1"]);
        arguments.extend(service_token.iter().flat_map(|token| ["--service-token", token]));
        Self::parse_from(arguments)
    }
}

/// A port that stays ours while nobody listens on it.
struct Port {
    address: SocketAddr,
    _kept: TcpSocket,
}

impl Port {
    fn free() -> Self {
        let socket = Self::socket();
        socket.bind(([127, 0, 0, 1], 0).into()).expect("a free port");
        Self { address: socket.local_addr().expect("an address"), _kept: socket }
    }

    fn listen(&self) -> TcpListener {
        let socket = Self::socket();
        socket.bind(self.address).expect("the port is ours");
        socket.listen(128).expect("nobody else listens")
    }

    /// One that shares its port with the others that are made here.
    fn socket() -> TcpSocket {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_reuseport(true).expect("ports are shared here");
        socket
    }

    fn channel(&self) -> RpcChannel {
        RpcChannel::balanced(&[format!("http://{}", self.address).parse().expect("a URL")])
    }
}

/// A part that serves; it ends when it is dropped.
struct Part {
    shutdown: Shutdown,
    serving: JoinHandle<Result<(), StartError>>,
}

impl Drop for Part {
    fn drop(&mut self) {
        self.shutdown.begin();
    }
}

impl Part {
    fn start<S>(serve: impl FnOnce(Shutdown) -> S) -> Self
    where
        S: Future<Output = Result<(), StartError>> + Send + 'static,
    {
        let shutdown = Shutdown::new();
        let serving = tokio::spawn(serve(shutdown.clone()));
        Self { shutdown, serving }
    }
}

/// How many seconds the services are ahead of the system's time.
#[derive(Clone, Default)]
struct Ahead(Arc<AtomicU64>);

impl Ahead {
    fn clock(&self) -> Clock {
        let (ahead, system) = (self.0.clone(), Clock::system());
        Clock::from_fn(move || system.now() + Duration::from_secs(ahead.load(Ordering::SeqCst)))
    }
}

/// A gateway, an auth-service and a training-service, each service with a database of its own.
pub(crate) struct Deployment {
    auth_database: TestDatabase,
    service_token: Option<&'static str>,
    auth_port: Port,
    gateway_port: Port,
    ahead: Ahead,
    auth: Option<Part>,
    _training: Part,
    _gateway: Part,
    // Longer than the service that uses it.
    _training_database: TestDatabase,
}

impl Deployment {
    /// Starts all three, and waits until they are ready.
    pub(crate) async fn start(
        auth_database: TestDatabase,
        service_token: Option<&'static str>,
    ) -> Self {
        let training_database = TestDatabase::create(auth_database.kind).await;
        let (auth_port, training_port, gateway_port) = (Port::free(), Port::free(), Port::free());

        let Settings { training, token_rules, service_tokens, mailing, retention, common, .. } =
            Settings::read(&training_database, service_token);
        let auth = auth_port.channel();
        let config = training_service::Config::new(
            training,
            token_rules,
            service_tokens,
            mailing,
            retention,
            auth,
            &common,
        );
        let ahead = Ahead::default();
        let config =
            training_service::Config { clock: ahead.clock(), ..config.expect("good settings") };
        let listener = training_port.listen();
        let training = Part::start(|shutdown| training_service::serve(config, listener, shutdown));

        let config = gateway::Config::new(auth_port.channel(), training_port.channel());
        let listener = gateway_port.listen();
        let gateway = Part::start(|shutdown| gateway::serve(config, listener, shutdown));

        let mut deployment = Self {
            auth_database,
            service_token,
            auth_port,
            gateway_port,
            ahead,
            auth: None,
            _training: training,
            _gateway: gateway,
            _training_database: training_database,
        };
        deployment.start_auth();
        deployment.wait_for_readiness(200).await;
        deployment
    }

    /// Starts auth-service, where it was before.
    pub(crate) fn start_auth(&mut self) {
        let Settings { auth, token_rules, service_tokens, mailing, retention, common, .. } =
            Settings::read(&self.auth_database, self.service_token);
        let config = auth_service::Config::new(
            auth,
            token_rules,
            service_tokens,
            mailing,
            retention,
            &common,
        );
        let config =
            auth_service::Config { clock: self.ahead.clock(), ..config.expect("good settings") };
        let listener = self.auth_port.listen();
        let part = Part::start(|shutdown| auth_service::serve(config, listener, shutdown));
        self.auth = Some(part);
    }

    /// Lets time pass for both services.
    pub(crate) fn advance(&self, time: Duration) {
        self.ahead.0.fetch_add(time.as_secs(), Ordering::SeqCst);
    }

    /// Ends auth-service.
    pub(crate) async fn stop_auth(&mut self) {
        let mut auth = self.auth.take().expect("it runs");
        auth.shutdown.begin();
        let ended = timeout(PATIENCE, &mut auth.serving).await.expect("an end in time");
        ended.expect("no panic").expect("a clean end");
    }

    /// Waits until `/readyz` has this status.
    pub(crate) async fn wait_for_readiness(&self, status: u16) {
        let http = self.http();
        eventually("another readiness", async || {
            http.try_get("/readyz").await.filter(|answer| answer.status == status)
        })
        .await;
    }

    pub(crate) fn http(&self) -> Http {
        Http::to(self.gateway_port.address)
    }

    pub(crate) fn auth_address(&self) -> SocketAddr {
        self.auth_port.address
    }
}
