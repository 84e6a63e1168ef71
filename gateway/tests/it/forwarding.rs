//! What a service learns of the HTTP request behind a call.

use http::{HeaderValue, Method, header::AUTHORIZATION};
use http_body_util::Full;
use proto::training::v1::ListRegistrationsResponse;

use crate::{
    harness::{TestGateway, nowhere, start_gateway},
    scripted::Scripted,
};

async fn start() -> (Scripted, TestGateway) {
    let training = Scripted::saying(ListRegistrationsResponse::default()).await;
    let gateway = start_gateway(nowhere().await, training.channel.clone()).await;
    (training, gateway)
}

#[tokio::test]
async fn every_authorization_header_is_forwarded_as_it_came() {
    let (training, gateway) = start().await;
    let odd = HeaderValue::from_bytes(b"Bearer caf\xe9").expect("a header value");
    let request = gateway
        .request(Method::GET, "/registrations")
        .header(AUTHORIZATION, "Basic  b25l")
        .header(AUTHORIZATION, odd.clone());
    let answer = gateway.send(request.body(Full::default()).expect("a request")).await;
    assert_eq!(answer.status, 200);
    let asked = training.only_call();
    let values: Vec<_> = asked.metadata.get_all(AUTHORIZATION).iter().collect();
    assert_eq!(values, [&HeaderValue::from_static("Basic  b25l"), &odd]);
}

#[tokio::test]
async fn without_an_authorization_header_none_is_made_up() {
    let (training, gateway) = start().await;
    gateway.get("/registrations").await;
    assert_eq!(training.only_call().metadata.get(AUTHORIZATION), None);
}

#[tokio::test]
async fn the_trace_goes_on_under_a_new_parent() {
    let (training, gateway) = start().await;
    let sent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let request = gateway.request(Method::GET, "/registrations").header("traceparent", sent);
    gateway.send(request.body(Full::default()).expect("a request")).await;
    let asked = training.only_call();
    let forwarded = asked.metadata["traceparent"].to_str().expect("ASCII");
    assert!(forwarded.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"), "{forwarded}");
    assert!(forwarded.ends_with("-01"), "{forwarded}");
    assert_ne!(forwarded, sent);
}

#[tokio::test]
async fn a_trace_begins_here_where_there_is_none() {
    let (training, gateway) = start().await;
    gateway.get("/registrations").await;
    assert_eq!(training.only_call().metadata["traceparent"].len(), 55);
}

#[tokio::test]
async fn the_request_id_the_deadline_and_the_clients_address_go_along() {
    let (training, gateway) = start().await;
    let request = gateway
        .request(Method::GET, "/registrations")
        .header("x-request-id", "mine-1")
        .header("x-forwarded-for", "203.0.113.9");
    gateway.send(request.body(Full::default()).expect("a request")).await;
    let metadata = training.only_call().metadata;
    assert_eq!(metadata["x-request-id"], "mine-1");
    assert!(metadata.contains_key("grpc-timeout"), "{metadata:?}");
    let addresses: Vec<_> = metadata.get_all("x-forwarded-for").iter().collect();
    assert_eq!(addresses, ["127.0.0.1"], "what a client claims is not believed");
}
