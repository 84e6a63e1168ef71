//! The rules of calendars: who may read which, and what is in them.

use auth_client::Caller;
use aws_lc_rs::digest;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use service_kit::{
    Clock, Entropy,
    db::{Db, DbError},
    transaction,
};

use crate::{
    error::Error,
    icalendar::Lines,
    model::{Attended, Calendar, CalendarKey, Program, ProgramId, ProgramStatus, UserId},
    store::{calendar_keys, departed_users, programs},
};

const KEY_BYTES: usize = 32;
/// Programs in a user's calendar, which start last of all.
const EVENTS_MAX: i64 = 1000;
/// Octets of their events: about as many as programs with long descriptions have. What is larger
/// than 4 MiB, clients of gRPC refuse.
const EVENTS_OCTETS_MAX: usize = 1024 * 1024;
/// When a subscriber should look again: RFC 7986 section 5.7, and what Outlook made of it before.
const REFRESH_INTERVAL: &str = "PT1H";

/// Writes calendars, and makes the keys for them. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Calendars {
    db: Db,
    clock: Clock,
    entropy: Entropy,
    /// What makes the name of an event one in the world.
    domain: String,
}

impl Calendars {
    /// Events are named after the host of `issuer`, if it is a URL, or itself.
    pub(crate) fn new(db: Db, clock: Clock, entropy: Entropy, issuer: &str) -> Self {
        let host = issuer.split_once("://").map_or(issuer, |(_, rest)| rest);
        let domain = host.split('/').next().unwrap_or_default().to_owned();
        Self { db, clock, entropy, domain }
    }

    /// That of one program, for anyone.
    pub(crate) async fn of_program(&self, id: ProgramId) -> Result<Calendar, Error> {
        let program = programs::find(&self.db, id).await?.ok_or(Error::ProgramNotFound)?;
        let changed_at = program.updated_at;
        let seen = Attended { program, place: 0, changed_at };
        Ok(calendar(None, &event(&seen, &self.domain)))
    }

    /// That of the user who has `key`.
    pub(crate) async fn of_key(&self, key: &CalendarKey) -> Result<Calendar, Error> {
        let owner = calendar_keys::owner(&self.db, &hash(key)).await?;
        let owner = owner.ok_or(Error::CalendarKeyInvalid)?;
        let mut events = Lines::default();
        for seen in programs::list_of_user(&self.db, owner, EVENTS_MAX).await? {
            let event = event(&seen, &self.domain);
            if events.octets() + event.octets() > EVENTS_OCTETS_MAX {
                break;
            }
            events.append(&event);
        }
        Ok(calendar(Some("Training"), &events))
    }

    /// Makes the key of the caller's calendar, in place of an older one.
    pub(crate) async fn create_key(&self, caller: &Caller) -> Result<CalendarKey, Error> {
        let user_id = UserId(caller.user_id);
        let key = self.entropy.bytes::<KEY_BYTES>();
        let key = CalendarKey::new(BASE64_URL_SAFE_NO_PAD.encode(key));
        self.replace_key(user_id, &key).await?.map(|()| key)
    }

    /// # Errors
    /// The inner one where the user's account was deleted: a token may outlive it for a moment, a
    /// key would for ever.
    async fn replace_key(
        &self,
        user_id: UserId,
        key: &CalendarKey,
    ) -> Result<Result<(), Error>, DbError> {
        let (hash, now) = (hash(key), self.clock.now());
        transaction!(self.db, |tx| {
            if departed_users::has(tx, user_id).await? {
                return Ok(Err(Error::AccountDeleted));
            }
            calendar_keys::replace(tx, user_id, &hash, now).await.map(Ok)
        })
    }

    /// Makes the key of the caller's calendar worthless, if there is one.
    pub(crate) async fn revoke_key(&self, caller: &Caller) -> Result<(), Error> {
        Ok(calendar_keys::delete(&self.db, UserId(caller.user_id)).await?)
    }
}

/// 256 random bits need no salt, and nothing slow.
fn hash(key: &CalendarKey) -> Vec<u8> {
    sha256(key.as_str()).as_ref().to_vec()
}

fn sha256(text: &str) -> digest::Digest {
    digest::digest(&digest::SHA256, text.as_bytes())
}

/// The object around `events`. Nothing in it depends on when it is written, so that the same
/// events are the same text.
fn calendar(name: Option<&str>, events: &Lines) -> Calendar {
    let mut lines = Lines::default();
    lines.plain("BEGIN", "VCALENDAR");
    lines.plain("VERSION", "2.0");
    lines.plain("PRODID", "-//Pavilion//training-service//EN");
    lines.plain("CALSCALE", "GREGORIAN");
    if let Some(name) = name {
        lines.text("NAME", name);
        lines.text("X-WR-CALNAME", name);
    }
    lines.plain("REFRESH-INTERVAL;VALUE=DURATION", REFRESH_INTERVAL);
    lines.plain("X-PUBLISHED-TTL", REFRESH_INTERVAL);
    lines.append(events);
    lines.plain("END", "VCALENDAR");
    let text = lines.into_string();
    let etag = BASE64_URL_SAFE_NO_PAD.encode(sha256(&text));
    Calendar { text, etag }
}

fn event(Attended { program, place, changed_at }: &Attended, domain: &str) -> Lines {
    let Program { id, details, version, created_at, .. } = program;
    let title = details.title.as_str();
    // Many programs show no status, so that the summary begins with it.
    let (status, summary) = match (program.status, place) {
        (ProgramStatus::Cancelled, _) => ("CANCELLED", format!("Cancelled: {title}")),
        (ProgramStatus::Active, 0) => ("CONFIRMED", title.to_owned()),
        (ProgramStatus::Active, _) => ("TENTATIVE", format!("Waitlist ({place}): {title}")),
    };
    let mut lines = Lines::default();
    lines.plain("BEGIN", "VEVENT");
    // With the time, as an id and a name that may be the default of many are not unique.
    lines.text("UID", &format!("program-{}-{}@{domain}", id.0, created_at.micros()));
    // Of what has no METHOD, both are when it was last changed (RFC 5545 section 3.8.7.2).
    lines.time("DTSTAMP", *changed_at);
    lines.time("LAST-MODIFIED", *changed_at);
    lines.time("CREATED", *created_at);
    // Of the program alone: what becomes of one who attends it is no new revision of the event.
    lines.plain("SEQUENCE", &(version - 1).to_string());
    lines.time("DTSTART", details.schedule.starts_at);
    lines.time_rounded_up("DTEND", details.schedule.ends_at);
    lines.text("SUMMARY", &summary);
    for (name, text) in
        [("DESCRIPTION", details.description.as_str()), ("LOCATION", details.location.as_str())]
    {
        if !text.is_empty() {
            lines.text(name, text);
        }
    }
    lines.texts("CATEGORIES", &[details.training.sport.as_str(), details.training.level.as_str()]);
    lines.plain("STATUS", status);
    let takes_time = program.status == ProgramStatus::Active;
    lines.plain("TRANSP", if takes_time { "OPAQUE" } else { "TRANSPARENT" });
    lines.plain("END", "VEVENT");
    lines
}
