//! What is old is deleted, a little at a time, and nothing else is.

use std::time::Duration;

use proto::{auth::v1::EventType, training::v1::CreateRegistrationRequest};
use service_kit::{
    Timestamp,
    db::{Db, Statement},
    on_each_database, sql,
};

use crate::{
    announcing::program,
    departures::cursor,
    service::{EVENT_RETENTION, Service, seat, training, until},
};

async fn count(db: &Db, statement: Statement) -> i64 {
    let row = db.read(statement).fetch_one().await.expect("a row");
    row.get(0).expect("a count")
}

/// Stores `rows` events of `time`, and a microsecond later for each one more.
async fn insert_events(db: &Db, rows: i64, time: Timestamp) {
    let mut tx = db.begin().await.expect("a transaction");
    for number in 0..rows {
        let insert = sql!("INSERT INTO training_events (time, type) VALUES (?, 'PROGRAM_UPDATED')");
        let query = tx.query(insert).bind(time.micros() + number);
        query.execute().await.expect("stored");
    }
    tx.commit().await.expect("committed");
}

on_each_database! {
    async fn events_are_deleted_when_they_are_old(database) {
        let service = Service::start(&database).await;
        let user = service.user(7);
        user.create(training("cricket", "beginner")).await.expect("created");
        let db = database.connect().await;
        let events = sql!("SELECT COUNT(*) FROM training_events");
        // More than are deleted at once.
        insert_events(&db, 1_200, service.clock.clock().now()).await;
        service.clock.advance(EVENT_RETENTION + Duration::from_micros(1_099));
        service.user(7).create(training("cricket", "beginner")).await.expect("created");
        assert_eq!(count(&db, events).await, 1_202);

        // They are deleted at start and then every minute.
        let restarted = service.replica(&database).await;
        until(async || count(&db, events).await == 101).await;
        // What they told of is still there, and what comes goes on counting.
        assert_eq!(restarted.user(7).list_own().await.len(), 2);
        let last = sql!("SELECT MAX(sequence) FROM training_events");
        let before = count(&db, last).await;
        restarted.user(7).create(training("cricket", "beginner")).await.expect("created");
        assert!(count(&db, last).await > before);

        // Also where nothing was left.
        db.write(sql!("DELETE FROM training_events")).execute().await.expect("deleted");
        restarted.user(7).create(training("cricket", "beginner")).await.expect("created");
        assert!(count(&db, last).await > before + 1);
    }

    async fn who_is_gone_is_known_for_thirty_days(database) {
        let service = Service::start(&database).await;
        service.user(7).list_own().await;
        let db = database.connect().await;
        service.auth.tell(EventType::UserDeleted, 11);
        until(async || cursor(&db).await == 1).await;
        let known = sql!("SELECT COUNT(*) FROM departed_users");
        service.clock.advance(Duration::from_hours(30 * 24) - Duration::from_micros(1));
        service.auth.tell(EventType::UserDeleted, 12);
        until(async || cursor(&db).await == 2).await;
        let restarted = service.replica(&database).await;
        restarted.user(11).create(training("cricket", "beginner")).await.expect_err("refused");
        assert_eq!(count(&db, known).await, 2);

        service.clock.advance(Duration::from_micros(1));
        let _restarted = service.replica(&database).await;
        until(async || count(&db, known).await == 1).await;
        let late = sql!("SELECT user_id FROM departed_users");
        assert_eq!(count(&db, late).await, 12);
    }

    async fn nothing_that_has_expired_is_left(database) {
        let service = Service::start(&database).await;
        let coach = service.user_with(3, &["coach"]);
        let announced = coach.announce_as(program(1), "r").await.expect("created");
        let mut registrations = Vec::new();
        for user in [11, 12] {
            let request = CreateRegistrationRequest { request_id: "r".to_owned(), ..seat(announced.id) };
            let made = service.user(user).create(request).await.expect("registered");
            registrations.push(made.id);
        }
        // Nobody can be told of the promotion.
        service.auth.hide_users();
        service.user(11).cancel(registrations[0]).await.expect("cancelled");
        service.auth.tell(EventType::UserDeleted, 12);
        service.user(7).list_own().await;
        let db = database.connect().await;
        until(async || cursor(&db).await == 1).await;
        let expiring = [
            sql!("SELECT COUNT(*) FROM registration_requests"),
            sql!("SELECT COUNT(*) FROM program_requests"),
            sql!("SELECT COUNT(*) FROM training_events"),
            sql!("SELECT COUNT(*) FROM departed_users"),
            sql!("SELECT COUNT(*) FROM notices"),
        ];
        for table in expiring {
            assert_ne!(count(&db, table).await, 0, "{table:?}");
        }
        service.clock.advance(EVENT_RETENTION.max(Duration::from_hours(30 * 24)));
        let _restarted = service.replica(&database).await;
        for table in expiring {
            until(async || count(&db, table).await == 0).await;
        }
        assert_eq!(count(&db, sql!("SELECT COUNT(*) FROM mails")).await, 0);
        assert_eq!(count(&db, sql!("SELECT COUNT(*) FROM registrations")).await, 2);
    }
}
