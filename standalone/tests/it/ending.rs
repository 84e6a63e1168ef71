//! How `pavilion` ends, and what is there when it starts again.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use proto::auth::v1::{
    RefreshTokenRequest, WatchEventsRequest, WatchRevocationsRequest,
    auth_service_client::AuthServiceClient, event_service_client::EventServiceClient,
};
use rustix::process::Signal;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use crate::{
    grpc::by,
    journey::{account, log_in, travel},
    program::{Home, PATIENCE, channel, eventually},
};

const SERVICE_TOKEN: &str = "service-token-of-the-tests";

async fn a_request_in_flight_is_finished_before_the_end(signal: Signal) {
    let home = Home::new();
    let pavilion = home.start(&[]).await;
    let body = account().to_string();
    let (first_half, second_half) = body.split_at(body.len() / 2);
    let mut stream = TcpStream::connect(pavilion.gateway).await.expect("a connection");
    let head = format!(
        "POST /auth/register_user HTTP/1.1\r\nHost: pavilion\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nExpect: 100-continue\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.expect("sent");
    // It is told to go on by the handler that reads the body: the request is in flight.
    let go_on = "HTTP/1.1 100 Continue\r\n\r\n";
    let mut told = vec![0; go_on.len()];
    let telling = timeout(PATIENCE, stream.read_exact(&mut told)).await;
    telling.expect("in time").expect("told to go on");
    assert_eq!(String::from_utf8_lossy(&told), go_on);
    stream.write_all(first_half.as_bytes()).await.expect("sent");

    pavilion.signal(signal);
    eventually("no connection is accepted any more", async || {
        TcpStream::connect(pavilion.gateway).await.err()
    })
    .await;
    stream.write_all(second_half.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    let answering = timeout(PATIENCE, stream.read_to_string(&mut answer)).await;
    answering.expect("in time").expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    pavilion.end().await;
    assert!(!home.log().contains("cut off"), "{}", home.log());

    let pavilion = home.start(&[]).await;
    log_in(&pavilion.http()).await;
}

#[tokio::test]
async fn sigterm_lets_a_request_in_flight_finish() {
    a_request_in_flight_is_finished_before_the_end(Signal::TERM).await;
}

#[tokio::test]
async fn sigint_lets_a_request_in_flight_finish() {
    a_request_in_flight_is_finished_before_the_end(Signal::INT).await;
}

#[tokio::test]
async fn open_streams_do_not_hold_up_the_end() {
    let home = Home::new();
    let pavilion = home.start(&[("SERVICE_TOKEN", SERVICE_TOKEN)]).await;
    let (auth, training) = (channel(pavilion.auth), channel(pavilion.training));
    let request = by(SERVICE_TOKEN, WatchRevocationsRequest::default());
    let revocations = AuthServiceClient::new(auth.clone()).watch_revocations(request).await;
    let mut revocations = revocations.expect("a stream").into_inner();
    revocations.message().await.expect("no error").expect("a sign of life");
    let request = by(SERVICE_TOKEN, WatchEventsRequest::default());
    let events = EventServiceClient::new(auth.clone()).watch_events(request).await;
    let _events = events.expect("a stream");
    let watch = async |channel| {
        let watching = HealthClient::new(channel).watch(HealthCheckRequest::default()).await;
        let mut statuses = watching.expect("a stream").into_inner();
        statuses.message().await.expect("no error").expect("a status");
        statuses
    };
    let _health = [watch(auth).await, watch(training).await];

    pavilion.stop().await;
    assert!(!home.log().contains("cut off"), "{}", home.log());
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("it is there").permissions().mode() & 0o777
}

#[tokio::test]
async fn accounts_tokens_and_registrations_outlive_a_restart() {
    let home = Home::new();
    let pavilion = home.start(&[]).await;
    let token = travel(&pavilion.http()).await;
    let [_, refresh_token] = log_in(&pavilion.http()).await;
    pavilion.stop().await;
    assert_eq!(mode(&home.data()), 0o700);
    assert_eq!(mode(&home.data().join("secret.key")), 0o600);
    let key = fs::read(home.data().join("secret.key")).expect("a key");

    let pavilion = home.start(&[]).await;
    let list = pavilion.http().get("/registrations", &token).await;
    assert_eq!((list.status, list.json.as_array().map(Vec::len)), (200, Some(1)), "{list:?}");
    log_in(&pavilion.http()).await;
    let mut auth = AuthServiceClient::new(channel(pavilion.auth));
    auth.refresh_token(RefreshTokenRequest { refresh_token }).await.expect("new tokens");
    assert_eq!(fs::read(home.data().join("secret.key")).expect("a key"), key);
}
