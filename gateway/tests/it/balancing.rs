//! Several replicas of a service: spread, loss and return, and what is asked twice.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use gateway::{Config, limits::Limits};
use http_body_util::{BodyExt, Full};
use prost::Message;
use proto::training::v1::{CreateRegistrationResponse, ListRegistrationsResponse, Registration};
use tokio::{
    net::{TcpSocket, TcpStream},
    sync::Notify,
    time::timeout,
};
use tonic::Status;

use crate::{
    harness::{TestGateway, nowhere, start_with},
    scripted::{Asked, Scripted, channel_to, write},
};

const PATIENCE: Duration = Duration::from_secs(20);
const REGISTRATION: &str = r#"{"sport": "cricket", "training_level": "beginner"}"#;

fn said(asked: &Asked) -> Vec<u8> {
    let registration = Some(Registration::default());
    match asked.path.rsplit('/').next() {
        Some("ListRegistrations") => ListRegistrationsResponse::default().encode_to_vec(),
        _ => CreateRegistrationResponse { registration }.encode_to_vec(),
    }
}

async fn replica() -> Scripted {
    Scripted::start(|asked| std::future::ready(Ok(said(&asked)))).await
}

/// A gateway in front of replicas of training-service.
async fn start_before(addresses: &[SocketAddr], limits: Limits) -> TestGateway {
    let config = Config::new(nowhere().await, channel_to(addresses));
    start_with(Config { limits, ..config }).await
}

async fn assert_reads(gateway: &TestGateway) {
    let answer = gateway.get("/registrations").await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

/// Asks until `replica` has had another call of that kind.
async fn read_until_asked(gateway: &TestGateway, replica: &Scripted) {
    let lists =
        || replica.calls().iter().filter(|call| call.path.ends_with("ListRegistrations")).count();
    let before = lists();
    let asking = async {
        while lists() == before {
            assert_reads(gateway).await;
        }
    };
    timeout(PATIENCE, asking).await.expect("a replica that is used");
}

#[tokio::test]
async fn calls_go_to_all_replicas_in_turn() {
    let replicas = [replica().await, replica().await, replica().await];
    let addresses = replicas.each_ref().map(|one| one.address);
    let gateway = start_before(&addresses, Limits::default()).await;
    for replica in &replicas {
        read_until_asked(&gateway, replica).await;
    }
    let before = replicas.each_ref().map(|one| one.calls().len());
    for _ in 0..30 {
        assert_reads(&gateway).await;
    }
    let after = replicas.each_ref().map(|one| one.calls().len());
    assert_eq!(after, before.map(|count| count + 10));
}

#[tokio::test]
async fn a_replica_that_dies_is_not_missed_and_one_that_returns_is_used() {
    let (one, other) = (replica().await, replica().await);
    let gateway = start_before(&[one.address, other.address], Limits::default()).await;
    read_until_asked(&gateway, &one).await;
    read_until_asked(&gateway, &other).await;
    one.kill().await;
    for _ in 0..20 {
        assert_reads(&gateway).await;
    }
    let before = other.calls().len();
    for _ in 0..20 {
        let answer = gateway.post("/registrations", REGISTRATION).await;
        assert_eq!(answer.status, 201, "{answer:?}");
    }
    assert_eq!(other.calls().len(), before + 20);

    let reborn =
        Scripted::start_at(one.address, |asked| std::future::ready(Ok(said(&asked)))).await;
    read_until_asked(&gateway, &reborn).await;
}

#[tokio::test]
async fn a_single_replica_that_returns_is_used_at_once() {
    let only = replica().await;
    let gateway = start_before(&[only.address], Limits::default()).await;
    assert_reads(&gateway).await;
    only.kill().await;
    gateway.get("/registrations").await.assert_problem(503, "UNAVAILABLE");
    let _reborn =
        Scripted::start_at(only.address, |asked| std::future::ready(Ok(said(&asked)))).await;
    assert_reads(&gateway).await;
}

/// An address that answers nothing at all: a listener whose queue is full.
async fn black_hole() -> (SocketAddr, Vec<TcpStream>, tokio::net::TcpListener) {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a free port");
    let listener = socket.listen(1).expect("a queue");
    let address = listener.local_addr().expect("an address");
    let mut queue = Vec::new();
    let connecting = || timeout(Duration::from_millis(100), TcpStream::connect(address));
    while let Ok(connected) = connecting().await {
        queue.push(connected.expect("a place in the queue"));
    }
    (address, queue, listener)
}

#[tokio::test]
async fn an_address_that_answers_nothing_holds_up_no_request() {
    let (hole, _queue, _listener) = black_hole().await;
    let replica = replica().await;
    // Less than one try to connect may take.
    let limits = Limits { request_time_max: Duration::from_secs(1), ..Limits::default() };
    let gateway = start_before(&[hole, replica.address], limits).await;
    for _ in 0..20 {
        assert_reads(&gateway).await;
    }
    assert_eq!(replica.calls().len(), 20);
}

/// A replica that takes requests and says nothing, and what tells that it was asked.
async fn hanging() -> (Scripted, Arc<Notify>) {
    let asked = Arc::new(Notify::new());
    let notify = asked.clone();
    let replica = Scripted::start(move |_| {
        notify.notify_one();
        std::future::pending()
    });
    (replica.await, asked)
}

#[tokio::test]
async fn a_read_whose_connection_is_lost_is_asked_once_more() {
    let (dying, asked) = hanging().await;
    let replica = replica().await;
    let gateway = start_before(&[dying.address, replica.address], Limits::default()).await;
    let answered = async {
        // Every other one hangs, from when both are connected.
        while dying.calls().is_empty() {
            assert_reads(&gateway).await;
        }
    };
    let killed = async {
        asked.notified().await;
        dying.kill().await;
    };
    timeout(PATIENCE, async { tokio::join!(answered, killed) }).await.expect("an answer");
}

#[tokio::test]
async fn a_write_whose_connection_is_lost_is_not_asked_again() {
    let (dying, asked) = hanging().await;
    let gateway = start_before(&[dying.address], Limits::default()).await;
    let answered = gateway.post("/registrations", REGISTRATION);
    let reborn = async {
        asked.notified().await;
        dying.kill().await;
        Scripted::start_at(dying.address, |asked| std::future::ready(Ok(said(&asked)))).await
    };
    let (answer, reborn) = tokio::join!(answered, reborn);
    answer.assert_problem(503, "UNAVAILABLE");
    assert_eq!(answer.headers["retry-after"], "1");
    assert!(reborn.calls().iter().all(|call| call.path.ends_with("Health/Check")));
}

#[tokio::test]
async fn what_a_service_answers_itself_is_not_asked_again() {
    let replica = Scripted::refusing(Status::unavailable("the database is away")).await;
    let gateway = start_before(&[replica.address], Limits::default()).await;
    gateway.get("/registrations").await.assert_problem(503, "UNAVAILABLE");
    assert_eq!(replica.calls().len(), 1);
}

/// A replica that sends the heads of its answers and a part of the message, tells so, and nothing
/// more.
async fn stopping_short() -> (Scripted, Arc<Notify>) {
    let begun = Arc::new(Notify::new());
    let notify = begun.clone();
    let replica = Scripted::serve_at("127.0.0.1:0".parse().expect("an address"), move |asked| {
        let notify = notify.clone();
        let answer = write(Ok(said(&asked))).map(|_| {
            let part = Full::new(Bytes::from_static(&[0, 0, 0, 0, 9, 1]));
            let end = async move {
                notify.notify_one();
                std::future::pending().await
            };
            part.with_trailers(end).boxed_unsync()
        });
        std::future::ready(answer)
    });
    (replica.await, begun)
}

#[tokio::test]
async fn a_read_whose_connection_is_lost_within_the_answer_is_asked_once_more() {
    let (dying, begun) = stopping_short().await;
    let replica = replica().await;
    let gateway = start_before(&[dying.address, replica.address], Limits::default()).await;
    let answered = async {
        while dying.calls().is_empty() {
            assert_reads(&gateway).await;
        }
    };
    let killed = async {
        begun.notified().await;
        dying.kill().await;
    };
    timeout(PATIENCE, async { tokio::join!(answered, killed) }).await.expect("an answer");
}

#[tokio::test]
async fn a_write_whose_connection_is_lost_within_the_answer_is_503_and_not_asked_again() {
    let (dying, begun) = stopping_short().await;
    let replica = replica().await;
    let gateway = start_before(&[dying.address, replica.address], Limits::default()).await;
    let answered = async {
        loop {
            let answer = gateway.post("/registrations", REGISTRATION).await;
            if answer.status != 201 {
                return answer;
            }
        }
    };
    let killed = async {
        begun.notified().await;
        let before = replica.calls().len();
        dying.kill().await;
        before
    };
    let both = timeout(PATIENCE, async { tokio::join!(answered, killed) });
    let (answer, before) = both.await.expect("an answer");
    answer.assert_problem(503, "UNAVAILABLE");
    assert_eq!(answer.headers["retry-after"], "1");
    assert_eq!(replica.calls().len(), before, "{:?}", replica.calls());
}
