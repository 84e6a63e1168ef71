//! `training.v1.RegistrationService`.

use std::mem;

use auth_client::Caller;
use prost::Message;
use proto::training::v1::{
    self as wire, CancelRegistrationRequest, CancelRegistrationResponse, CreateCalendarKeyRequest,
    CreateCalendarKeyResponse, CreateRegistrationRequest, CreateRegistrationResponse,
    GetCalendarRequest, GetCalendarResponse, GetRegistrationRequest, GetRegistrationResponse,
    ListRegistrationsRequest, ListRegistrationsResponse, RegistrationStatus,
    RevokeCalendarKeyRequest, RevokeCalendarKeyResponse,
    registration_service_server::RegistrationService,
};
use tonic::{Request, Response, Status};

use super::times::time_message;
use crate::{
    calendars::Calendars,
    error::Error,
    model::{self, Calendar, CalendarKey, Listing, NewRegistration, RegistrationId, Repeatable},
    registrations::Registrations,
};

/// Answers the calls.
#[derive(Debug)]
pub(crate) struct RegistrationHandlers {
    registrations: Registrations,
    calendars: Calendars,
}

impl RegistrationHandlers {
    pub(crate) fn new(registrations: Registrations, calendars: Calendars) -> Self {
        Self { registrations, calendars }
    }
}

#[tonic::async_trait]
impl RegistrationService for RegistrationHandlers {
    async fn create_registration(
        &self,
        request: Request<CreateRegistrationRequest>,
    ) -> Result<Response<CreateRegistrationResponse>, Status> {
        let caller = Caller::of(&request)?;
        let mut request = request.into_inner();
        let request_id = mem::take(&mut request.request_id);
        let repeatable = Repeatable::parse(request_id, request.encode_to_vec());
        let CreateRegistrationRequest { sport, training_level, program_id, .. } = request;
        let new = NewRegistration::parse(sport, training_level, program_id, repeatable)
            .map_err(Error::Invalid)?;
        let created = self.registrations.create(&caller, &new).await?;
        let registration = Some(created.into());
        Ok(Response::new(CreateRegistrationResponse { registration }))
    }

    async fn get_registration(
        &self,
        request: Request<GetRegistrationRequest>,
    ) -> Result<Response<GetRegistrationResponse>, Status> {
        let caller = Caller::of(&request)?;
        let id = registration_id(request.get_ref().registration_id)?;
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

    async fn cancel_registration(
        &self,
        request: Request<CancelRegistrationRequest>,
    ) -> Result<Response<CancelRegistrationResponse>, Status> {
        let caller = Caller::of(&request)?;
        let id = registration_id(request.get_ref().registration_id)?;
        let registration = Some(self.registrations.cancel(&caller, id).await?.into());
        Ok(Response::new(CancelRegistrationResponse { registration }))
    }

    async fn get_calendar(
        &self,
        request: Request<GetCalendarRequest>,
    ) -> Result<Response<GetCalendarResponse>, Status> {
        let key = CalendarKey::parse(request.into_inner().calendar_key);
        let key = key.map_err(|violation| Error::Invalid(vec![violation]))?;
        let Calendar { text, etag } = self.calendars.of_key(&key).await?;
        Ok(Response::new(GetCalendarResponse { calendar: text, etag }))
    }

    async fn create_calendar_key(
        &self,
        request: Request<CreateCalendarKeyRequest>,
    ) -> Result<Response<CreateCalendarKeyResponse>, Status> {
        let key = self.calendars.create_key(&Caller::of(&request)?).await?;
        Ok(Response::new(CreateCalendarKeyResponse { calendar_key: key.into_string() }))
    }

    async fn revoke_calendar_key(
        &self,
        request: Request<RevokeCalendarKeyRequest>,
    ) -> Result<Response<RevokeCalendarKeyResponse>, Status> {
        self.calendars.revoke_key(&Caller::of(&request)?).await?;
        Ok(Response::new(RevokeCalendarKeyResponse {}))
    }
}

fn registration_id(id: i64) -> Result<RegistrationId, Error> {
    RegistrationId::parse(id).map_err(|violation| Error::Invalid(vec![violation]))
}

impl From<model::Registration> for wire::Registration {
    fn from(registration: model::Registration) -> Self {
        let model::Training { sport, level } = registration.training;
        Self {
            id: registration.id.0,
            user_id: registration.user_id.0,
            sport: sport.as_str().to_owned(),
            training_level: level.as_str().to_owned(),
            registration_date: Some(time_message(registration.registered_at)),
            program_id: registration.program_id.map_or(0, |program_id| program_id.0),
            status: RegistrationStatus::from(registration.status).into(),
            waitlist_position: registration.waitlist_position,
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
