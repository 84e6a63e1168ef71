//! `auth.v1.EventService`.

use std::{sync::Arc, time::Duration};

use proto::auth::v1::{
    self as pb, ListEventsRequest, ListEventsResponse, WatchEventsRequest, WatchEventsResponse,
    event_service_server::EventService,
};
use service_kit::{Timestamp, page::Page, rejection::Violation, settings::ServiceTokens};
use tonic::{Request, Response, Status, async_trait};

use super::{
    caller, time_message,
    watching::{Pulse, Source, Watch, Watchers},
};
use crate::{
    error::Error,
    events::Events,
    feed::Feed,
    model::{Event, EventFilter, EventType, UserId, keep},
    sessions::Sessions,
};

/// How often a message is sent even if there is nothing to tell.
const HEARTBEAT_PAUSE: Duration = Duration::from_secs(5);

/// The service over its rules.
#[derive(Debug)]
pub struct EventApi {
    /// The log.
    pub events: Events,
    /// Who calls.
    pub sessions: Sessions,
    /// What is new in the log.
    pub feed: Arc<Feed>,
    /// Which services may watch.
    pub service_tokens: ServiceTokens,
    /// The streams.
    pub watchers: Watchers,
}

#[async_trait]
impl EventService for EventApi {
    async fn list_events(
        &self,
        request: Request<ListEventsRequest>,
    ) -> Result<Response<ListEventsResponse>, Status> {
        let (caller, _) = caller::user(&self.sessions, &request).await?;
        let (filter, page) = parse(&request.into_inner()).map_err(Error::Invalid)?;
        let (events, next_page_token) = self.events.list(&caller, &filter, page).await?;
        let events = events.into_iter().map(Into::into).collect();
        Ok(Response::new(ListEventsResponse { events, next_page_token }))
    }

    async fn watch_events(
        &self,
        request: Request<WatchEventsRequest>,
    ) -> Result<Response<Watch<WatchEventsResponse>>, Status> {
        caller::service(&self.service_tokens, &request)?;
        let cursor = request.get_ref().after_sequence;
        if cursor < 0 {
            let violation =
                Violation::new("after_sequence", "OUT_OF_RANGE", "after_sequence is negative");
            return Err(Error::Invalid(vec![violation]).into());
        }
        self.events.require_kept_after(cursor).await?;
        let pulse = Pulse::new(&self.feed, HEARTBEAT_PAUSE);
        let source = EventSource { events: self.events.clone(), cursor, pulse };
        Ok(Response::new(self.watchers.start(source)?))
    }
}

/// The events after a cursor, and signs of life.
struct EventSource {
    events: Events,
    cursor: i64,
    pulse: Pulse,
}

#[async_trait]
impl Source for EventSource {
    type Message = WatchEventsResponse;

    async fn next(&mut self) -> Result<WatchEventsResponse, Error> {
        let mut is_due = false;
        loop {
            self.pulse.begin_look();
            let events = self.events.after(self.cursor).await?;
            if !events.is_empty() || is_due {
                self.cursor = events.last().map_or(self.cursor, |event| event.sequence);
                let events = events.into_iter().map(Into::into).collect();
                return Ok(WatchEventsResponse { events, sequence: self.cursor });
            }
            is_due |= self.pulse.wait().await?;
        }
    }
}

fn parse(request: &ListEventsRequest) -> Result<(EventFilter, Page), Vec<Violation>> {
    let mut violations = Vec::new();
    if request.user_id < 0 {
        violations.push(Violation::new("user_id", "OUT_OF_RANGE", "user_id is negative"));
    }
    let event_type = match request.r#type() {
        pb::EventType::Unspecified if request.r#type != 0 => {
            violations.push(Violation::new("type", "INVALID_VALUE", "type is not a type of event"));
            None
        }
        pb::EventType::Unspecified => None,
        known => known.as_str_name().strip_prefix(PREFIX).and_then(|word| word.parse().ok()),
    };
    let after = keep(time("after", request.after.as_ref()), &mut violations).flatten();
    let before = keep(time("before", request.before.as_ref()), &mut violations).flatten();
    let user_id = (request.user_id > 0).then_some(UserId(request.user_id));
    match Page::parse(request.page_size, &request.page_token) {
        Ok(page) if violations.is_empty() => {
            Ok((EventFilter { user_id, event_type, after, before }, page))
        }
        Ok(_) => Err(violations),
        Err(more) => Err(violations.into_iter().chain(more).collect()),
    }
}

fn time(
    field: &'static str,
    time: Option<&prost_types::Timestamp>,
) -> Result<Option<Timestamp>, Violation> {
    let Some(time) = time else { return Ok(None) };
    let micros = time.seconds.checked_mul(1_000_000);
    let micros = micros.and_then(|micros| micros.checked_add(i64::from(time.nanos / 1000)));
    let micros = micros
        .ok_or_else(|| Violation::new(field, "OUT_OF_RANGE", format!("{field} is out of range")))?;
    Ok(Some(Timestamp::from_micros(micros)))
}

/// What the names of the proto enum have before the words that are stored.
const PREFIX: &str = "EVENT_TYPE_";

fn type_message(event_type: EventType) -> pb::EventType {
    let name = format!("{PREFIX}{}", event_type.as_str());
    pb::EventType::from_str_name(&name).unwrap_or(pb::EventType::Unspecified)
}

impl From<Event> for pb::Event {
    fn from(event: Event) -> Self {
        let details = event.details;
        Self {
            sequence: event.sequence,
            time: Some(time_message(event.time)),
            r#type: type_message(details.event_type).into(),
            user_id: details.user_id.map_or(0, |id| id.0),
            actor_id: details.actor_id.map_or(0, |id| id.0),
            client_address: details.client_address,
            detail: details.detail,
            session_id: details.session_id.unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_of_event_has_a_name_in_the_contract() {
        for event_type in EventType::ALL {
            assert_ne!(type_message(event_type), pb::EventType::Unspecified, "{event_type:?}");
        }
    }
}
