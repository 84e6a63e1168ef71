//! Login.

use proto::auth::v1::LoginRequest;
use service_kit::{on_each_database, sql};
use tonic::Code;

use crate::service::{PASSWORD, Service, refusal, violations};

on_each_database! {
    async fn the_password_opens_a_session_by_username_and_by_address(database) {
        let service = Service::start(&database).await;
        service.register("ann", "ann@example.com").await.expect("registered");
        for identifier in ["ann", "ANN", "ann@example.com", "Ann@Example.COM"] {
            let tokens = service.login(identifier, PASSWORD).await.expect("signed in");
            assert_eq!(tokens.access_token.split('.').count(), 3);
            assert!(!tokens.refresh_token.is_empty());
            assert_eq!((&*tokens.token_type, tokens.expires_in_seconds), ("Bearer", 900));
        }
    }

    async fn a_wrong_password_and_an_unknown_user_are_not_told_apart(database) {
        let service = Service::start(&database).await;
        service.register("ann", "ann@example.com").await.expect("registered");
        let expected = (Code::Unauthenticated, "INVALID_CREDENTIALS".to_owned());
        for (identifier, password) in [
            ("ann", "wrong password"),
            ("nobody", PASSWORD),
            ("nobody@example.com", PASSWORD),
            ("\0", PASSWORD),
            ("no such name ever", PASSWORD),
        ] {
            assert_eq!(refusal(service.login(identifier, password).await), expected);
        }
    }

    async fn a_damaged_hash_is_a_wrong_password(database) {
        let service = Service::start(&database).await;
        service.register("ann", "ann@example.com").await.expect("registered");
        let db = database.connect().await;
        for damaged in ["", "nonsense", "$argon2id$v=19$m=8,t=1,p=1$c2FsdA", "pbkdf2:sha256:9$x$y"] {
            let update = sql!("UPDATE users SET password_hash = ?");
            db.write(update).bind(damaged).execute().await.expect("updated");
            let expected = (Code::Unauthenticated, "INVALID_CREDENTIALS".to_owned());
            assert_eq!(refusal(service.login("ann", PASSWORD).await), expected, "{damaged}");
        }
    }

    async fn an_empty_or_oversized_field_is_named(database) {
        let service = Service::start(&database).await;
        let nothing = service.auth().login(LoginRequest::default()).await;
        assert_eq!(violations(nothing), ["identifier: REQUIRED", "password: REQUIRED"]);
        let long = service.login(&"x".repeat(255), &"x".repeat(1025)).await;
        assert_eq!(violations(long), ["identifier: TOO_LONG", "password: TOO_LONG"]);
    }
}
