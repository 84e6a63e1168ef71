//! What the store promises, on each of the three databases.

use service_kit::{Timestamp, db::Constraint, on_each_database};

use super::{MIGRATIONS, NewUserRow, SigningKeyRow, Store, users::TakenNames};
use crate::model::{Email, Identifier, Name, Role, Roles, Session, User, UserId, Username};

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
        .insert_user(&NewUserRow {
            username: username.as_ref(),
            email: email.as_ref(),
            name: &Name::parse("Zoë ☃").expect("a name"),
            password_hash: "$argon2id$...",
            roles: Roles::from_iter([Role::User, Role::Coach]),
            created_at: NOW,
        })
        .await
}

fn session(id: &str, user_id: UserId) -> Session {
    let expires_at = Timestamp::from_micros(NOW.micros() + 10);
    Session { id: id.to_owned(), user_id, counter: 0, created_at: NOW, expires_at }
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
        let none = store.taken_names(None, None).await.expect("read");
        assert_eq!(none, TakenNames::default());
    }

    async fn names_are_unique_without_regard_to_case_but_not_to_accents(database) {
        let store = store(&database).await;
        insert(&store, Some("ann"), Some("ann@example.com")).await.expect("the first");
        let taken = |username: &str, email: &str| {
            let username = Username::parse(username).expect("a username");
            let email = Email::parse(email).expect("an address");
            let store = store.clone();
            async move { store.taken_names(Some(&username), Some(&email)).await.expect("read") }
        };
        let both = TakenNames { username: true, email: true };
        assert_eq!(taken("ANN", "Ann@EXAMPLE.com").await, both);
        assert_eq!(taken("änn", "änn@example.com").await, TakenNames::default());
        let error = insert(&store, Some("Ann"), None).await.expect_err("taken");
        assert_eq!(error.violated(), Some(Constraint::Unique));
        assert!(!error.is_retryable() && !error.is_unavailable());
        insert(&store, Some("änn"), None).await.expect("another name");
    }

    async fn a_session_has_an_owner_until_it_expires(database) {
        let store = store(&database).await;
        let user = insert(&store, Some("ann"), None).await.expect("stored");
        store.insert_session(&session("s1", user.id)).await.expect("stored");
        let owner = async |id: &str, user_id: i64, at: i64| {
            let at = Timestamp::from_micros(NOW.micros() + at);
            store.session_owner(id, user_id, at).await.expect("read").is_some()
        };
        assert!(owner("s1", 1, 9).await);
        assert!(!owner("s1", 1, 10).await, "expired");
        assert!(!owner("s1", 2, 0).await, "another user's");
        assert!(!owner("S1", 1, 0).await, "ids are compared by their bytes");
    }

    async fn a_session_needs_a_user(database) {
        let store = store(&database).await;
        let error = store.insert_session(&session("s1", UserId(1))).await.expect_err("no user");
        assert_eq!(error.violated(), Some(Constraint::ForeignKey));
    }

    async fn only_one_key_is_active(database) {
        let store = store(&database).await;
        let key = |kid: &str, is_active| SigningKeyRow {
            kid: kid.to_owned(),
            is_active,
            private_key: vec![0, 255, 128],
            created_at: NOW,
        };
        store.insert_signing_key(&key("a", true)).await.expect("the first");
        let error = store.insert_signing_key(&key("b", true)).await.expect_err("a second");
        assert_eq!(error.violated(), Some(Constraint::Unique));
        for kid in ["c", "d"] {
            store.insert_signing_key(&key(kid, false)).await.expect("not active");
        }
        let keys = store.signing_keys().await.expect("read");
        let active: Vec<_> = keys.iter().map(|key| (key.kid.as_str(), key.is_active)).collect();
        assert_eq!(active, [("a", true), ("c", false), ("d", false)]);
        assert_eq!(keys[0].private_key, [0, 255, 128]);
    }
}
