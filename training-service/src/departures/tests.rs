//! A registration and the deletion of its user at the same moment, in either order.

use std::time::Duration;

use auth_client::{Caller, Role};
use service_kit::{
    Timestamp,
    db::{Db, Statement, Tx},
    on_each_database, sql,
    testing::ManualClock,
};
use tokio::time::timeout;

use super::*;
use crate::{
    model::{EventType, NewRegistration, Repeatable, Wish},
    registrations::Registrations,
    store::{MIGRATIONS, events, user_locks},
};

const USER: UserId = UserId(7);
const OTHER: UserId = UserId(8);
const NOW: Timestamp = Timestamp::from_micros(1_767_225_600_123_456);
/// How long something that must wait is looked at.
const LOOK: Duration = Duration::from_millis(100);

fn departures(db: &Db) -> Departures {
    Departures::new(db.clone(), ManualClock::default().clock())
}

fn caller(user_id: UserId) -> Caller {
    Caller {
        user_id: user_id.0,
        session_id: String::new(),
        token_id: String::new(),
        roles: [Role::User].into_iter().collect(),
        expires_at: NOW,
    }
}

fn new_registration() -> NewRegistration {
    let repeatable = Repeatable::parse("request-1".to_owned(), Vec::new());
    let new = NewRegistration::parse("cricket".into(), "beginner".into(), 0, repeatable);
    new.expect("a registration")
}

/// A registration that is about to be committed.
async fn under_way(db: &Db) -> Tx {
    let mut tx = db.begin().await.expect("a transaction");
    user_locks::lock(&mut tx, USER).await.expect("locked");
    let Wish::Training(training) = new_registration().wish else { panic!("it is for no program") };
    let made = registrations::insert(&mut tx, USER, training, None, NOW).await.expect("stored");
    let appended = events::append_registration(&mut tx, EventType::Registered, made.id).await;
    assert!(appended.expect("stored"));
    tx
}

async fn count(db: &Db, statement: Statement) -> i64 {
    let row = db.read(statement).fetch_one().await.expect("a row");
    row.get(0).expect("a count")
}

on_each_database! {
    async fn a_deletion_waits_for_a_registration_that_is_under_way(database) {
        let db = database.open(MIGRATIONS).await;
        let tx = under_way(&db).await;
        let departures = departures(&db);
        let mut deletion = tokio::spawn(async move { departures.deal_with(&[USER], &[], 1).await });
        timeout(LOOK, &mut deletion).await.expect_err("it waits");
        tx.commit().await.expect("committed");
        deletion.await.expect("no panic").expect("dealt with");
        let left = registrations::live_of(&db, USER, BATCH_MAX).await.expect("registrations");
        assert_eq!(left, []);
    }

    async fn a_registration_waits_for_a_deletion_that_is_under_way_and_is_refused(database) {
        let db = database.open(MIGRATIONS).await;
        let mut tx = db.begin().await.expect("a transaction");
        departed_users::insert(&mut tx, USER, NOW).await.expect("noted");

        let registrations = Registrations::new(db.clone(), ManualClock::default().clock());
        let new = new_registration();
        let mut call = tokio::spawn(async move { registrations.create(&caller(USER), &new).await });
        timeout(LOOK, &mut call).await.expect_err("it waits");
        tx.commit().await.expect("committed");
        let refused = call.await.expect("no panic").expect_err("refused");
        assert!(matches!(refused, Error::AccountDeleted), "{refused:?}");
        for table in [
            sql!("SELECT COUNT(*) FROM registrations"),
            sql!("SELECT COUNT(*) FROM registration_requests"),
            sql!("SELECT COUNT(*) FROM training_events"),
        ] {
            assert_eq!(count(&db, table).await, 0);
        }
    }

    async fn a_deletion_waits_for_the_key_of_a_calendar_that_is_under_way(database) {
        let db = database.open(MIGRATIONS).await;
        let mut tx = db.begin().await.expect("a transaction");
        assert!(!departed_users::has(&mut tx, USER).await.expect("an answer"));
        calendar_keys::replace(&mut tx, USER, b"hash", NOW).await.expect("stored");

        let departures = departures(&db);
        let mut deletion = tokio::spawn(async move { departures.deal_with(&[USER], &[], 1).await });
        timeout(LOOK, &mut deletion).await.expect_err("it waits");
        tx.commit().await.expect("committed");
        deletion.await.expect("no panic").expect("dealt with");
        assert_eq!(calendar_keys::owner(&db, b"hash").await.expect("an answer"), None);
    }

    async fn nobody_waits_for_the_registration_or_the_deletion_of_another(database) {
        if database.kind == DatabaseKind::Sqlite {
            // Its one writer is everybody's.
            return;
        }
        let db = database.open(MIGRATIONS).await;
        let tx = under_way(&db).await;
        let registrations = Registrations::new(db.clone(), ManualClock::default().clock());
        let made = registrations.create(&caller(OTHER), &new_registration()).await;
        assert_eq!(made.expect("registered").user_id, OTHER);
        departures(&db).deal_with(&[OTHER], &[], 1).await.expect("dealt with");
        tx.commit().await.expect("committed");
        assert_eq!(count(&db, sql!("SELECT COUNT(*) FROM registrations")).await, 2);
    }
}
