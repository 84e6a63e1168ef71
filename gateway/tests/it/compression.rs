//! Larger answers, compressed for those who take them so.

use std::io::Read;

use bytes::Bytes;
use http::{HeaderMap, Method};
use http_body_util::{BodyExt, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use proto::{
    auth::v1::{LoginResponse, Tokens, User},
    training::v1::{ListRegistrationsResponse, Registration},
};

use crate::{
    harness::{TestGateway, nowhere, start_gateway},
    scripted::Scripted,
};

/// A gateway whose list has so many registrations.
async fn start_with_list(length: i64) -> TestGateway {
    let registration = |id| Registration { id, sport: "cricket".to_owned(), ..Default::default() };
    let registrations = (1..=length).map(registration).collect();
    let said = ListRegistrationsResponse { registrations, ..Default::default() };
    let training = Scripted::saying(said).await;
    start_gateway(nowhere().await, training.channel).await
}

async fn list(gateway: &TestGateway, accept: Option<&str>) -> (u16, HeaderMap, Bytes) {
    let mut request = gateway.request(Method::GET, "/registrations");
    if let Some(accept) = accept {
        request = request.header("accept-encoding", accept);
    }
    let request = request.body(Full::<Bytes>::default()).expect("a request");
    let client = Client::builder(TokioExecutor::new()).build_http();
    let (head, body) = client.request(request).await.expect("an answer").into_parts();
    let body = body.collect().await.expect("a whole body").to_bytes();
    (head.status.as_u16(), head.headers, body)
}

fn unzipped(encoding: &str, body: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    match encoding {
        "gzip" => flate2::read::GzDecoder::new(body).read_to_end(&mut plain),
        "br" => brotli_decompressor::Decompressor::new(body, 4096).read_to_end(&mut plain),
        other => panic!("{other}"),
    }
    .expect("what the header says");
    plain
}

#[tokio::test]
async fn a_large_list_goes_out_as_the_client_takes_it() {
    let gateway = start_with_list(100).await;
    let (_, headers, plain) = list(&gateway, None).await;
    assert_eq!(headers.get("content-encoding"), None);
    assert_eq!(headers["vary"], "accept-encoding", "a cache must not mix them up");
    for (accept, expected) in [
        ("gzip", "gzip"),
        ("br", "br"),
        ("gzip, deflate, br, zstd", "br"),
        ("br;q=0.1, gzip;q=0.9", "gzip"),
        ("identity;q=0, gzip", "gzip"),
    ] {
        let (status, headers, body) = list(&gateway, Some(accept)).await;
        assert_eq!((status, &headers["content-encoding"]), (200, &expected.parse().expect("one")));
        assert_eq!(headers["vary"], "accept-encoding");
        assert_eq!(headers["content-length"], body.len().to_string().as_str());
        assert!(body.len() < plain.len() / 2, "{} of {}", body.len(), plain.len());
        assert_eq!(unzipped(expected, &body), plain);
    }
}

#[tokio::test]
async fn who_takes_no_encoding_of_ours_gets_the_answer_as_it_is() {
    let gateway = start_with_list(100).await;
    let (_, _, plain) = list(&gateway, None).await;
    for accept in ["identity;q=0", "*;q=0", "gzip;q=0", "zstd", ";;,,q=", "", "gzip;q=nonsense"] {
        let (status, headers, body) = list(&gateway, Some(accept)).await;
        assert_eq!((status, headers.get("content-encoding")), (200, None), "{accept}");
        assert_eq!(body, plain, "{accept}");
    }
}

#[tokio::test]
async fn what_is_small_is_left_as_it_is() {
    let (_, headers, body) = list(&start_with_list(1).await, Some("gzip")).await;
    assert_eq!(headers.get("content-encoding"), None);
    assert_eq!(body.first(), Some(&b'['));
}

#[tokio::test]
async fn an_answer_with_a_token_is_never_compressed() {
    let tokens = Tokens { access_token: "x".repeat(4_000), ..Tokens::default() };
    let (tokens, user) = (Some(tokens), Some(User::default()));
    let auth = Scripted::saying(LoginResponse { tokens, user, ..Default::default() }).await;
    let gateway = start_gateway(auth.channel, nowhere().await).await;
    let request = gateway
        .request(Method::POST, "/auth/login")
        .header("content-type", "application/json")
        .header("accept-encoding", "gzip, br")
        .body(Full::new(r#"{"email": "a@b.example", "password": "pass word"}"#.into()));
    let answer = gateway.send(request.expect("a request")).await;
    assert_eq!(answer.json["access_token"].as_str().map(str::len), Some(4_000), "{answer:?}");
    assert_eq!(answer.headers.get("content-encoding"), None, "{answer:?}");
}
