//! Register.

use proto::auth::v1::{RegisterRequest, Role};
use service_kit::on_each_database;
use tonic::Code;

use crate::service::{PASSWORD, Service, refusal, violations};

on_each_database! {
    async fn a_new_account_is_told_back_without_its_password(database) {
        let service = Service::start(&database).await;
        let user = service.register("NewUser", "User@example.com").await.expect("registered");
        assert_eq!(user.id, 1);
        assert_eq!((&*user.username, &*user.email), ("NewUser", "User@example.com"));
        assert_eq!(user.roles, [i32::from(Role::User)]);
        assert!(!user.disabled);
        assert_eq!(user.created_at.expect("a time").seconds, service.clock.clock().now().seconds());
        assert!(!format!("{user:?}").contains(PASSWORD));
    }

    async fn a_taken_username_or_address_is_told(database) {
        let service = Service::start(&database).await;
        service.register("ann", "ann@example.com").await.expect("registered");
        let username_taken = (Code::AlreadyExists, "USERNAME_TAKEN".to_owned());
        let email_taken = (Code::AlreadyExists, "EMAIL_TAKEN".to_owned());
        assert_eq!(refusal(service.register("ANN", "other@example.com").await), username_taken);
        assert_eq!(refusal(service.register("bob", "Ann@EXAMPLE.com").await), email_taken);
        assert_eq!(refusal(service.register("ann", "ann@example.com").await), username_taken);
    }

    async fn of_twenty_at_once_one_gets_the_name(database) {
        let service = Service::start(&database).await;
        let attempts = (0..20).map(|number| {
            let service = &service;
            async move { service.register("ann", &format!("ann{number}@example.com")).await }
        });
        let results = futures_util::future::join_all(attempts).await;
        let (won, lost): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
        assert_eq!(won.len(), 1);
        for lost in lost {
            assert_eq!(refusal(lost), (Code::AlreadyExists, "USERNAME_TAKEN".to_owned()));
        }
    }

    async fn every_violation_is_told_at_once(database) {
        let service = Service::start(&database).await;
        let request = RegisterRequest {
            username: "new user".to_owned(),
            email: "nobody".to_owned(),
            password: "short".to_owned(),
            name: "x".repeat(101),
            request_id: "\u{e9}".to_owned(),
        };
        assert_eq!(
            violations(service.auth().register(request).await),
            [
                "username: INVALID_FORMAT",
                "email: INVALID_FORMAT",
                "name: TOO_LONG",
                "password: TOO_SHORT",
                "request_id: INVALID_FORMAT",
            ]
        );
        let nothing = service.auth().register(RegisterRequest::default()).await;
        assert_eq!(violations(nothing), ["username: REQUIRED", "password: REQUIRED"]);
    }

    async fn hostile_text_is_refused_and_not_a_fault(database) {
        let service = Service::start(&database).await;
        for text in ["\0", "a\0b", "\u{202e}\u{0}", "'; DROP TABLE users; --\n"] {
            let request = RegisterRequest {
                username: text.to_owned(),
                password: PASSWORD.to_owned(),
                name: text.to_owned(),
                ..RegisterRequest::default()
            };
            let refused = violations(service.auth().register(request).await);
            assert!(refused.contains(&"username: INVALID_FORMAT".to_owned()), "{refused:?}");
        }
        let huge = RegisterRequest {
            username: "x".repeat(1_000_000),
            ..RegisterRequest::default()
        };
        let status = service.auth().register(huge).await.expect_err("too large a message");
        assert_eq!(status.code(), Code::OutOfRange);
    }
}
