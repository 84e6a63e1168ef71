//! Following the event log: what this replica knows of it, and who waits for more.
//!
//! Each replica reads the log from the last number it has seen; numbers are given out in the order
//! of commits, so that nothing is missed. It is woken by commits of this process, on PostgreSQL by
//! those of any, and looks now and then all the same.

#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, VecDeque},
    sync::{PoisonError, RwLock},
    time::Duration,
};

use service_kit::{Clock, Timestamp};
use tokio::{sync::watch, time::sleep};

use crate::{
    model::{Event, EventType, Roles, UserId},
    store::Store,
};

/// How often the log is looked at without a wake-up: the lag of a revocation that another replica
/// commits to a database that cannot tell.
const POLL_PAUSE: Duration = Duration::from_millis(20);
/// Events that are read at once.
const BATCH_MAX: i64 = 1000;
/// The latest events that are kept at hand for those who watch: a few hundred bytes each.
const RECENT_MAX: usize = 1000;
/// Users whose last event is kept; when there are more, all of them count as changed.
const CHANGED_USERS_MAX: usize = 100_000;
/// What was read longer ago than this is not up to date.
const FRESH_TIME_MAX: Duration = Duration::from_millis(300);

/// What ends access tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// Its place in the log.
    pub sequence: i64,
    /// Which tokens.
    pub target: RevocationTarget,
    /// When the last of them has expired by itself.
    pub expires_at: Timestamp,
}

/// Which access tokens are ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RevocationTarget {
    /// Those of a session.
    Session(String),
    /// Those of a user that carry other roles.
    UserRoles(UserId, Roles),
}

/// A part of the revocations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// In order.
    pub revocations: Vec<Revocation>,
    /// All revocations up to here have been given.
    pub sequence: i64,
    /// Whether that is all there are.
    pub is_last: bool,
}

/// What this replica knows of the log.
#[derive(Debug)]
pub struct Feed {
    store: Store,
    clock: Clock,
    known: RwLock<Known>,
    latest: watch::Sender<i64>,
    moved_in: watch::Sender<i64>,
}

#[derive(Debug)]
struct Known {
    /// Those that have not expired, in order.
    revocations: VecDeque<Revocation>,
    /// The latest events, without gaps.
    recent: VecDeque<Event>,
    /// The last event of each user since `changes_since`.
    changed: HashMap<UserId, i64>,
    changes_since: i64,
    /// The last event that was read.
    sequence: i64,
    /// How many transactions of this process had written events before that was read.
    commits: u64,
    /// When it was last certain that there are no later ones.
    read_at: Timestamp,
}

impl Known {
    fn is_fresh(&self, now: Timestamp) -> bool {
        // A clock that was set back says nothing about what came since.
        self.read_at <= now && now.since(self.read_at) < FRESH_TIME_MAX
    }
}

impl Feed {
    /// Reads what still matters of the log.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn open(store: Store, clock: Clock) -> Result<Self, service_kit::db::DbError> {
        let (read_at, commits) = (clock.now(), store.commits());
        // First the end, then what leads up to it: what comes in between is read later.
        let sequence = store.last_sequence().await?;
        let mut revocations = Vec::new();
        let mut last = (read_at, i64::MAX);
        loop {
            let events = store.revoking_events_after(last, BATCH_MAX).await?;
            let end = events.last();
            let end = end.and_then(|event| Some((event.details.revokes_until?, event.sequence)));
            let Some(end) = end else { break };
            last = end;
            revocations.extend(
                events.iter().filter(|one| one.sequence <= sequence).filter_map(revocation),
            );
        }
        revocations.sort_unstable_by_key(|one| one.sequence);
        let known = RwLock::new(Known {
            revocations: revocations.into(),
            recent: VecDeque::new(),
            changed: HashMap::new(),
            changes_since: sequence,
            sequence,
            commits,
            read_at,
        });
        let (latest, moved_in) = (watch::Sender::new(sequence), watch::Sender::new(sequence));
        Ok(Self { store, clock, known, latest, moved_in })
    }

    /// Follows the log. Run it for as long as the service runs.
    pub async fn follow(&self) {
        tokio::join!(self.store.listen(), async {
            loop {
                if let Err(error) = self.read_on().await {
                    tracing::warn!(%error, "cannot read the event log");
                }
                tokio::select! {
                    () = self.store.notified() => {}
                    () = sleep(POLL_PAUSE) => {}
                }
            }
        });
    }

    pub(crate) async fn read_on(&self) -> Result<(), service_kit::db::DbError> {
        loop {
            let end = (self.clock.now(), self.store.commits());
            let sequence = *self.latest.borrow();
            let events = self.store.events_after(sequence, BATCH_MAX).await?;
            let is_end = events.len() < usize::try_from(BATCH_MAX).unwrap_or(usize::MAX);
            let sequence = events.last().map_or(sequence, |event| event.sequence);
            let (has_grown, moved_in) = (!events.is_empty(), events.iter().any(has_moved_in));
            self.add(events, sequence, is_end.then_some(end));
            if has_grown {
                self.latest.send_replace(sequence);
            }
            if moved_in {
                self.moved_in.send_replace(sequence);
            }
            if is_end {
                return Ok(());
            }
        }
    }

    fn add(&self, events: Vec<Event>, sequence: i64, end: Option<(Timestamp, u64)>) {
        let now = self.clock.now();
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.revocations.extend(events.iter().filter_map(revocation));
        for event in &events {
            if let Some(user_id) = event.details.user_id {
                known.changed.insert(user_id, event.sequence);
            }
        }
        if known.changed.len() > CHANGED_USERS_MAX {
            known.changed.clear();
            known.changes_since = sequence;
        }
        known.recent.extend(events);
        let surplus = known.recent.len().saturating_sub(RECENT_MAX);
        known.recent.drain(..surplus);
        known.sequence = sequence;
        if let Some((read_at, commits)) = end {
            (known.read_at, known.commits) = (read_at, commits);
        }
        // They expire nearly in order: a lifetime after they were made.
        while known.revocations.front().is_some_and(|first| first.expires_at <= now) {
            known.revocations.pop_front();
        }
    }

    /// Whether what is known is all there was a moment ago.
    pub fn is_fresh(&self) -> bool {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.is_fresh(self.clock.now())
    }

    /// The last event that was read.
    pub fn sequence(&self) -> i64 {
        self.known.read().unwrap_or_else(PoisonError::into_inner).sequence
    }

    /// Whether it is certain that the log holds no event of a user after `sequence`: none that was
    /// answered for by this process, and none that was committed by another a moment ago.
    pub fn is_unchanged(&self, user_id: UserId, sequence: i64) -> bool {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let last = known.changed.get(&user_id).copied().unwrap_or(known.changes_since);
        last <= sequence
            && known.commits == self.store.commits()
            && known.is_fresh(self.clock.now())
    }

    /// The revocations after `sequence` that still matter, at most `max`.
    pub fn revocations_after(&self, sequence: i64, max: usize) -> Batch {
        let now = self.clock.now();
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let first = known.revocations.partition_point(|one| one.sequence <= sequence);
        let mut later = known.revocations.range(first..).filter(|one| one.expires_at > now);
        let revocations: Vec<_> = later.by_ref().take(max).cloned().collect();
        let is_last = later.next().is_none();
        let sequence = match revocations.last() {
            Some(last) if !is_last => last.sequence,
            _ => known.sequence,
        };
        Batch { revocations, sequence, is_last }
    }

    /// The events after `sequence` that have been read, at most `max`; `None` where some of them
    /// are no longer at hand.
    pub fn events_after(&self, sequence: i64, max: usize) -> Option<Vec<Event>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let begin = known.recent.front().map_or(known.sequence, |first| first.sequence - 1);
        if sequence < begin {
            return None;
        }
        let first = known.recent.partition_point(|one| one.sequence <= sequence);
        Some(known.recent.range(first..).take(max).cloned().collect())
    }

    /// Tells the number of each event that is read from now on, or a later one's.
    pub fn latest(&self) -> watch::Receiver<i64> {
        self.latest.subscribe()
    }

    /// Tells when accounts were made that nobody has registered: their password hashes may be of
    /// any kind.
    pub fn moved_in(&self) -> watch::Receiver<i64> {
        self.moved_in.subscribe()
    }
}

fn has_moved_in(event: &Event) -> bool {
    event.details.event_type == EventType::Registered && event.details.actor_id.is_none()
}

fn revocation(event: &Event) -> Option<Revocation> {
    let expires_at = event.details.revokes_until?;
    let target = match (event.details.event_type, event.details.roles, event.details.user_id) {
        (EventType::RolesChanged, Some(roles), Some(user_id)) => {
            RevocationTarget::UserRoles(user_id, roles)
        }
        _ => RevocationTarget::Session(event.details.session_id.clone()?),
    };
    Some(Revocation { sequence: event.sequence, target, expires_at })
}
