//! What happens to accounts, followed from a cursor that the service keeps in its own database.

use std::time::Duration;

use proto::auth::v1::{Event, WatchEventsRequest, event_service_client::EventServiceClient};
use service_kit::{channel::RpcChannel, rejection::Rejection, settings::ServiceTokens};
use tokio::time::{Instant, sleep, timeout};
use tonic::{Code, Request, Status, metadata::AsciiMetadataValue};

use crate::bearer::service_token;

/// How long the stream may take to begin, and may be silent: three of its signs of life.
const SILENCE_MAX: Duration = Duration::from_secs(15);
/// The pause before a stream that was lost is opened again: the first, and the longest.
const RECONNECT_PAUSE: Duration = Duration::from_millis(500);
const RECONNECT_PAUSE_MAX: Duration = Duration::from_secs(30);

/// What a service does about the events of auth-service.
///
/// Several replicas may follow at once and each event may come more than once: what is done about
/// it a second time must change nothing.
#[tonic::async_trait]
pub trait EventHandler: Send + Sync {
    /// The number of the last event that was dealt with; 0 for none.
    async fn cursor(&self) -> Result<i64, Status>;

    /// Deals with `events`, in order, and notes that all is done up to the number `sequence`, at
    /// once with the last effect or after it.
    async fn handle(&self, events: &[Event], sequence: i64) -> Result<(), Status>;

    /// Makes up for events that can no longer be had, by comparing what the service holds with the
    /// accounts that there are ([`UserDirectory`](crate::UserDirectory)).
    async fn reconcile(&self) -> Result<(), Status>;

    /// Notes that none is dealt with, unless the cursor is no longer at `sequence`: the log begins
    /// later now, or is another one.
    async fn begin_anew(&self, sequence: i64) -> Result<(), Status>;
}

/// Hands the events to `handler`, from its cursor on, for as long as it is polled. It ends at once
/// without a service token, which the stream needs.
pub async fn follow_events(
    auth: RpcChannel,
    service_tokens: &ServiceTokens,
    handler: impl EventHandler,
) {
    let Some(token) = service_token(service_tokens) else {
        tracing::warn!("SERVICE_TOKEN is not set: what happens to accounts is not followed");
        return;
    };
    let events = EventServiceClient::new(auth);
    let mut pause = RECONNECT_PAUSE;
    loop {
        let opened_at = Instant::now();
        match follow_once(events.clone(), token.clone(), &handler).await {
            Ok(()) => tracing::debug!("the stream of events has ended"),
            Err(status) => tracing::warn!(
                grpc.code = ?status.code(), grpc.message = status.message(),
                "the stream of events is lost"
            ),
        }
        if opened_at.elapsed() > RECONNECT_PAUSE_MAX {
            pause = RECONNECT_PAUSE;
        }
        sleep(pause).await;
        pause = (pause * 2).min(RECONNECT_PAUSE_MAX);
    }
}

async fn follow_once(
    mut events: EventServiceClient<RpcChannel>,
    token: AsciiMetadataValue,
    handler: &impl EventHandler,
) -> Result<(), Status> {
    let silence = |_| Status::deadline_exceeded("no sign of life");
    let after_sequence = handler.cursor().await?;
    let mut request = Request::new(WatchEventsRequest { after_sequence });
    request.metadata_mut().insert("authorization", token);
    let opened = timeout(SILENCE_MAX, events.watch_events(request)).await.map_err(silence)?;
    let mut stream = match opened {
        Ok(answer) => answer.into_inner(),
        Err(status) if is_expired(&status) => return make_up(handler, after_sequence).await,
        Err(status) => return Err(status),
    };
    let mut done = after_sequence;
    loop {
        let message = match timeout(SILENCE_MAX, stream.message()).await.map_err(silence)? {
            Ok(Some(message)) => message,
            Ok(None) => return Ok(()),
            Err(status) if is_expired(&status) => return make_up(handler, done).await,
            Err(status) => return Err(status),
        };
        if message.sequence <= done {
            continue;
        }
        // The log has no gaps but before what is kept. Whoever begins with nothing done may hold
        // something nevertheless: it may have run without following.
        if message.events.first().is_some_and(|first| first.sequence > done + 1) {
            tracing::warn!(
                event.after = done,
                "events are no longer kept: comparing with the accounts that there are"
            );
            handler.reconcile().await?;
        }
        handler.handle(&message.events, message.sequence).await?;
        done = message.sequence;
    }
}

async fn make_up(handler: &impl EventHandler, sequence: i64) -> Result<(), Status> {
    tracing::warn!(
        event.after = sequence,
        "the log does not hold all events: comparing with the accounts that there are"
    );
    handler.reconcile().await?;
    handler.begin_anew(sequence).await
}

/// Whether events after the cursor are missing from the log.
fn is_expired(status: &Status) -> bool {
    status.code() == Code::OutOfRange && Rejection::from(status).reason == "EVENTS_EXPIRED"
}
