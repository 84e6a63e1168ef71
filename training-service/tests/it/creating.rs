//! CreateRegistration without a `request_id`.

use proto::training::v1::{CreateRegistrationRequest, Registration, RegistrationStatus};
use service_kit::on_each_database;
use tonic::Code;

use crate::service::{Service, reason, training, violations};

on_each_database! {
    async fn a_registration_is_answered_as_stored(database) {
        let service = Service::start(&database).await;
        service.clock.advance(std::time::Duration::from_micros(42));
        let user = service.user(7);

        let created = user.create(training("cricket", "beginner")).await.expect("created");
        let expected = Registration {
            id: 1,
            user_id: 7,
            sport: "cricket".to_owned(),
            training_level: "beginner".to_owned(),
            registration_date: Some(prost_types::Timestamp {
                seconds: 1_767_225_600,
                nanos: 42_000,
            }),
            program_id: 0,
            status: RegistrationStatus::Confirmed.into(),
            waitlist_position: 0,
        };
        assert_eq!(created, expected);
        assert_eq!(user.get(1).await.expect("found"), expected);
        assert_eq!(user.list_own().await, [expected]);
    }

    async fn the_same_training_may_be_registered_for_twice(database) {
        let service = Service::start(&database).await;
        let user = service.user(7);
        let first = user.create(training("cricket", "beginner")).await.expect("created");
        let second = user.create(training("cricket", "beginner")).await.expect("created");
        assert!(second.id > first.id, "{second:?}");
    }

    async fn text_is_stored_as_given(database) {
        let service = Service::start(&database).await;
        let user = service.user(7);
        let longest = "🏏".repeat(100);
        for text in [" cricket ", "Füßball", "'; DROP TABLE registrations; --", &longest, "%_\\"] {
            let created = user.create(training(text, text)).await.expect("created");
            assert_eq!((&*created.sport, &*created.training_level), (text, text));
            assert_eq!(user.get(created.id).await.expect("found"), created);
        }
    }

    async fn all_violations_are_told_at_once(database) {
        let service = Service::start(&database).await;
        let user = service.user(7);
        let too_long = "é".repeat(101);
        let required = |field| (field, "REQUIRED");
        let cases = [
            (training("", ""), vec![required("sport"), required("training_level")]),
            (training("cricket", " \t\n"), vec![required("training_level")]),
            (
                training(&too_long, "beginner\n"),
                vec![("sport", "TOO_LONG"), ("training_level", "INVALID_FORMAT")],
            ),
            (training("cri\0cket", "beginner"), vec![("sport", "INVALID_FORMAT")]),
            (
                CreateRegistrationRequest { request_id: "é".to_owned(), ..training("", "beginner") },
                vec![required("sport"), ("request_id", "INVALID_FORMAT")],
            ),
            (
                CreateRegistrationRequest {
                    program_id: -1,
                    request_id: "x".repeat(65),
                    ..CreateRegistrationRequest::default()
                },
                vec![("program_id", "OUT_OF_RANGE"), ("request_id", "TOO_LONG")],
            ),
        ];
        for (request, expected) in cases {
            let rejection = user.create(request.clone()).await.expect_err("refused");
            assert_eq!(violations(&rejection), expected, "{request:?}");
        }
        assert_eq!(user.list_own().await, []);
    }

    async fn a_program_that_does_not_exist_is_not_found(database) {
        let service = Service::start(&database).await;
        let user = service.user(7);
        for request_id in ["", "request-1"] {
            let request = CreateRegistrationRequest {
                program_id: 1,
                request_id: request_id.to_owned(),
                ..CreateRegistrationRequest::default()
            };
            let rejection = user.create(request).await.expect_err("refused");
            assert_eq!(reason(&rejection), (Code::NotFound, "PROGRAM_NOT_FOUND"));
        }
        assert_eq!(user.list_own().await, []);
    }
}
