//! The messages of the product over tonic, with constants for answers and no layers.

use anyhow::Result;
use proto::{
    auth::v1::{
        Role, ValidateTokenRequest, ValidateTokenResponse,
        auth_service_server::{AuthService, AuthServiceServer},
    },
    training::v1::{
        ListRegistrationsRequest, ListRegistrationsResponse, Registration, RegistrationStatus,
        registration_service_server::{RegistrationService, RegistrationServiceServer},
    },
};
use tokio::net::TcpListener;
use tonic::{
    Request, Response, Status,
    transport::{Server, server::TcpIncoming},
};

use crate::paths::ROWS;

/// What the times in answers are.
const TIME: prost_types::Timestamp = prost_types::Timestamp { seconds: 1_767_225_600, nanos: 0 };

pub(super) async fn serve(listener: TcpListener) -> Result<()> {
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let router = Server::builder()
        .add_service(AuthServiceServer::new(Constants))
        .add_service(RegistrationServiceServer::new(Constants));
    Ok(router.serve_with_incoming(incoming).await?)
}

/// Answers the same to all, and what takes as many bytes as a real answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Constants;

#[tonic::async_trait]
impl AuthService for Constants {
    async fn validate_token(
        &self,
        _: Request<ValidateTokenRequest>,
    ) -> Result<Response<ValidateTokenResponse>, Status> {
        Ok(Response::new(ValidateTokenResponse {
            active: true,
            user_id: 1000,
            username: "person-1000".to_owned(),
            roles: vec![Role::User.into()],
            session_id: "AAAAAAAAAAAAAAAAAAAAAA".to_owned(),
            token_id: "AAAAAAAAAAAAAAAAAAAAAA".to_owned(),
            expires_at: Some(TIME),
        }))
    }
}

#[tonic::async_trait]
impl RegistrationService for Constants {
    async fn list_registrations(
        &self,
        _: Request<ListRegistrationsRequest>,
    ) -> Result<Response<ListRegistrationsResponse>, Status> {
        let registrations = (1000..).take(ROWS).map(registration).collect();
        Ok(Response::new(ListRegistrationsResponse {
            registrations,
            next_page_token: String::new(),
        }))
    }
}

fn registration(id: i64) -> Registration {
    Registration {
        id,
        user_id: 1000,
        sport: "cricket".to_owned(),
        training_level: "intermediate".to_owned(),
        registration_date: Some(TIME),
        program_id: 0,
        status: RegistrationStatus::Confirmed.into(),
        waitlist_position: 0,
    }
}
