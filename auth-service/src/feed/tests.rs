//! What replicas see of the log, also while a transaction commits late.

use service_kit::{
    db::{Db, DbError},
    on_each_database,
    testing::{ManualClock, TestDatabase},
    transaction,
};
use tokio::task::JoinSet;

use super::*;
use crate::{
    model::{Name, NewEvent, Role, Username},
    store::{MIGRATIONS, Maker, NewUserRow},
};

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

async fn register(store: &Store, count: usize) {
    for _ in 0..count {
        let number = store.last_sequence().await.expect("read");
        let username = Username::parse(&format!("user{number}")).expect("a username");
        let new = NewUserRow {
            username: Some(&username),
            email: None,
            name: &Name::default(),
            password_hash: "$argon2id$...",
            maker: Maker::Owner,
            roles: Roles::from_iter([Role::User]),
            created_at: Timestamp::default(),
            client_address: "",
        };
        store.insert_user(&new, None).await.expect("stored");
    }
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

    async fn the_latest_events_are_at_hand_and_no_earlier_ones(database) {
        let store = Store::new(database.open(MIGRATIONS).await);
        register(&store, 2).await;
        let clock = ManualClock::default().clock();
        let feed = Feed::open(store.clone(), clock).await.expect("opened");
        let at_hand = |cursor, max| {
            let events = feed.events_after(cursor, max)?;
            Some(events.iter().map(|event| event.sequence).collect::<Vec<_>>())
        };
        assert_eq!(at_hand(1, 9), None, "written before it began");
        assert_eq!(at_hand(2, 9), Some(vec![]));
        register(&store, 3).await;
        assert_eq!(at_hand(2, 9), Some(vec![]), "not read yet");
        feed.read_on().await.expect("read");
        assert_eq!(at_hand(2, 9), Some(vec![3, 4, 5]));
        assert_eq!(at_hand(3, 1), Some(vec![4]));
        assert_eq!(at_hand(1, 9), None);
        assert_eq!(at_hand(9, 9), Some(vec![]), "another replica has read more");
        let read = store.events_after(2, 9).await.expect("read");
        assert_eq!(feed.events_after(2, 9), Some(read));
    }
}
