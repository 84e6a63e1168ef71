//! A running auth-service of a test's own.

use auth_service::{Config, PasswordSettings, serve};
use proto::auth::v1::{
    LoginRequest, RefreshTokenRequest, RegisterRequest, Tokens, User, ValidateTokenRequest,
    auth_service_client::AuthServiceClient, event_service_client::EventServiceClient,
    user_service_client::UserServiceClient,
};
use service_kit::{
    Shutdown, StartError,
    rejection::Rejection,
    secret::SecretKey,
    sql,
    testing::{ManualClock, TestDatabase},
};
use tokio::{net::TcpListener, task::JoinHandle};
use tonic::{Code, Request, Status, transport::Channel};

pub const SERVICE_TOKEN: &str = "service-token-of-the-tests";
pub const PASSWORD: &str = "securepassword123";

pub struct Service {
    pub url: String,
    pub channel: Channel,
    pub clock: ManualClock,
    pub shutdown: Shutdown,
    pub serving: JoinHandle<Result<(), StartError>>,
}

/// The settings of a test: cheap hashes, a clock that stands still.
pub fn config(database: &TestDatabase, clock: &ManualClock) -> Config {
    Config {
        service_tokens: SERVICE_TOKEN.parse().expect("a service token"),
        passwords: PasswordSettings {
            argon2_memory_kib: 8,
            argon2_iterations: 1,
            argon2_parallelism: 1,
        },
        clock: clock.clock(),
        ..Config::with_defaults(database.database_url(), SecretKey::from_bytes([7; 32]))
    }
}

impl Service {
    pub async fn start(database: &TestDatabase) -> Self {
        let clock = ManualClock::default();
        Self::start_with(config(database, &clock), clock).await
    }

    pub async fn start_with(config: Config, clock: ManualClock) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let shutdown = Shutdown::new();
        let serving = tokio::spawn(serve(config, listener, shutdown.clone()));
        // The listener takes connections from the start; they wait until the service is up.
        let channel = Channel::from_shared(url.clone()).expect("a URL").connect_lazy();
        Self { url, channel, clock, shutdown, serving }
    }

    pub fn auth(&self) -> AuthServiceClient<Channel> {
        AuthServiceClient::new(self.channel.clone())
    }

    pub async fn register(&self, username: &str, email: &str) -> Result<User, Status> {
        let request = RegisterRequest {
            username: username.to_owned(),
            email: email.to_owned(),
            password: PASSWORD.to_owned(),
            ..RegisterRequest::default()
        };
        Ok(self.auth().register(request).await?.into_inner().user.expect("a user"))
    }

    pub fn users(&self) -> UserServiceClient<Channel> {
        UserServiceClient::new(self.channel.clone())
    }

    pub fn events(&self) -> EventServiceClient<Channel> {
        EventServiceClient::new(self.channel.clone())
    }

    /// Makes a user an administrator, as nobody can who is not one.
    pub async fn make_admin(&self, database: &TestDatabase, user_id: i64) {
        let db = database.connect().await;
        let update = sql!("UPDATE users SET roles = 5 WHERE id = ?");
        assert_eq!(db.write(update).bind(user_id).execute().await.expect("updated"), 1);
    }

    pub async fn refresh(&self, refresh_token: &str) -> Result<Tokens, Status> {
        let request = RefreshTokenRequest { refresh_token: refresh_token.to_owned() };
        let answer = self.auth().refresh_token(request).await?.into_inner();
        Ok(answer.tokens.expect("tokens"))
    }

    pub async fn is_active(&self, access_token: &str) -> bool {
        let request = ValidateTokenRequest { access_token: access_token.to_owned() };
        self.auth().validate_token(request).await.expect("never an error").into_inner().active
    }

    pub async fn login(&self, identifier: &str, password: &str) -> Result<Tokens, Status> {
        let request = LoginRequest {
            identifier: identifier.to_owned(),
            password: password.to_owned(),
            ..LoginRequest::default()
        };
        Ok(self.auth().login(request).await?.into_inner().tokens.expect("tokens"))
    }
}

/// A request in the name of whoever has the token.
pub fn by<T>(token: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let value = format!("Bearer {token}").parse().expect("a header value");
    request.metadata_mut().insert("authorization", value);
    request
}

/// The code and the reason of a refusal.
pub fn refusal<T: std::fmt::Debug>(result: Result<T, Status>) -> (Code, String) {
    let rejection = Rejection::from(&result.expect_err("a refusal"));
    if !rejection.reason.is_empty() {
        assert_eq!(rejection.domain, "auth.v1");
    }
    (rejection.code, rejection.reason.into_owned())
}

/// The violations of a refusal, as `field: REASON`.
pub fn violations<T: std::fmt::Debug>(result: Result<T, Status>) -> Vec<String> {
    let rejection = Rejection::from(&result.expect_err("a refusal"));
    assert_eq!((rejection.code, &*rejection.reason), (Code::InvalidArgument, "INVALID_ARGUMENT"));
    rejection.violations.iter().map(|one| format!("{}: {}", one.field, one.reason)).collect()
}
