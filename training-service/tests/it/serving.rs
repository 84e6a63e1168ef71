//! Health, reflection and the end.

use std::time::Duration;

use service_kit::{
    Shutdown, on_each_database,
    secret::SecretKey,
    sql,
    testing::{DatabaseKind, ManualClock, TestDatabase},
};
use tokio::{net::TcpListener, time::timeout};
use tokio_stream::{StreamExt, once};
use tonic::transport::Channel;
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus,
    health_client::HealthClient,
};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

use training_service::{Config, serve};

use crate::{
    auth_peer::AuthPeer,
    service::{Service, channel, config, training},
};

const SERVICE: &str = "training.v1.RegistrationService";
const PROGRAMS: &str = "training.v1.ProgramService";
const PATIENCE: Duration = Duration::from_secs(10);

fn check(service: &str) -> HealthCheckRequest {
    HealthCheckRequest { service: service.to_owned() }
}

/// Waits until `service` serves.
async fn serving(channel: &Channel, service: &str) -> tonic::Streaming<HealthCheckResponse> {
    let watching = HealthClient::new(channel.clone()).watch(check(service)).await;
    let mut statuses = watching.expect("a stream").into_inner();
    loop {
        let status = timeout(PATIENCE, statuses.next()).await.expect("in time");
        if status.expect("not the end").expect("a status").status() == ServingStatus::Serving {
            return statuses;
        }
    }
}

async fn ask(channel: &Channel, request: MessageRequest) -> MessageResponse {
    let request = ServerReflectionRequest { host: String::new(), message_request: Some(request) };
    let answers =
        ServerReflectionClient::new(channel.clone()).server_reflection_info(once(request)).await;
    let answer = answers.expect("a stream").into_inner().next().await.expect("an answer");
    answer.expect("no error").message_response.expect("a message")
}

on_each_database! {
    async fn health_is_told_without_a_token(database) {
        let service = Service::start(&database).await;
        for name in ["", SERVICE, PROGRAMS] {
            serving(&service.channel, name).await;
            let answer = HealthClient::new(service.channel.clone()).check(check(name)).await;
            assert_eq!(answer.expect("known").into_inner().status(), ServingStatus::Serving);
        }
    }

    async fn a_key_that_does_not_fit_the_database_is_refused(database) {
        let clock = ManualClock::default();
        let auth = AuthPeer::start(clock.clock()).await;
        let (config, shutdown) = (config(&database, &auth, &clock), Shutdown::new());
        let service = Service::start_with(&database, auth, clock).await;
        serving(&service.channel, SERVICE).await;
        let another = Config { secret_key: SecretKey::from_bytes([8; 32]), ..config };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let refused = Box::pin(serve(another.clone(), listener, shutdown.clone())).await;
        let told = refused.expect_err("refused").to_string();
        assert!(told.starts_with("SECRET_KEY: another one than"), "{told}");
        // The one that fits still does.
        serving(&service.replica(&database).await.channel, SERVICE).await;

        // What it says to do where the other one is lost.
        let forget = sql!("DELETE FROM secret_key_check");
        database.connect().await.write(forget).execute().await.expect("deleted");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let channel = channel(listener.local_addr().expect("an address"));
        let served = tokio::spawn(serve(another, listener, shutdown.clone()));
        serving(&channel, SERVICE).await;
        shutdown.begin();
        served.await.expect("no panic").expect("a clean end");
    }

    async fn replicas_that_start_together_agree_on_a_key(database) {
        let first = Service::start(&database).await;
        let second = first.replica(&database).await;
        for service in [first, second] {
            serving(&service.channel, SERVICE).await;
        }
    }

    async fn a_shutdown_is_told_and_ends_cleanly(database) {
        let service = Service::start(&database).await;
        service.user(7).create(training("cricket", "beginner")).await.expect("created");
        let mut statuses = serving(&service.channel, SERVICE).await;

        service.shutdown.begin();
        let told = timeout(PATIENCE, statuses.next()).await.expect("in time").expect("a status");
        assert_eq!(told.expect("a status").status(), ServingStatus::NotServing);
        let end = timeout(PATIENCE, statuses.next()).await.expect("in time");
        assert!(!matches!(end, Some(Ok(_))), "{end:?}");
        service.stop().await;
    }
}

#[tokio::test]
async fn reflection_describes_what_is_served() {
    let database = TestDatabase::create(DatabaseKind::Sqlite).await;
    let service = Service::start(&database).await;

    let listed = ask(&service.channel, MessageRequest::ListServices(String::new())).await;
    let MessageResponse::ListServicesResponse(listed) = listed else { panic!("{listed:?}") };
    let mut names: Vec<_> = listed.service.into_iter().map(|service| service.name).collect();
    names.sort();
    assert_eq!(
        names,
        [
            "grpc.health.v1.Health",
            "grpc.reflection.v1.ServerReflection",
            "grpc.reflection.v1alpha.ServerReflection",
            PROGRAMS,
            SERVICE,
        ]
    );

    let symbol = MessageRequest::FileContainingSymbol(SERVICE.to_owned());
    let described = ask(&service.channel, symbol).await;
    assert!(matches!(described, MessageResponse::FileDescriptorResponse(_)), "{described:?}");
}
