//! No RPC that is announced is left out.

use std::{net::SocketAddr, time::Duration};

use http::uri::PathAndQuery;
use prost::Message;
use prost_types::FileDescriptorSet;
use proto::auth::v1::{LoginRequest, RegisterRequest, auth_service_client::AuthServiceClient};
use service_kit::rejection::Rejection;
use tokio::time::timeout;
use tokio_stream::once;
use tonic::{Code, Status, client::Grpc, transport::Channel};
use tonic_prost::ProstCodec;

use crate::{
    grpc::by,
    program::{Home, PATIENCE, Pavilion, channel},
};

/// What a service shows for a stream.
const SERVICE_TOKEN: &str = "service-token-of-the-tests";
/// How long a stream may be silent and count as open: its first answer has come before.
const FIRST_MESSAGE_TIME_MAX: Duration = Duration::from_secs(2);

/// A method in the descriptor set.
#[derive(Debug)]
struct Method {
    /// Where it is served.
    address: SocketAddr,
    /// `/package.Service/Method`.
    path: String,
    answers_with_a_stream: bool,
}

fn announced(pavilion: &Pavilion) -> Vec<Method> {
    let set = FileDescriptorSet::decode(proto::FILE_DESCRIPTOR_SET).expect("descriptors");
    let mut announced = Vec::new();
    for file in &set.file {
        let address = match file.package() {
            "auth.v1" => pavilion.auth,
            "training.v1" => pavilion.training,
            package => {
                assert!(file.service.is_empty(), "{package} is served somewhere");
                continue;
            }
        };
        for service in &file.service {
            announced.extend(service.method.iter().map(|method| Method {
                address,
                path: format!("/{}.{}/{}", file.package(), service.name(), method.name()),
                answers_with_a_stream: method.server_streaming(),
            }));
        }
    }
    announced
}

/// Makes an account and signs in: an access token that no other call ends.
async fn token_of_a_new_user(auth: &Channel, number: usize) -> String {
    let mut auth = AuthServiceClient::new(auth.clone());
    let (username, password) = (format!("user{number}"), "securepassword123".to_owned());
    let request = RegisterRequest {
        username: username.clone(),
        password: password.clone(),
        ..RegisterRequest::default()
    };
    auth.register(request).await.expect("an account");
    let answer = auth
        .login(LoginRequest { identifier: username, password, ..LoginRequest::default() })
        .await;
    answer.expect("signed in").into_inner().tokens.expect("tokens").access_token
}

/// Calls a method of any kind with one empty message. Every message type reads as `()`, which
/// passes over fields that it does not know.
async fn call(channel: Channel, token: &str, path: &str) -> Result<(), Status> {
    let mut client = Grpc::new(channel);
    client.ready().await.expect("a connection");
    let path = PathAndQuery::try_from(path).expect("a path");
    let codec = ProstCodec::<(), ()>::default();
    let mut answers = client.streaming(by(token, once(())), path, codec).await?.into_inner();
    match timeout(FIRST_MESSAGE_TIME_MAX, answers.message()).await {
        Ok(first) => first.map(drop),
        Err(_silence) => Ok(()),
    }
}

#[tokio::test]
async fn no_rpc_that_is_announced_is_unimplemented() {
    let home = Home::new();
    let pavilion = home.start(&[("SERVICE_TOKEN", SERVICE_TOKEN)]).await;
    let auth = channel(pavilion.auth);
    let announced = announced(&pavilion);
    assert!(announced.len() > 20, "the descriptors of both services: {announced:?}");
    let mut unimplemented = Vec::new();
    for (number, method) in announced.iter().enumerate() {
        // Only a handler that is past the token can say what it is.
        let token = if method.answers_with_a_stream {
            SERVICE_TOKEN.to_owned()
        } else {
            token_of_a_new_user(&auth, number).await
        };
        let Method { address, path, .. } = method;
        let answered = timeout(PATIENCE, call(channel(*address), &token, path)).await;
        let answered = answered.unwrap_or_else(|_elapsed| panic!("{path} in time"));
        let Some(rejection) = answered.err().as_ref().map(Rejection::from) else { continue };
        assert!(!rejection.reason.starts_with("TOKEN_"), "{path}: {rejection:?}");
        if rejection.code == Code::Unimplemented {
            unimplemented.push(path);
        }
    }
    assert_eq!(unimplemented, [""; 0]);
}

#[tokio::test]
async fn an_rpc_that_is_not_there_is_unimplemented() {
    let home = Home::new();
    let pavilion = home.start(&[]).await;
    let token = token_of_a_new_user(&channel(pavilion.auth), 0).await;
    for (address, service) in [
        (pavilion.auth, "auth.v1.AuthService"),
        (pavilion.training, "training.v1.RegistrationService"),
    ] {
        let refused = call(channel(address), &token, &format!("/{service}/MakeTea")).await;
        assert_eq!(refused.expect_err("no such method").code(), Code::Unimplemented);
    }
}
