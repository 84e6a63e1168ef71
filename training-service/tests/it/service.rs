//! A running training-service, and the users that call it.

use std::{net::SocketAddr, panic::Location, time::Duration};

use auth_client::TokenRules;
use proto::training::v1::{
    CancelRegistrationRequest, CreateRegistrationRequest, GetRegistrationRequest,
    ListRegistrationsRequest, ListRegistrationsResponse, Registration,
    program_service_client::ProgramServiceClient,
    registration_service_client::RegistrationServiceClient,
};
use service_kit::{
    Entropy, Shutdown, StartError,
    client::TrustedProxies,
    mail,
    rejection::Rejection,
    secret::SecretKey,
    settings::defaults,
    testing::{ManualClock, TestDatabase},
};
use tokio::{
    net::TcpListener,
    task::JoinHandle,
    time::{sleep, timeout},
};
use tonic::{
    Code, Request,
    transport::{Channel, Endpoint},
};
use training_service::{Config, serve};

use crate::auth_peer::{AuthPeer, SERVICE_TOKEN};

/// How long it keeps events.
pub(crate) const EVENT_RETENTION: Duration = Duration::from_hours(100);

/// A generated client.
pub(crate) type Client = RegistrationServiceClient<Channel>;

/// A training-service on a port of its own.
pub(crate) struct Service {
    pub(crate) auth: AuthPeer,
    pub(crate) clock: ManualClock,
    pub(crate) shutdown: Shutdown,
    pub(crate) channel: Channel,
    serving: JoinHandle<Result<(), StartError>>,
}

impl Service {
    /// Starts one, with a clock and an auth-service of its own.
    pub(crate) async fn start(database: &TestDatabase) -> Self {
        let clock = ManualClock::default();
        let auth = AuthPeer::start(clock.clock()).await;
        Self::start_with(database, auth, clock).await
    }

    /// Starts another one on the same database, with the same clock and auth-service.
    pub(crate) async fn replica(&self, database: &TestDatabase) -> Self {
        Self::start_with(database, self.auth.clone(), self.clock.clone()).await
    }

    pub(crate) async fn start_with(
        database: &TestDatabase,
        auth: AuthPeer,
        clock: ManualClock,
    ) -> Self {
        Self::start_mailing_at(database, auth, clock, None).await
    }

    /// Starts one that sends its mail to the server at `smtp_url`.
    pub(crate) async fn start_mailing_at(
        database: &TestDatabase,
        auth: AuthPeer,
        clock: ManualClock,
        smtp_url: Option<String>,
    ) -> Self {
        let config = config(database, &auth, &clock);
        let config = Config { mail: mail::Settings { smtp_url, ..defaults() }, ..config };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let channel = channel(listener.local_addr().expect("an address"));
        let shutdown = Shutdown::new();
        let serving = tokio::spawn(serve(config, listener, shutdown.clone()));
        Self { auth, clock, shutdown, channel, serving }
    }

    pub(crate) fn client(&self) -> Client {
        RegistrationServiceClient::new(self.channel.clone())
    }

    /// A client of the programs.
    pub(crate) fn programs(&self) -> ProgramServiceClient<Channel> {
        ProgramServiceClient::new(self.channel.clone())
    }

    /// A user without special roles.
    pub(crate) fn user(&self, id: i64) -> User {
        self.user_with(id, &["user"])
    }

    /// A user with these roles.
    pub(crate) fn user_with(&self, id: i64, roles: &[&str]) -> User {
        let (client, programs) = (self.client(), self.programs());
        User { client, programs, token: self.auth.token(id, roles) }
    }

    /// Begins a shutdown and waits for its end.
    pub(crate) async fn stop(self) {
        self.shutdown.begin();
        let ended = timeout(Duration::from_secs(10), self.serving).await;
        ended.expect("it ends in time").expect("no panic").expect("a clean end");
    }
}

/// What a service on `database` is started with; its mails go to the log.
pub(crate) fn config(database: &TestDatabase, auth: &AuthPeer, clock: &ManualClock) -> Config {
    Config {
        database: database.database_url(),
        auth: auth.channel.clone(),
        token_rules: TokenRules { issuer: "pavilion".into(), audience: "pavilion".into() },
        service_tokens: SERVICE_TOKEN.parse().expect("a service token"),
        trusted_proxies: TrustedProxies::default(),
        secret_key: SecretKey::from_bytes([7; 32]),
        mail: defaults(),
        event_retention: EVENT_RETENTION,
        clock: clock.clock(),
        entropy: Entropy::system(),
    }
}

/// A connection to `address`, made at the first call.
pub(crate) fn channel(address: SocketAddr) -> Channel {
    Endpoint::from_shared(format!("http://{address}")).expect("a URL").connect_lazy()
}

/// A user who calls with a token.
#[derive(Clone)]
pub(crate) struct User {
    pub(crate) client: Client,
    pub(crate) programs: ProgramServiceClient<Channel>,
    token: String,
}

impl User {
    pub(crate) async fn create(
        &self,
        request: CreateRegistrationRequest,
    ) -> Result<Registration, Rejection> {
        let answer = self.client.clone().create_registration(self.sign(request)).await;
        let answer = answer.map_err(|status| Rejection::from(&status))?;
        Ok(answer.into_inner().registration.expect("a registration"))
    }

    pub(crate) async fn get(&self, registration_id: i64) -> Result<Registration, Rejection> {
        let request = self.sign(GetRegistrationRequest { registration_id });
        let answer = self.client.clone().get_registration(request).await;
        let answer = answer.map_err(|status| Rejection::from(&status))?;
        Ok(answer.into_inner().registration.expect("a registration"))
    }

    pub(crate) async fn cancel(&self, registration_id: i64) -> Result<Registration, Rejection> {
        let request = self.sign(CancelRegistrationRequest { registration_id });
        let answer = self.client.clone().cancel_registration(request).await;
        let answer = answer.map_err(|status| Rejection::from(&status))?;
        Ok(answer.into_inner().registration.expect("a registration"))
    }

    pub(crate) async fn list(
        &self,
        request: ListRegistrationsRequest,
    ) -> Result<ListRegistrationsResponse, Rejection> {
        let answer = self.client.clone().list_registrations(self.sign(request)).await;
        Ok(answer.map_err(|status| Rejection::from(&status))?.into_inner())
    }

    /// The first page of the user's own.
    pub(crate) async fn list_own(&self) -> Vec<Registration> {
        self.list(ListRegistrationsRequest::default()).await.expect("one's own").registrations
    }

    /// The message with the user's token.
    pub(crate) fn sign<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        let value = format!("Bearer {}", self.token).parse().expect("a header value");
        request.metadata_mut().insert("authorization", value);
        request
    }
}

/// Waits until something holds.
#[track_caller]
pub(crate) fn until(holds: impl AsyncFn() -> bool) -> impl Future<Output = ()> {
    let caller = Location::caller();
    async move {
        for _ in 0..400 {
            if holds().await {
                return;
            }
            sleep(Duration::from_millis(25)).await;
        }
        panic!("waited in vain at {caller}");
    }
}

/// Registering for training outside of programs.
pub(crate) fn training(sport: &str, level: &str) -> CreateRegistrationRequest {
    CreateRegistrationRequest {
        sport: sport.to_owned(),
        training_level: level.to_owned(),
        ..CreateRegistrationRequest::default()
    }
}

/// Registering for a program.
pub(crate) fn seat(program_id: i64) -> CreateRegistrationRequest {
    CreateRegistrationRequest { program_id, ..CreateRegistrationRequest::default() }
}

/// What is wrong with a request: field and reason of each violation.
pub(crate) fn violations(rejection: &Rejection) -> Vec<(&str, &str)> {
    assert_eq!(rejection.code, Code::InvalidArgument, "{rejection:?}");
    assert_eq!((&*rejection.reason, &*rejection.domain), ("INVALID_ARGUMENT", "training.v1"));
    rejection.violations.iter().map(|one| (&*one.field, &*one.reason)).collect()
}

/// Code and reason of a refusal by this service.
pub(crate) fn reason(rejection: &Rejection) -> (Code, &str) {
    assert_eq!(rejection.domain, "training.v1", "{rejection:?}");
    (rejection.code, &rejection.reason)
}
