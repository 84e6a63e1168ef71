//! `auth.v1.AuthService`.

use std::{mem, sync::Arc};

use prost::Message;
use proto::auth::v1::{
    ChangePasswordRequest, ChangePasswordResponse, GetJwksRequest, GetJwksResponse, LoginRequest,
    LoginResponse, LogoutAllRequest, LogoutAllResponse, LogoutRequest, LogoutResponse,
    RefreshTokenRequest, RefreshTokenResponse, RegisterRequest, RegisterResponse,
    RequestPasswordResetRequest, RequestPasswordResetResponse, ResetPasswordRequest,
    ResetPasswordResponse, Tokens, ValidateTokenRequest, ValidateTokenResponse,
    WatchRevocationsRequest, WatchRevocationsResponse, auth_service_server::AuthService,
};
use service_kit::{client::Client, rejection::Violation, settings::ServiceTokens};
use tonic::{Request, Response, Status, async_trait};

use super::{
    caller, password_reset,
    revocations::RevocationSource,
    role_message, time_message,
    watching::{Watch, Watchers},
};
use crate::{
    accounts::Accounts,
    error::Error,
    feed::Feed,
    model::{Identifier, NewAccount, Password, PasswordPolicy, Repeatable, UserId, keep},
    password_reset::PasswordResets,
    sessions::{ActiveToken, Sessions, SignedIn},
    signing_keys::SigningKeys,
    store::EndedSessions,
    tokens::TokenPair,
};

/// The service over its rules.
#[derive(Debug)]
pub struct AuthApi {
    /// How accounts are made.
    pub accounts: Accounts,
    /// How sessions begin.
    pub sessions: Sessions,
    /// What tokens are signed with.
    pub keys: Arc<SigningKeys>,
    /// What new passwords must be like.
    pub password_policy: PasswordPolicy,
    /// What is new in the event log.
    pub feed: Arc<Feed>,
    /// Which services may watch.
    pub service_tokens: ServiceTokens,
    /// The streams.
    pub watchers: Watchers,
    /// How a forgotten password is replaced.
    pub password_resets: PasswordResets,
}

#[async_trait]
impl AuthService for AuthApi {
    async fn register(
        &self,
        request: Request<RegisterRequest>,
    ) -> Result<Response<RegisterResponse>, Status> {
        let client = Client::of_request(&request).into();
        let mut request = request.into_inner();
        let request_id = mem::take(&mut request.request_id);
        let password = mem::take(&mut request.password);
        let repeatable = Repeatable::parse(request_id, request.encode_to_vec());
        let RegisterRequest { username, email, name, .. } = request;
        let policy = &self.password_policy;
        let new = NewAccount::parse(&username, &email, &name, &password, policy);
        let mut violations = Vec::new();
        let repeatable = keep(repeatable, &mut violations).flatten();
        let new = match new {
            Ok(new) if violations.is_empty() => new,
            new => {
                violations.splice(..0, new.err().unwrap_or_default());
                return Err(Error::Invalid(violations).into());
            }
        };
        let user = self.accounts.register(new, repeatable.as_ref(), &client).await?;
        Ok(Response::new(RegisterResponse { user: Some(user.into()) }))
    }

    async fn login(
        &self,
        request: Request<LoginRequest>,
    ) -> Result<Response<LoginResponse>, Status> {
        let client = Client::of_request(&request).into();
        let LoginRequest { identifier, password, device_token } = request.into_inner();
        let mut violations = Vec::new();
        let identifier = keep(Identifier::parse(&identifier), &mut violations);
        let password = keep(Password::parse("password", &password), &mut violations);
        let (Some(identifier), Some(password)) = (identifier, password) else {
            return Err(Error::Invalid(violations).into());
        };
        let SignedIn { user, tokens, device_token, logout_token } =
            self.sessions.login(identifier, password, &device_token, client).await?;
        Ok(Response::new(LoginResponse {
            tokens: Some(tokens.into()),
            user: Some(user.into()),
            device_token,
            logout_token,
        }))
    }

    async fn validate_token(
        &self,
        request: Request<ValidateTokenRequest>,
    ) -> Result<Response<ValidateTokenResponse>, Status> {
        match self.sessions.judge(&request.get_ref().access_token).await {
            Ok(active) => Ok(Response::new(active.into())),
            Err(Error::Token(_)) => Ok(Response::new(ValidateTokenResponse::default())),
            Err(error) => Err(error.into()),
        }
    }

    async fn refresh_token(
        &self,
        request: Request<RefreshTokenRequest>,
    ) -> Result<Response<RefreshTokenResponse>, Status> {
        let client = Client::of_request(&request).into();
        let token = &request.get_ref().refresh_token;
        if token.is_empty() {
            return Err(Error::Invalid(vec![Violation::required("refresh_token")]).into());
        }
        let tokens = self.sessions.refresh(token, &client).await?;
        Ok(Response::new(RefreshTokenResponse { tokens: Some(tokens.into()) }))
    }

    async fn logout(
        &self,
        request: Request<LogoutRequest>,
    ) -> Result<Response<LogoutResponse>, Status> {
        let LogoutRequest { refresh_token, logout_token } = request.get_ref();
        if !refresh_token.is_empty() {
            let client = Client::of_request(&request).into();
            self.sessions.logout_by_refresh_token(refresh_token, &client).await?;
        } else if !logout_token.is_empty() {
            let client = Client::of_request(&request).into();
            self.sessions.logout_by_logout_token(logout_token, &client).await?;
        } else {
            let (caller, client) = caller::user(&self.sessions, &request).await?;
            let which = EndedSessions::One(&caller.session_id);
            let user_id = UserId(caller.user_id);
            self.sessions.end(user_id, which, user_id, &client, "signed out").await?;
        }
        Ok(Response::new(LogoutResponse {}))
    }

    async fn logout_all(
        &self,
        request: Request<LogoutAllRequest>,
    ) -> Result<Response<LogoutAllResponse>, Status> {
        let (caller, client) = caller::user(&self.sessions, &request).await?;
        let user_id = UserId(caller.user_id);
        let reason = "signed out everywhere";
        let ended =
            self.sessions.end(user_id, EndedSessions::All, user_id, &client, reason).await?;
        let sessions_ended = i64::try_from(ended).unwrap_or(i64::MAX);
        Ok(Response::new(LogoutAllResponse { sessions_ended }))
    }

    async fn change_password(
        &self,
        request: Request<ChangePasswordRequest>,
    ) -> Result<Response<ChangePasswordResponse>, Status> {
        let (active, client) = caller::account(&self.sessions, &request).await?;
        let ChangePasswordRequest { current_password, new_password } = request.into_inner();
        let mut violations = Vec::new();
        let current = keep(Password::parse("current_password", &current_password), &mut violations);
        let names = active.user().names();
        let new = self.password_policy.parse("new_password", &new_password, &names);
        let new = keep(new, &mut violations);
        let (Some(current), Some(new)) = (current, new) else {
            return Err(Error::Invalid(violations).into());
        };
        let device_token = self.sessions.change_password(active, current, new, &client).await?;
        Ok(Response::new(ChangePasswordResponse { device_token }))
    }

    async fn watch_revocations(
        &self,
        request: Request<WatchRevocationsRequest>,
    ) -> Result<Response<Watch<WatchRevocationsResponse>>, Status> {
        caller::service(&self.service_tokens, &request)?;
        let cursor = request.get_ref().after_sequence;
        if cursor < 0 {
            let description = "after_sequence is negative";
            let violation = Violation::new("after_sequence", "OUT_OF_RANGE", description);
            return Err(Error::Invalid(vec![violation]).into());
        }
        let clock = self.sessions.clock.clone();
        let source = RevocationSource::new(self.feed.clone(), self.keys.clone(), clock, cursor);
        Ok(Response::new(self.watchers.start(source)?))
    }

    async fn get_jwks(
        &self,
        _: Request<GetJwksRequest>,
    ) -> Result<Response<GetJwksResponse>, Status> {
        let ring = self.keys.published().await;
        let keys = ring.public().iter().map(auth_client::PublicKey::to_jwk).collect();
        Ok(Response::new(GetJwksResponse { keys, keys_version: ring.version() }))
    }

    async fn request_password_reset(
        &self,
        request: Request<RequestPasswordResetRequest>,
    ) -> Result<Response<RequestPasswordResetResponse>, Status> {
        password_reset::request(self, request).await
    }

    async fn reset_password(
        &self,
        request: Request<ResetPasswordRequest>,
    ) -> Result<Response<ResetPasswordResponse>, Status> {
        password_reset::reset(self, request).await
    }
}

impl From<TokenPair> for Tokens {
    fn from(tokens: TokenPair) -> Self {
        Self {
            access_token: tokens.access_token,
            refresh_token: tokens.refresh_token,
            token_type: "Bearer".to_owned(),
            expires_in_seconds: i64::try_from(tokens.expires_in.as_secs()).unwrap_or(i64::MAX),
        }
    }
}

impl From<ActiveToken> for ValidateTokenResponse {
    fn from(active: ActiveToken) -> Self {
        let (token, user) = (&active.token, active.user());
        Self {
            active: true,
            user_id: token.user_id,
            username: user.username.clone().unwrap_or_default(),
            roles: token.roles.iter().map(|role| role_message(role).into()).collect(),
            session_id: token.session_id.clone(),
            token_id: token.token_id.clone(),
            expires_at: Some(time_message(token.expires_at)),
        }
    }
}
