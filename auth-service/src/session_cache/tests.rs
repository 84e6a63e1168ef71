//! When a row is read, and when what was read before is good enough.

use std::time::Duration;

use service_kit::{
    db::Db,
    on_each_database, sql,
    testing::{ManualClock, TestDatabase},
};

use super::*;
use crate::{
    model::{ClientInfo, Name, Role, Roles, Session, UserChanges, UserId, Username},
    store::{Actor, EndedSessions, EndingSessions, MIGRATIONS, Maker, NewUserRow, UserChange},
};

const NOW: Timestamp = Timestamp::from_micros(1_767_225_600_123_456);
const HASH: &str = "$argon2id$...";

/// A replica that reads the log when it is told to.
struct Replica {
    clock: ManualClock,
    db: Db,
    store: Store,
    feed: Arc<Feed>,
    cache: SessionCache,
}

impl Replica {
    async fn start(database: &TestDatabase) -> Self {
        let db = database.open(MIGRATIONS).await;
        let store = Store::new(db.clone());
        let clock = ManualClock::default();
        let feed = Feed::open(store.clone(), clock.clock()).await;
        let feed = Arc::new(feed.expect("opened"));
        Self { clock, db, cache: SessionCache::new(store.clone(), feed.clone()), store, feed }
    }

    async fn sign_in(&self, name: &str) -> UserId {
        let username = Username::parse(name).expect("a username");
        let new = NewUserRow {
            username: Some(&username),
            email: None,
            name: &Name::default(),
            password_hash: HASH,
            maker: Maker::Owner,
            roles: Roles::from_iter([Role::User]),
            created_at: NOW,
            client_address: "",
        };
        let user = self.store.insert_user(&new, None).await.expect("stored");
        let session = Session {
            id: name.to_owned(),
            user_id: user.id,
            counter: 0,
            created_at: NOW,
            last_used_at: NOW,
            idle_expires_at: NOW + Duration::from_hours(1),
            expires_at: NOW + Duration::from_hours(1),
            access_expires_at: NOW + Duration::from_mins(15),
            client: ClientInfo::default(),
        };
        assert!(self.store.begin_session(&session, HASH, None, 9).await.expect("stored"));
        user.id
    }

    /// The display name of a session's user, as far as this replica knows.
    async fn name(&self, session_id: &str) -> Option<String> {
        let session = self.cache.get(session_id).await.expect("read");
        session.map(|session| session.user.name.clone())
    }

    async fn rename(&self, id: UserId, name: &str) {
        let name = Name::parse(name).expect("a name");
        let changes = UserChanges { name: Some(name), ..UserChanges::default() };
        let actor = Actor { id: Some(id), client_address: "", now: NOW };
        let changed = self.store.update_user(id, &changes, None, &actor, NOW).await;
        assert!(matches!(changed, Ok(UserChange::Done(_))));
    }

    async fn end_session(&self, user_id: UserId, id: &str) {
        let ending = EndingSessions {
            user_id,
            which: EndedSessions::One(id),
            actor_id: None,
            client_address: "",
            reason: "signed out",
            now: NOW,
        };
        assert_eq!(self.store.end_sessions(&ending, &[]).await.expect("ended"), 1);
    }

    /// Changes all names without a word to anyone: whoever finds out has read the row.
    async fn mark(&self, mark: &str) {
        let update = sql!("UPDATE users SET name = ?");
        self.db.write(update).bind(mark.to_owned()).execute().await.expect("marked");
    }
}

on_each_database! {
    async fn a_row_is_read_again_after_an_event_of_its_user_and_of_no_one_else(database) {
        let replica = Replica::start(&database).await;
        let ann = replica.sign_in("ann").await;
        replica.sign_in("bob").await;
        replica.feed.read_on().await.expect("read");
        for session in ["ann", "bob"] {
            assert_eq!(replica.name(session).await.as_deref(), Some(""));
        }
        replica.mark("marked").await;
        for session in ["ann", "bob"] {
            assert_eq!(replica.name(session).await.as_deref(), Some(""), "from memory");
        }
        replica.rename(ann, "Ann").await;
        replica.feed.read_on().await.expect("read");
        assert_eq!(replica.name("ann").await.as_deref(), Some("Ann"));
        assert_eq!(replica.name("bob").await.as_deref(), Some(""), "from memory");
    }

    async fn what_this_process_has_committed_counts_before_the_log_is_read(database) {
        let replica = Replica::start(&database).await;
        let ann = replica.sign_in("ann").await;
        replica.feed.read_on().await.expect("read");
        assert_eq!(replica.name("ann").await.as_deref(), Some(""));
        replica.rename(ann, "Ann").await;
        assert_eq!(replica.name("ann").await.as_deref(), Some("Ann"));
        replica.end_session(ann, "ann").await;
        assert_eq!(replica.name("ann").await, None);
        replica.feed.read_on().await.expect("read");
        assert_eq!(replica.name("ann").await, None, "nor is it remembered");
    }

    async fn what_another_replica_has_committed_counts_when_the_log_is_read(database) {
        let (here, there) = (Replica::start(&database).await, Replica::start(&database).await);
        let ann = there.sign_in("ann").await;
        here.feed.read_on().await.expect("read");
        assert_eq!(here.name("ann").await.as_deref(), Some(""));
        there.end_session(ann, "ann").await;
        here.feed.read_on().await.expect("read");
        assert_eq!(here.name("ann").await, None);
    }

    async fn while_the_log_cannot_be_read_rows_are(database) {
        let replica = Replica::start(&database).await;
        replica.sign_in("ann").await;
        replica.feed.read_on().await.expect("read");
        assert_eq!(replica.name("ann").await.as_deref(), Some(""));
        replica.mark("marked").await;
        replica.clock.advance(Duration::from_millis(299));
        assert_eq!(replica.name("ann").await.as_deref(), Some(""), "from memory");
        replica.clock.advance(Duration::from_millis(1));
        assert_eq!(replica.name("ann").await.as_deref(), Some("marked"));
    }

    async fn what_was_read_while_an_event_came_in_is_not_trusted(database) {
        let (here, there) = (Replica::start(&database).await, Replica::start(&database).await);
        let ann = there.sign_in("ann").await;
        // Read before the log was: the event of signing in is after it.
        assert_eq!(here.name("ann").await.as_deref(), Some(""));
        here.feed.read_on().await.expect("read");
        there.mark("marked").await;
        assert_eq!(here.name("ann").await.as_deref(), Some("marked"), "read again");
        there.rename(ann, "Ann").await;
        here.feed.read_on().await.expect("read");
        assert_eq!(here.name("ann").await.as_deref(), Some("Ann"));
    }
}
