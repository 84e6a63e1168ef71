//! What replicas see of the log while a transaction commits late.

use service_kit::{
    db::{Db, DbError},
    on_each_database,
    testing::{ManualClock, TestDatabase},
    transaction,
};
use tokio::task::JoinSet;

use super::*;
use crate::{model::NewEvent, store::MIGRATIONS};

const NOW: Timestamp = Timestamp::from_micros(1_767_225_600_123_456);
/// Fewer than connections, of which readers need one.
const WRITERS: usize = 8;
/// How often the log is looked at while one transaction is open: more often than it would take the
/// others to commit, were they let.
const LOOKS: usize = 50;

/// A replica as far as the log goes, with connections of its own.
struct Replica {
    db: Db,
    store: Store,
    feed: Feed,
}

impl Replica {
    async fn start(database: &TestDatabase) -> Self {
        let db = database.open(MIGRATIONS).await;
        let store = Store::new(db.clone());
        let clock = ManualClock::default().clock();
        let feed = Feed::open(store.clone(), clock).await.expect("opened");
        Self { db, store, feed }
    }

    async fn read(&self) -> Vec<(i64, RevocationTarget)> {
        self.feed.read_on().await.expect("read");
        let batch = self.feed.revocations_after(0, usize::MAX);
        batch.revocations.into_iter().map(|one| (one.sequence, one.target)).collect()
    }
}

/// The end of a session, whose tokens live for an hour.
fn end_of(session: &str) -> NewEvent {
    NewEvent {
        session_id: Some(session.to_owned()),
        revokes_until: Some(NOW + Duration::from_hours(1)),
        ..NewEvent::new(EventType::SessionRevoked, None)
    }
}

async fn append(db: Db, store: Store, session: String) -> Result<(), DbError> {
    transaction!(db, |tx| { store.append_events(tx, NOW, &[end_of(&session)]).await })
}

on_each_database! {
    async fn nothing_is_seen_beyond_a_transaction_that_commits_late(database) {
        let replicas = [Replica::start(&database).await, Replica::start(&database).await];
        let mut late = replicas[0].db.begin().await.expect("begun");
        let store = &replicas[0].store;
        store.append_events(&mut late, NOW, &[end_of("late")]).await.expect("appended");
        let mut writers = JoinSet::new();
        for number in 0..WRITERS {
            let Replica { db, store, .. } = &replicas[number % 2];
            writers.spawn(append(db.clone(), store.clone(), format!("writer {number}")));
        }
        for _ in 0..LOOKS {
            for replica in &replicas {
                assert_eq!(replica.read().await, [], "a reader that went on would miss the late one");
            }
        }
        late.commit().await.expect("committed");
        for written in writers.join_all().await {
            written.expect("written");
        }
        let [one, two] = &replicas;
        let seen = one.read().await;
        assert_eq!(seen, two.read().await);
        assert_eq!(seen[0], (1, RevocationTarget::Session("late".to_owned())));
        let numbers: Vec<_> = seen.iter().map(|(sequence, _)| *sequence).collect();
        assert_eq!(numbers, (1..=9).collect::<Vec<_>>(), "each once");
    }
}
