//! Starting, restarting and ending.

use std::time::Duration;

use proto::auth::v1::ValidateTokenRequest;
use service_kit::{on_each_database, secret::SecretKey, testing::ManualClock};
use tokio::time::timeout;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

use crate::service::{PASSWORD, Service, config};

on_each_database! {
    async fn accounts_and_tokens_survive_a_restart(database) {
        let service = Service::start(&database).await;
        service.register("ann", "").await.expect("registered");
        let access_token = service.login("ann", PASSWORD).await.expect("signed in").access_token;
        service.shutdown.begin();
        service.serving.await.expect("no panic").expect("a clean end");

        let service = Service::start(&database).await;
        service.login("ann", PASSWORD).await.expect("signed in again");
        let request = ValidateTokenRequest { access_token };
        let answer = service.auth().validate_token(request).await.expect("an answer");
        assert!(answer.into_inner().active, "signed with the same key");
    }

    async fn a_key_that_does_not_fit_the_database_is_refused(database) {
        let clock = ManualClock::default();
        let first = Service::start_with(config(&database, &clock), clock.clone()).await;
        first.register("ann", "").await.expect("it is up");
        let mut config = config(&database, &clock);
        config.secret_key = SecretKey::from_bytes([8; 32]);
        let second = Service::start_with(config, clock).await;
        let error = second.serving.await.expect("no panic").expect_err("refused");
        assert!(error.to_string().starts_with("SECRET_KEY: "), "{error}");
    }

    async fn two_replicas_share_one_first_key(database) {
        let (one, two) = tokio::join!(Service::start(&database), Service::start(&database));
        one.register("ann", "").await.expect("registered");
        let access_token = two.login("ann", PASSWORD).await.expect("signed in").access_token;
        let request = ValidateTokenRequest { access_token };
        let answer = one.auth().validate_token(request).await.expect("an answer");
        assert!(answer.into_inner().active);
    }

    async fn health_tells_the_end_and_its_stream_does_not_hold_it_up(database) {
        let service = Service::start(&database).await;
        let mut health = HealthClient::new(service.channel.clone());
        for name in ["", "auth.v1.AuthService"] {
            let request = HealthCheckRequest { service: name.to_owned() };
            let answer = health.check(request).await.expect("known").into_inner();
            assert_eq!(answer.status(), ServingStatus::Serving, "{name}");
        }
        let request = HealthCheckRequest::default();
        let mut watch = health.watch(request).await.expect("a stream").into_inner();
        let first = watch.message().await.expect("a status").expect("a status");
        assert_eq!(first.status(), ServingStatus::Serving);
        service.shutdown.begin();
        let last = watch.message().await.expect("a status").expect("a status");
        assert_eq!(last.status(), ServingStatus::NotServing);
        timeout(Duration::from_secs(5), service.serving)
            .await
            .expect("well before the drain limit")
            .expect("no panic")
            .expect("a clean end");
    }

    async fn reflection_lists_what_is_served(database) {
        let service = Service::start(&database).await;
        let mut reflection = ServerReflectionClient::new(service.channel.clone());
        let request = ServerReflectionRequest {
            host: String::new(),
            message_request: Some(MessageRequest::ListServices(String::new())),
        };
        let request = tokio_stream::iter([request]);
        let mut answers =
            reflection.server_reflection_info(request).await.expect("a stream").into_inner();
        let answer = answers.message().await.expect("an answer").expect("an answer");
        let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else {
            panic!("a list: {answer:?}");
        };
        let mut names: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
        names.sort();
        assert_eq!(
            names,
            [
                "auth.v1.AuthService",
                "auth.v1.EventService",
                "auth.v1.UserService",
                "grpc.health.v1.Health",
                "grpc.reflection.v1.ServerReflection",
                "grpc.reflection.v1alpha.ServerReflection",
            ]
        );
    }
}
