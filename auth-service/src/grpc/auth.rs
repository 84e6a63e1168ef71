//! `auth.v1.AuthService`.

use std::sync::Arc;

use proto::auth::v1::{
    GetJwksRequest, GetJwksResponse, LoginRequest, LoginResponse, RegisterRequest,
    RegisterResponse, RequestPasswordResetRequest, RequestPasswordResetResponse,
    ResetPasswordRequest, ResetPasswordResponse, Tokens, ValidateTokenRequest,
    ValidateTokenResponse, auth_service_server::AuthService,
};
use service_kit::client::Client;
use tonic::{Request, Response, Status, async_trait};

use super::{password_reset, role_message, time_message};
use crate::{
    accounts::Accounts,
    error::Error,
    model::{Identifier, NewAccount, Password, PasswordPolicy, keep},
    password_reset::PasswordResets,
    sessions::{ActiveToken, Sessions},
    signing_keys::SigningKeys,
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
        let RegisterRequest { username, email, password, name } = request.into_inner();
        let policy = &self.password_policy;
        let new = NewAccount::parse(&username, &email, &name, &password, policy)
            .map_err(Error::Invalid)?;
        let user = self.accounts.register(new, &client).await?;
        Ok(Response::new(RegisterResponse { user: Some(user.into()) }))
    }

    async fn login(
        &self,
        request: Request<LoginRequest>,
    ) -> Result<Response<LoginResponse>, Status> {
        let client = Client::of_request(&request).into();
        let LoginRequest { identifier, password } = request.into_inner();
        let mut violations = Vec::new();
        let identifier = keep(Identifier::parse(&identifier), &mut violations);
        let password = keep(Password::parse("password", &password), &mut violations);
        let (Some(identifier), Some(password)) = (identifier, password) else {
            return Err(Error::Invalid(violations).into());
        };
        let (user, tokens) = self.sessions.login(identifier, password, client).await?;
        Ok(Response::new(LoginResponse { tokens: Some(tokens.into()), user: Some(user.into()) }))
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

    async fn get_jwks(
        &self,
        _: Request<GetJwksRequest>,
    ) -> Result<Response<GetJwksResponse>, Status> {
        let keys = self.keys.public().iter().map(auth_client::PublicKey::to_jwk).collect();
        Ok(Response::new(GetJwksResponse { keys }))
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
    fn from(ActiveToken { token, user }: ActiveToken) -> Self {
        Self {
            active: true,
            user_id: token.user_id,
            username: user.username.unwrap_or_default(),
            roles: token.roles.iter().map(|role| role_message(role).into()).collect(),
            session_id: token.session_id,
            token_id: token.token_id,
            expires_at: Some(time_message(token.expires_at)),
        }
    }
}
