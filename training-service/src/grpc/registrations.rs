//! `training.v1.RegistrationService`.

use auth_client::Caller;
use proto::training::v1::{
    self as wire, CreateRegistrationRequest, CreateRegistrationResponse, GetRegistrationRequest,
    GetRegistrationResponse, ListRegistrationsRequest, ListRegistrationsResponse,
    RegistrationStatus, registration_service_server::RegistrationService,
};
use tonic::{Request, Response, Status};

use crate::{
    error::Error,
    model::{self, Listing, NewRegistration, RegistrationId},
    registrations::Registrations,
};

/// Answers the calls.
#[derive(Debug)]
pub(crate) struct RegistrationHandlers {
    registrations: Registrations,
}

impl RegistrationHandlers {
    pub(crate) fn new(registrations: Registrations) -> Self {
        Self { registrations }
    }
}

#[tonic::async_trait]
impl RegistrationService for RegistrationHandlers {
    async fn create_registration(
        &self,
        request: Request<CreateRegistrationRequest>,
    ) -> Result<Response<CreateRegistrationResponse>, Status> {
        let caller = Caller::of(&request)?;
        let CreateRegistrationRequest { sport, training_level, program_id, request_id } =
            request.into_inner();
        let new = NewRegistration::parse(sport, training_level, program_id, request_id)
            .map_err(Error::Invalid)?;
        let created = self.registrations.create(&caller, new).await?;
        let registration = Some(created.into());
        Ok(Response::new(CreateRegistrationResponse { registration }))
    }

    async fn get_registration(
        &self,
        request: Request<GetRegistrationRequest>,
    ) -> Result<Response<GetRegistrationResponse>, Status> {
        let caller = Caller::of(&request)?;
        let id = RegistrationId::parse(request.get_ref().registration_id)
            .map_err(|violation| Error::Invalid(vec![violation]))?;
        let registration = Some(self.registrations.get(&caller, id).await?.into());
        Ok(Response::new(GetRegistrationResponse { registration }))
    }

    async fn list_registrations(
        &self,
        request: Request<ListRegistrationsRequest>,
    ) -> Result<Response<ListRegistrationsResponse>, Status> {
        let caller = Caller::of(&request)?;
        let ListRegistrationsRequest { page_size, page_token, user_id } = request.into_inner();
        let listing = Listing::parse(page_size, &page_token, user_id).map_err(Error::Invalid)?;
        let (listed, next_page_token) = self.registrations.list(&caller, listing).await?;
        let registrations = listed.into_iter().map(Into::into).collect();
        Ok(Response::new(ListRegistrationsResponse { registrations, next_page_token }))
    }
}

impl From<model::Registration> for wire::Registration {
    fn from(registration: model::Registration) -> Self {
        let model::Training { sport, level } = registration.training;
        Self {
            id: registration.id.0,
            user_id: registration.user_id.0,
            sport: sport.as_str().to_owned(),
            training_level: level.as_str().to_owned(),
            registration_date: Some(prost_types::Timestamp {
                seconds: registration.registered_at.seconds(),
                nanos: registration.registered_at.subsecond_nanos(),
            }),
            program_id: registration.program_id.map_or(0, |program_id| program_id.0),
            status: RegistrationStatus::from(registration.status).into(),
            // Only programs have a queue, and there are none yet.
            waitlist_position: 0,
        }
    }
}

impl From<model::Status> for RegistrationStatus {
    fn from(status: model::Status) -> Self {
        match status {
            model::Status::Confirmed => Self::Confirmed,
            model::Status::Waitlisted => Self::Waitlisted,
            model::Status::Cancelled => Self::Cancelled,
        }
    }
}
