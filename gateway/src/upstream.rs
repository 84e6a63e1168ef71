//! A call to a service on behalf of an HTTP request: who asks, with which token, in which trace,
//! and until when.

use std::{
    fmt::Display,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use axum::extract::FromRequestParts;
use http::{
    Extensions, HeaderMap, HeaderValue,
    header::{AUTHORIZATION, USER_AGENT},
    request::Parts,
};
use proto::{
    auth::v1::{auth_service_client::AuthServiceClient, user_service_client::UserServiceClient},
    training::v1::{
        program_service_client::ProgramServiceClient,
        registration_service_client::RegistrationServiceClient,
    },
};
use service_kit::{
    channel::RpcChannel,
    client::{FORWARDED_FOR, FORWARDED_USER_AGENT},
    trace_context::{TRACEPARENT, TraceContext},
};
use tokio::time::{Instant, timeout_at};
use tonic::{Code, Status, metadata::MetadataMap};

use crate::{
    Gateway,
    problem::{Problem, Wording},
    request_id::{RequestId, X_REQUEST_ID},
};

/// By how much the deadline that a service is told is later than ours, so that ours passes first
/// and every late answer is told in the same words.
const DEADLINE_GRACE: Duration = Duration::from_millis(50);

/// The address that a connection comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClientAddress(IpAddr);

impl ClientAddress {
    pub(crate) fn ip(self) -> IpAddr {
        self.0
    }
}

impl From<SocketAddr> for ClientAddress {
    fn from(address: SocketAddr) -> Self {
        // On a socket for both families a client of IPv4 shows as `::ffff:192.0.2.1`.
        Self(address.ip().to_canonical())
    }
}

/// Where the client of a request with these headers and extensions is, as far as can be believed;
/// `None` where the request did not come over a connection.
pub(crate) fn client_address(
    gateway: &Gateway,
    headers: &HeaderMap,
    extensions: &Extensions,
) -> Option<IpAddr> {
    let peer = extensions.get::<ClientAddress>()?;
    Some(gateway.0.trusted_proxies.client_address(peer.0, headers))
}

/// What the edge knows of a request.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    pub(crate) request_id: RequestId,
    pub(crate) trace: TraceContext,
    /// When it must be answered.
    pub(crate) deadline: Instant,
}

/// The right to call the services in the name of one HTTP request.
pub(crate) struct Call {
    gateway: Gateway,
    metadata: HeaderMap,
    deadline: Instant,
}

impl Call {
    /// auth-service.
    pub(crate) fn auth(&self) -> AuthServiceClient<RpcChannel> {
        AuthServiceClient::new(self.gateway.0.auth.clone())
    }

    /// auth-service's accounts.
    pub(crate) fn users(&self) -> UserServiceClient<RpcChannel> {
        UserServiceClient::new(self.gateway.0.auth.clone())
    }

    /// training-service's registrations.
    pub(crate) fn registrations(&self) -> RegistrationServiceClient<RpcChannel> {
        RegistrationServiceClient::new(self.gateway.0.training.clone())
    }

    /// training-service's programs.
    pub(crate) fn programs(&self) -> ProgramServiceClient<RpcChannel> {
        ProgramServiceClient::new(self.gateway.0.training.clone())
    }

    /// `message` with what the service has to know of the HTTP request.
    pub(crate) fn request<T>(&self, message: T) -> tonic::Request<T> {
        let mut request = tonic::Request::new(message);
        *request.metadata_mut() = MetadataMap::from_headers(self.metadata.clone());
        let remaining = self.deadline.saturating_duration_since(Instant::now());
        request.set_timeout(remaining + DEADLINE_GRACE);
        request
    }

    /// Waits for what a service answers, no longer than the deadline.
    ///
    /// # Errors
    /// The service's refusal in the words of the route; 503 where it cannot be reached in time.
    pub(crate) async fn answer<T>(
        &self,
        rpc: impl Future<Output = Result<tonic::Response<T>, Status>>,
        wording: &Wording,
    ) -> Result<T, Problem> {
        let answered = timeout_at(self.deadline, rpc).await;
        let answered = answered.unwrap_or_else(|_elapsed| {
            Err(Status::new(Code::DeadlineExceeded, "the service does not answer in time"))
        });
        answered.map(tonic::Response::into_inner).map_err(|status| wording.problem(&status))
    }
}

impl FromRequestParts<Gateway> for Call {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, gateway: &Gateway) -> Result<Self, Problem> {
        let address = client_address(gateway, &parts.headers, &parts.extensions);
        let (Some(arrival), Some(address)) = (parts.extensions.get::<Arrival>(), address) else {
            tracing::error!("a request did not come through the edge");
            return Err(Problem::internal());
        };
        let trace = arrival.trace.child(&gateway.0.entropy);
        let mut metadata = HeaderMap::with_capacity(8);
        // As they came, two as two: judging them is the service's business.
        for value in parts.headers.get_all(AUTHORIZATION) {
            metadata.append(AUTHORIZATION, value.clone());
        }
        metadata.insert(TRACEPARENT, header_value(trace));
        metadata.insert(X_REQUEST_ID, arrival.request_id.as_header().clone());
        metadata.insert(FORWARDED_FOR, header_value(address));
        if let Some(user_agent) = parts.headers.get(USER_AGENT) {
            metadata.insert(FORWARDED_USER_AGENT, user_agent.clone());
        }
        Ok(Self { gateway: gateway.clone(), metadata, deadline: arrival.deadline })
    }
}

fn header_value(shown: impl Display) -> HeaderValue {
    #[expect(clippy::expect_used, reason = "a trace and an address are shown in ASCII")]
    HeaderValue::try_from(shown.to_string()).expect("ASCII")
}

/// A part of a service's answer that is always there.
///
/// # Errors
/// 500 where it is not, as a service that breaks its contract is a fault of ours.
pub(crate) fn given<T>(part: Option<T>) -> Result<T, Problem> {
    part.ok_or_else(|| {
        tracing::error!(
            part = std::any::type_name::<T>(),
            "a service left out a part of its answer"
        );
        Problem::internal()
    })
}
