//! Whether both services can be reached and serve. One check at a time, whose result holds for a
//! second: `/readyz` is open to everyone and stands outside of all limits.

use std::{sync::Arc, time::Duration};

use service_kit::{Clock, Timestamp, channel::RpcChannel};
use tokio::{sync::Mutex, time::timeout};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

/// How long a service may take to say that it serves.
const CHECK_TIME_MAX: Duration = Duration::from_secs(1);
/// How long what was found holds.
const RESULT_AGE_MAX: Duration = Duration::from_secs(1);

/// The names of the services that do not serve.
pub(crate) type Missing = Vec<&'static str>;

/// The checks of one gateway.
pub(crate) struct Readiness {
    services: [(&'static str, RpcChannel); 2],
    clock: Clock,
    /// Locked for as long as a check takes, so that others wait for its result.
    last: Arc<Mutex<Option<(Timestamp, Missing)>>>,
}

impl Readiness {
    pub(crate) fn new(auth: RpcChannel, training: RpcChannel, clock: Clock) -> Self {
        let services = [("auth-service", auth), ("training-service", training)];
        Self { services, clock, last: Arc::default() }
    }

    /// Which services do not serve, as of at most a second ago.
    pub(crate) async fn missing(&self) -> Missing {
        let mut last = self.last.clone().lock_owned().await;
        let now = self.clock.now();
        if let Some((at, missing)) = &*last
            && (*at..*at + RESULT_AGE_MAX).contains(&now)
        {
            return missing.clone();
        }
        let (services, clock) = (self.services.clone(), self.clock.clone());
        // A task, so that it ends, and tells the others, though whoever asked first has gone.
        let check = tokio::spawn(async move {
            let missing = check(&services).await;
            *last = Some((clock.now(), missing.clone()));
            missing
        });
        check.await.unwrap_or_else(|error| {
            tracing::error!(%error, "the check of the services failed");
            self.services.each_ref().map(|service| service.0).to_vec()
        })
    }
}

async fn check([auth, training]: &[(&'static str, RpcChannel); 2]) -> Missing {
    let serving = tokio::join!(is_serving(&auth.1), is_serving(&training.1));
    let found = [(auth.0, serving.0), (training.0, serving.1)];
    found.into_iter().filter_map(|(name, serves)| (!serves).then_some(name)).collect()
}

async fn is_serving(service: &RpcChannel) -> bool {
    // No name stands for the server as a whole.
    let request = HealthCheckRequest { service: String::new() };
    let mut health = HealthClient::new(service.clone());
    let answered = timeout(CHECK_TIME_MAX, health.check(request)).await;
    answered.is_ok_and(|answer| {
        answer.is_ok_and(|health| health.get_ref().status() == ServingStatus::Serving)
    })
}
