//! CreateRegistration with a `request_id` (AIP-155).

use std::{collections::HashSet, time::Duration};

use proto::training::v1::CreateRegistrationRequest;
use service_kit::{
    Timestamp,
    db::{Db, Row},
    on_each_database, sql,
};
use tokio::{task::JoinSet, time::sleep};
use tonic::Code;

use crate::service::{Service, reason, training, violations};

const DAY: Duration = Duration::from_hours(24);
const MICROSECOND: Duration = Duration::from_micros(1);

fn with_id(request_id: &str) -> CreateRegistrationRequest {
    CreateRegistrationRequest {
        request_id: request_id.to_owned(),
        ..training("cricket", "beginner")
    }
}

/// How many registrations and how many request ids are stored.
async fn rows(db: &Db) -> (i64, i64) {
    let registrations = db.read(sql!("SELECT COUNT(*) FROM registrations")).fetch_one().await;
    let requests = db.read(sql!("SELECT COUNT(*) FROM registration_requests")).fetch_one().await;
    let count = |row: Result<Row, _>| row.expect("a row").get(0).expect("a count");
    (count(registrations), count(requests))
}

/// Stores `count` registrations with request ids, the last of them made at `end`.
async fn insert(db: &Db, count: i64, end: Timestamp) {
    let mut tx = db.begin().await.expect("a transaction");
    for number in 1..=count {
        let registration = sql!(
            "INSERT INTO registrations (user_id, sport, training_level, registered_at, status) \
             VALUES (7, 'cricket', 'beginner', 0, 'confirmed')"
        );
        let id = tx.query(registration).insert().await.expect("stored");
        let request = sql!(
            "INSERT INTO registration_requests \
             (user_id, request_id, fingerprint, registration_id, created_at) \
             VALUES (7, ?, ?, ?, ?)"
        );
        tx.query(request)
            .bind(number.to_string())
            .bind(vec![0_u8; 32])
            .bind(id)
            .bind(end.micros() - count + number)
            .execute()
            .await
            .expect("stored");
    }
    tx.commit().await.expect("committed");
}

on_each_database! {
    async fn the_same_id_gives_the_same_registration(database) {
        let service = Service::start(&database).await;
        let user = service.user(7);
        let first = user.create(with_id("request-1")).await.expect("created");
        service.clock.advance(Duration::from_mins(5));
        let again = user.create(with_id("request-1")).await.expect("the same");
        assert_eq!(again, first);
        assert_eq!(user.list_own().await, [first]);
    }

    async fn ids_that_look_alike_are_different(database) {
        let service = Service::start(&database).await;
        let user = service.user(7);
        let mut made = HashSet::new();
        for request_id in ["a", "A", "a ", " a", " ", "~", &"a".repeat(64)] {
            made.insert(user.create(with_id(request_id)).await.expect("created").id);
        }
        assert_eq!(made.len(), 7);
    }

    async fn another_user_may_use_the_same_id(database) {
        let service = Service::start(&database).await;
        let first = service.user(7).create(with_id("request-1")).await.expect("created");
        let second = service.user(8).create(with_id("request-1")).await.expect("created");
        assert_ne!(first.id, second.id);
        assert_eq!(second.user_id, 8);
    }

    async fn another_body_is_refused(database) {
        let service = Service::start(&database).await;
        let user = service.user(7);
        let first = user.create(with_id("request-1")).await.expect("created");
        let changed = [
            CreateRegistrationRequest { sport: "Cricket".to_owned(), ..with_id("request-1") },
            CreateRegistrationRequest {
                request_id: "request-1".to_owned(),
                ..training("cricketb", "eginner")
            },
            CreateRegistrationRequest { training_level: "expert".into(), ..with_id("request-1") },
            CreateRegistrationRequest { program_id: 1, ..with_id("request-1") },
        ];
        for request in changed {
            let rejection = user.create(request).await.expect_err("refused");
            assert_eq!(violations(&rejection), [("request_id", "REUSED")]);
        }
        assert_eq!(user.list_own().await, [first]);
    }

    async fn a_refused_request_does_not_use_up_its_id(database) {
        let service = Service::start(&database).await;
        let user = service.user(7);
        let bad = CreateRegistrationRequest { sport: String::new(), ..with_id("request-1") };
        user.create(bad).await.expect_err("refused");
        let program = CreateRegistrationRequest { program_id: 1, ..with_id("request-1") };
        let rejection = user.create(program).await.expect_err("refused");
        assert_eq!(reason(&rejection), (Code::NotFound, "PROGRAM_NOT_FOUND"));
        user.create(with_id("request-1")).await.expect("created");
    }

    async fn an_id_counts_for_24_hours(database) {
        let service = Service::start(&database).await;
        let first = service.user(7).create(with_id("request-1")).await.expect("created");

        service.clock.advance(DAY.saturating_sub(MICROSECOND));
        let last = service.user(7).create(with_id("request-1")).await.expect("the same");
        assert_eq!(last, first);

        service.clock.advance(MICROSECOND);
        let other_body =
            CreateRegistrationRequest { sport: "football".to_owned(), ..with_id("request-1") };
        let renewed = service.user(7).create(other_body.clone()).await.expect("created anew");
        assert_ne!(renewed.id, first.id);
        let again = service.user(7).create(other_body).await.expect("the same");
        assert_eq!(again, renewed);
    }

    async fn of_many_calls_at_once_one_registers(database) {
        let db = database.open(&[]).await;
        let service = Service::start(&database).await;
        service.user(7).list_own().await;
        let replicas = [service.replica(&database).await, service];
        // Each round also finds an id that has expired meanwhile and is in the way.
        for round in 1..=5 {
            let mut calls = JoinSet::new();
            for call in 0..20 {
                let user = replicas[call % 2].user(7);
                calls.spawn(async move { user.create(with_id("request-1")).await });
            }
            let answers = calls.join_all().await;
            let made: HashSet<_> = answers
                .into_iter()
                .map(|answer| answer.expect("created, or the same").id)
                .collect();
            assert_eq!(made.len(), 1, "round {round}: {made:?}");
            assert_eq!(rows(&db).await, (round, 1));
            replicas[0].clock.advance(DAY);
        }
    }

    async fn expired_ids_are_deleted_and_their_registrations_are_not(database) {
        let db = database.open(&[]).await;
        let service = Service::start(&database).await;
        service.user(7).list_own().await;
        let created_at = service.clock.clock().now();
        // More than are deleted at once.
        insert(&db, 1100, created_at).await;
        service.clock.advance(DAY);
        service.user(7).create(with_id("young")).await.expect("created");
        assert_eq!(rows(&db).await, (1101, 1101));

        // They are deleted at start and then every hour.
        let restarted = service.replica(&database).await;
        service.stop().await;
        restarted.user(7).list_own().await;
        for _ in 0..100 {
            if rows(&db).await == (1101, 1) {
                return;
            }
            sleep(Duration::from_millis(50)).await;
        }
        panic!("still there: {:?}", rows(&db).await);
    }
}
