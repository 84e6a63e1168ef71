//! A registration and the deletion of its user at the same moment, in either order.

use std::time::Duration;

use auth_client::{Caller, Role};
use service_kit::{
    Timestamp,
    db::{Db, Statement},
    on_each_database, sql,
    testing::ManualClock,
};
use tokio::time::timeout;

use super::*;
use crate::{
    model::{EventType, NewRegistration, Repeatable, Sport, Training, TrainingLevel},
    registrations::Registrations,
    store::{MIGRATIONS, events},
};

const USER: UserId = UserId(7);
const NOW: Timestamp = Timestamp::from_micros(1_767_225_600_123_456);
/// How long something that must wait is looked at.
const LOOK: Duration = Duration::from_millis(100);

fn departures(db: &Db) -> Departures {
    Departures::new(db.clone(), ManualClock::default().clock())
}

fn caller() -> Caller {
    Caller {
        user_id: USER.0,
        session_id: String::new(),
        token_id: String::new(),
        roles: [Role::User].into_iter().collect(),
        expires_at: NOW,
    }
}

async fn count(db: &Db, statement: Statement) -> i64 {
    let row = db.read(statement).fetch_one().await.expect("a row");
    row.get(0).expect("a count")
}

on_each_database! {
    async fn a_deletion_waits_for_a_registration_that_is_under_way(database) {
        let db = database.open(MIGRATIONS).await;
        let mut tx = db.begin().await.expect("a transaction");
        let training = Training {
            sport: Sport::parse("cricket".to_owned()).expect("a sport"),
            level: TrainingLevel::parse("beginner".to_owned()).expect("a level"),
        };
        let id = registrations::insert(&mut tx, USER, &training, None, NOW).await.expect("stored");
        let appended =
            events::append_registration(&mut tx, NOW, EventType::Registered, None, (id, USER));
        assert!(appended.await.expect("stored"));

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
        let repeatable = Repeatable::parse("request-1".to_owned(), Vec::new());
        let new = NewRegistration::parse("cricket".into(), "beginner".into(), 0, repeatable);
        let new = new.expect("a registration");
        let mut call = tokio::spawn(async move { registrations.create(&caller(), &new).await });
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
        assert_eq!(count(&db, sql!("SELECT last FROM event_counter")).await, 0);
    }
}
