//! Follows the events of `auth.v1.EventService`, to learn whose accounts are deleted.

use std::time::Duration;

use proto::auth::v1::{EventType, WatchEventsRequest, event_service_client::EventServiceClient};
use service_kit::{channel::RpcChannel, settings::ServiceTokens};
use tokio::time::{sleep, timeout};
use tonic::{Request, Status, metadata::AsciiMetadataValue};

use crate::{departures::Departures, model::UserId};

/// How long the stream may take to begin, and may be silent: three of its signs of life.
const SILENCE_MAX: Duration = Duration::from_secs(15);
/// The pause before a stream that was lost is opened again.
const RECONNECT_PAUSE: Duration = Duration::from_secs(2);

/// Passes deletions on. Run it for as long as the service runs; it ends at once without a service
/// token, which the stream needs.
pub(crate) async fn follow_deletions(
    auth: RpcChannel,
    service_tokens: ServiceTokens,
    departures: Departures,
) {
    let token = service_tokens.shown().and_then(|token| {
        let mut value: AsciiMetadataValue = format!("Bearer {token}").parse().ok()?;
        value.set_sensitive(true);
        Some(value)
    });
    let Some(token) = token else {
        tracing::warn!("SERVICE_TOKEN is not set: users who are deleted keep their seats");
        return;
    };
    loop {
        match follow_once(auth.clone(), token.clone(), &departures).await {
            Ok(()) => tracing::debug!("the stream of events has ended"),
            Err(status) => tracing::warn!(
                grpc.code = ?status.code(), grpc.message = status.message(),
                "the stream of events is lost"
            ),
        }
        sleep(RECONNECT_PAUSE).await;
    }
}

async fn follow_once(
    auth: RpcChannel,
    token: AsciiMetadataValue,
    departures: &Departures,
) -> Result<(), Status> {
    let silence = |_| Status::deadline_exceeded("no sign of life");
    let after_sequence = departures.cursor().await?;
    let mut request = Request::new(WatchEventsRequest { after_sequence });
    request.metadata_mut().insert("authorization", token);
    let mut events = EventServiceClient::new(auth);
    let opened = timeout(SILENCE_MAX, events.watch_events(request)).await.map_err(silence)?;
    let mut stream = opened?.into_inner();
    let mut done = after_sequence;
    loop {
        let message = timeout(SILENCE_MAX, stream.message()).await.map_err(silence)??;
        let Some(message) = message else { return Ok(()) };
        if message.sequence <= done {
            continue;
        }
        let deleted: Vec<_> = message
            .events
            .iter()
            .filter(|event| event.r#type() == EventType::UserDeleted)
            .map(|event| UserId(event.user_id))
            .collect();
        departures.deal_with(&deleted, message.sequence).await?;
        done = message.sequence;
    }
}
