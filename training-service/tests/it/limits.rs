//! Input that is far too large, and a database that fails.

use std::time::Duration;

use proto::training::v1::CreateRegistrationRequest;
use service_kit::{
    on_each_database,
    rejection::Rejection,
    server::MESSAGE_BYTES_MAX,
    sql,
    testing::{DatabaseKind, TestDatabase},
};
use tonic::Code;

use crate::service::{Service, reason, training, violations};

on_each_database! {
    async fn huge_fields_are_refused_in_few_words(database) {
        let service = Service::start(&database).await;
        let huge = "x".repeat(100 * 1024);
        let request = CreateRegistrationRequest {
            request_id: huge[..50_000].to_owned(),
            ..training(&huge, &huge)
        };
        let rejection = service.user(7).create(request).await.expect_err("refused");
        assert_eq!(
            violations(&rejection),
            [("sport", "TOO_LONG"), ("training_level", "TOO_LONG"), ("request_id", "TOO_LONG")]
        );
        assert!(rejection.message.len() < 300, "{}", rejection.message);
    }

    async fn a_failing_database_is_not_shown_to_the_client(database) {
        let db = database.open(&[]).await;
        let service = Service::start(&database).await;
        let user = service.user(7);
        user.create(training("cricket", "beginner")).await.expect("created");
        for drop_table in
            [sql!("DROP TABLE registration_requests"), sql!("DROP TABLE registrations")]
        {
            db.write(drop_table).execute().await.expect("dropped");
        }
        let with_id = CreateRegistrationRequest {
            request_id: "request-1".to_owned(),
            ..training("cricket", "beginner")
        };
        let failures: [Rejection; 3] = [
            user.create(training("cricket", "beginner")).await.expect_err("no table"),
            user.create(with_id).await.expect_err("no table"),
            user.get(1).await.expect_err("no table"),
        ];
        for rejection in failures {
            assert_eq!(reason(&rejection), (Code::Internal, "INTERNAL"));
            assert_eq!(rejection.message, "internal error");
        }
    }
}

#[tokio::test]
async fn a_message_over_the_limit_is_not_read() {
    let database = TestDatabase::create(DatabaseKind::Sqlite).await;
    let service = Service::start(&database).await;
    let user = service.user(7);
    let request = training(&"x".repeat(MESSAGE_BYTES_MAX), "beginner");
    let rejection = user.create(request).await.expect_err("refused");
    assert_eq!(rejection.code, Code::OutOfRange, "{rejection:?}");
    // The connection serves on.
    user.create(training("cricket", "beginner")).await.expect("created");
}

#[tokio::test]
async fn a_locked_database_is_unavailable() {
    let database = TestDatabase::create(DatabaseKind::Sqlite).await;
    let db = database.open(&[]).await;
    let service = Service::start(&database).await;
    let user = service.user(7);
    user.list_own().await;

    let lock = db.begin().await.expect("the write lock");
    let rejection = user.create(training("cricket", "beginner")).await.expect_err("locked");
    assert_eq!(reason(&rejection), (Code::Unavailable, "DATABASE_UNAVAILABLE"));
    assert_eq!(rejection.retry_after, Some(Duration::from_secs(1)));

    drop(lock);
    user.create(training("cricket", "beginner")).await.expect("created");
}
