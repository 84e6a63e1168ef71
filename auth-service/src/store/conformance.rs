//! What the store promises, on each of the three databases.

use std::time::Duration;

use auth_client::Algorithm;
use service_kit::{Timestamp, db::Constraint, on_each_database};

use super::{
    Actor, Change, EndedSessions, EndingSessions, KeyChanges, MIGRATIONS, Maker, NewUserRow,
    PasswordChange, SigningKeyRow, Store, users::TakenNames,
};
use crate::model::{
    ClientInfo, Count, Email, EventType, Identifier, KeyState, Name, Role, Roles, Session, Subject,
    User, UserId, Username,
};

async fn store(database: &service_kit::testing::TestDatabase) -> Store {
    Store::new(database.open(MIGRATIONS).await)
}

const NOW: Timestamp = Timestamp::from_micros(1_767_225_600_123_456);

async fn insert(
    store: &Store,
    username: Option<&str>,
    email: Option<&str>,
) -> Result<User, service_kit::db::DbError> {
    let username = username.map(|text| Username::parse(text).expect("a username"));
    let email = email.map(|text| Email::parse(text).expect("an address"));
    store
        .insert_user(
            &NewUserRow {
                username: username.as_ref(),
                email: email.as_ref(),
                name: &Name::parse("Zoë ☃").expect("a name"),
                password_hash: "$argon2id$...",
                roles: Roles::from_iter([Role::User, Role::Coach]),
                created_at: NOW,
                maker: Maker::Owner,
                client_address: "192.0.2.1",
            },
            None,
        )
        .await
}

fn session(id: &str, user_id: UserId) -> Session {
    Session {
        id: id.to_owned(),
        user_id,
        counter: 0,
        created_at: NOW,
        last_used_at: NOW,
        idle_expires_at: NOW + Duration::from_mins(1),
        expires_at: NOW + Duration::from_secs(90),
        access_expires_at: NOW + Duration::from_secs(30),
        client: ClientInfo { address: "192.0.2.1".to_owned(), user_agent: "curl ☃".to_owned() },
    }
}

on_each_database! {
    async fn an_account_comes_back_as_it_was_stored(database) {
        let store = store(&database).await;
        let stored = insert(&store, Some("Ann"), Some("Ann@Example.com")).await.expect("stored");
        assert_eq!(stored.id, UserId(1), "ids start at 1");
        for text in ["aNN", "ANN@example.COM"] {
            let identifier = Identifier::parse(text).expect("an identifier");
            let found = store.credentials(&identifier).await.expect("read");
            assert_eq!(found, Some((stored.clone(), "$argon2id$...".to_owned())), "{text}");
        }
    }

    async fn an_account_may_lack_either_name(database) {
        let store = store(&database).await;
        for number in 0..2 {
            let name = format!("user{number}");
            insert(&store, Some(&name), None).await.expect("no address");
            insert(&store, None, Some(&format!("{name}@example.com"))).await.expect("no handle");
        }
        let none = store.taken_names(None, None, None).await.expect("read");
        assert_eq!(none, TakenNames::default());
    }

    async fn names_are_unique_without_regard_to_case_but_not_to_accents(database) {
        let store = store(&database).await;
        insert(&store, Some("ann"), Some("ann@example.com")).await.expect("the first");
        let taken = |username: &str, email: &str| {
            let username = Username::parse(username).expect("a username");
            let email = Email::parse(email).expect("an address");
            let store = store.clone();
            async move { store.taken_names(Some(&username), Some(&email), None).await.expect("read") }
        };
        let both = TakenNames { username: true, email: true };
        assert_eq!(taken("ANN", "Ann@EXAMPLE.com").await, both);
        assert_eq!(taken("änn", "änn@example.com").await, TakenNames::default());
        let error = insert(&store, Some("Ann"), None).await.expect_err("taken");
        assert_eq!(error.violated(), Some(Constraint::Unique));
        assert!(!error.is_retryable() && !error.is_unavailable());
        insert(&store, Some("änn"), None).await.expect("another name");
    }

    async fn a_session_begins_only_for_the_password_that_was_verified(database) {
        let store = store(&database).await;
        let user = insert(&store, Some("ann"), None).await.expect("stored");
        let begin = async |id: &str, user_id, hash: &str, new_hash| {
            store.begin_session(&session(id, user_id), hash, new_hash, 9).await.expect("written")
        };
        assert!(begin("s1", user.id, "$argon2id$...", None).await);
        assert!(!begin("s2", user.id, "another", None).await, "the password has changed");
        assert!(!begin("s3", UserId(2), "$argon2id$...", None).await, "no such user");
        assert!(begin("s4", user.id, "$argon2id$...", Some("stronger")).await);
        assert!(!begin("s5", user.id, "$argon2id$...", None).await, "the hash was replaced");
        assert_eq!(store.sessions(user.id, NOW).await.expect("read").len(), 2);
        let (found, owner) = store.session("s1").await.expect("read").expect("a session");
        assert_eq!((found, owner.id), (session("s1", user.id), user.id));
        assert_eq!(store.session("S1").await.expect("read"), None, "ids are bytes");
    }

    async fn the_longest_unused_session_makes_room(database) {
        let store = store(&database).await;
        let user = insert(&store, Some("ann"), None).await.expect("stored");
        for (number, id) in ["a", "b", "c"].into_iter().enumerate() {
            let used = NOW + Duration::from_secs(number as u64);
            let session = Session { last_used_at: used, ..session(id, user.id) };
            assert!(store.begin_session(&session, "$argon2id$...", None, 2).await.expect("begun"));
        }
        let left: Vec<_> = store.sessions(user.id, NOW).await.expect("read");
        let left: Vec<_> = left.iter().map(|session| session.id.as_str()).collect();
        assert_eq!(left, ["c", "b"]);
        let events = store.revoking_events_after((NOW, i64::MAX), 9).await.expect("read");
        let ended: Vec<_> = events.iter().map(|one| one.details.session_id.as_deref()).collect();
        assert_eq!(ended, [Some("a")]);
    }

    async fn of_many_rotations_at_once_one_wins(database) {
        let store = store(&database).await;
        let user = insert(&store, Some("ann"), None).await.expect("stored");
        let first = session("s1", user.id);
        store.begin_session(&first, "$argon2id$...", None, 9).await.expect("begun");
        let rotated = Session { counter: 1, ..first };
        let attempts = (0..20).map(|_| store.rotate_session(&rotated));
        let won = futures_util::future::join_all(attempts).await;
        let won = won.into_iter().filter(|one| *one.as_ref().expect("written")).count();
        assert_eq!(won, 1);
    }

    async fn ending_sessions_tells_until_when_their_tokens_live(database) {
        let store = store(&database).await;
        let user = insert(&store, Some("ann"), None).await.expect("stored");
        for id in ["a", "b", "c"] {
            let begun = store.begin_session(&session(id, user.id), "$argon2id$...", None, 9).await;
            assert!(begun.expect("begun"));
        }
        let ending = |which| EndingSessions {
            user_id: user.id,
            which,
            actor_id: Some(user.id),
            client_address: "192.0.2.1",
            reason: "signed out",
            now: NOW,
        };
        let end = async |which| store.end_sessions(&ending(which), &[]).await.expect("ended");
        assert_eq!(end(EndedSessions::AllBut("b")).await, 2);
        assert_eq!(end(EndedSessions::One("c")).await, 0, "ended before");
        assert_eq!(end(EndedSessions::All).await, 1);
        let ending_after = async |last, limit| {
            let events = store.revoking_events_after(last, limit).await.expect("read");
            events.iter().map(|one| (one.details.revokes_until, one.sequence)).collect::<Vec<_>>()
        };
        let until = session("a", user.id).access_expires_at;
        let before = Timestamp::from_micros(until.micros() - 1);
        let all = ending_after((NOW, i64::MAX), 9).await;
        let numbers: Vec<_> = all.iter().map(|(_, number)| *number).collect();
        assert!(numbers.len() == 3 && numbers.is_sorted(), "{numbers:?}");
        assert!(all.iter().all(|(end, _)| *end == Some(until)));
        assert_eq!(ending_after((before, i64::MAX), 2).await, all[..2]);
        assert_eq!(ending_after((until, numbers[1]), 2).await, all[2..]);
        assert_eq!(ending_after((until, i64::MAX), 9).await, []);
    }

    async fn an_operators_new_password_and_the_unlock_come_together_or_not_at_all(database) {
        let store = store(&database).await;
        let user = insert(&store, Some("ann"), None).await.expect("stored");
        let subject = Subject::Identifier { tag: "ann".to_owned(), user_id: None };
        let lock = |_| Change {
            count: Count { locked_until: NOW + Duration::from_mins(15), ..Count::default() },
            events: Vec::new(),
            outcome: (),
        };
        store.change_count(&subject, NOW, 0, lock).await.expect("locked");
        let actor = Actor { id: None, client_address: "", now: NOW };
        let change = PasswordChange {
            user_id: user.id,
            old_hash: "$argon2id$...",
            new_hash: "new",
            ending: EndedSessions::All,
            unlocking: Some(std::slice::from_ref(&subject)),
        };
        let outdated = PasswordChange { old_hash: "another", ..change };
        assert!(!store.change_password(&outdated, &actor).await.expect("answered"));
        assert_eq!(store.locks(std::slice::from_ref(&subject), NOW).await.expect("read").len(), 1);
        assert!(store.change_password(&change, &actor).await.expect("answered"));
        assert_eq!(store.count(&subject).await.expect("read"), Count::default());
        let changed = store.user(user.id).await.expect("read").expect("there");
        assert_eq!(changed.password_changes, 1);
        let events = store.events_after(1, 9).await.expect("read");
        let events: Vec<_> = events.into_iter().map(|event| event.details.event_type).collect();
        assert_eq!(events, [EventType::PasswordChanged, EventType::AccountUnlocked]);
    }

    async fn old_events_are_deleted_but_not_while_they_end_tokens(database) {
        let store = store(&database).await;
        let user = insert(&store, Some("ann"), None).await.expect("stored");
        let begun = store.begin_session(&session("s1", user.id), "$argon2id$...", None, 9).await;
        assert!(begun.expect("begun"));
        let ending = EndingSessions {
            user_id: user.id,
            which: EndedSessions::All,
            actor_id: None,
            client_address: "",
            reason: "signed out",
            now: NOW,
        };
        store.end_sessions(&ending, &[]).await.expect("ended");
        let later = NOW + Duration::from_secs(1);
        let left = async || {
            let events = store.events_after(0, 9).await.expect("read");
            events.iter().map(|event| event.sequence).collect::<Vec<_>>()
        };
        assert_eq!(store.delete_events(NOW, later, 9).await.expect("deleted"), 0, "not old");
        assert_eq!(store.delete_events(later, later, 1).await.expect("deleted"), 1, "a batch");
        assert_eq!(store.delete_events(later, later, 9).await.expect("deleted"), 1);
        assert_eq!(left().await, [3], "its tokens still live");
        let over = session("s1", user.id).access_expires_at;
        assert_eq!(store.delete_events(later, over, 9).await.expect("deleted"), 1);
        assert_eq!(store.last_sequence().await.expect("read"), 3, "numbers go on");
    }

    async fn expired_sessions_are_deleted_and_others_are_not(database) {
        let store = store(&database).await;
        let user = insert(&store, Some("ann"), None).await.expect("stored");
        let old = session("old", user.id);
        let expired = old.idle_expires_at;
        let young = Session { idle_expires_at: expired + Duration::from_secs(1), ..session("young", user.id) };
        for session in [&old, &young] {
            store.begin_session(session, "$argon2id$...", None, 9).await.expect("begun");
        }
        assert_eq!(store.delete_expired_sessions(expired, 9).await.expect("deleted"), 1);
        assert!(store.session("young").await.expect("read").is_some());
    }

    async fn calls_that_are_abandoned_halfway_leave_nothing_behind(database) {
        let store = store(&database).await;
        let user = insert(&store, Some("ann"), None).await.expect("stored");
        for round in 0..20_u64 {
            let calls = (0..16_u64).map(|call| {
                let (store, number) = (store.clone(), round * 16 + call);
                // As long as a caller's patience, or a deadline, may be.
                let patience = Duration::from_micros(50 + number * 37 % 4000);
                async move {
                    let session = session(&format!("s{number}"), user.id);
                    let begun = store.begin_session(&session, "$argon2id$...", None, 1000);
                    let _ = tokio::time::timeout(patience, begun).await;
                    let read = store.sessions(user.id, NOW);
                    let _ = tokio::time::timeout(patience, read).await;
                }
            });
            futures_util::future::join_all(calls).await;
        }
        // More often than there are connections: each of them still works, outside a transaction.
        for number in 0..40 {
            let session = session(&format!("last{number}"), user.id);
            let begun = store.begin_session(&session, "$argon2id$...", None, 1000).await;
            assert!(begun.expect("the database answers"));
        }
        let sessions = store.sessions(user.id, NOW).await.expect("read");
        let events = store.events_after(0, 1000).await.expect("read");
        assert_eq!(events.len(), sessions.len() + 1, "an event for each, and for the user");
    }

    async fn a_reader_of_the_log_misses_nothing_that_commits_late(database) {
        let store = store(&database).await;
        let writers = (0..8).map(|writer| {
            let store = store.clone();
            tokio::spawn(async move {
                // Each in an account of its own: they share no row but the counter.
                let name = format!("user{writer}");
                let user = insert(&store, Some(&name), None).await.expect("stored");
                for number in 0..15 {
                    let session = session(&format!("{writer}-{number}"), user.id);
                    let begun = store.begin_session(&session, "$argon2id$...", None, 1000).await;
                    assert!(begun.expect("begun"));
                }
            })
        });
        let writers = futures_util::future::join_all(writers);
        // Reads on from the last number it has seen, as fast as it can, while they write.
        let (mut seen, mut last, mut writers) = (Vec::new(), 0, std::pin::pin!(writers));
        let mut writing = true;
        loop {
            let done = !writing;
            for event in store.events_after(last, 7).await.expect("read") {
                last = event.sequence;
                seen.push(event.sequence);
            }
            if done && store.last_sequence().await.expect("read") == last {
                break;
            }
            if writing {
                tokio::select! {
                    biased;
                    ended = &mut writers => {
                        for one in ended {
                            one.expect("no panic");
                        }
                        writing = false;
                    }
                    () = tokio::task::yield_now() => {}
                }
            }
        }
        assert_eq!(seen, (1..=128).collect::<Vec<_>>(), "in order, none missing, none twice");
    }

    async fn only_one_key_is_active_and_one_next(database) {
        let store = store(&database).await;
        let key = |kid: &str, state| SigningKeyRow {
            kid: kid.to_owned(),
            algorithm: Algorithm::Es256,
            state,
            private_key: vec![0, 255, 128],
            created_at: NOW,
            active_since: (state == KeyState::Active).then_some(NOW),
            retired_at: (state == KeyState::Retired).then_some(NOW),
            token_ttl: Duration::from_micros(1),
        };
        let insert = async |kid: &str, state| {
            let insert = vec![key(kid, state)];
            let changes = KeyChanges { insert, ..KeyChanges::default() };
            store.change_signing_keys(NOW, |_| (changes.clone(), ())).await
        };
        for (first, second, state) in [("a", "b", KeyState::Active), ("c", "d", KeyState::Next)] {
            insert(first, state).await.expect("the first");
            let error = insert(second, state).await.expect_err("a second");
            assert_eq!(error.violated(), Some(Constraint::Unique));
        }
        for kid in ["e", "f"] {
            insert(kid, KeyState::Retired).await.expect("any number");
        }
        let keys = store.signing_keys().await.expect("read");
        let stored = [
            key("a", KeyState::Active),
            key("c", KeyState::Next),
            key("e", KeyState::Retired),
            key("f", KeyState::Retired),
        ];
        assert_eq!(keys, stored);
        assert_eq!(store.signing_key_version().await.expect("read"), 4, "one for each change");
    }
}
