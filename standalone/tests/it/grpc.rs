//! `pavilion` over gRPC.

use std::net::SocketAddr;

use prost::Message;
use prost_types::FileDescriptorSet;
use proto::{
    auth::v1::{
        GetJwksRequest, LoginRequest, RegisterRequest, ValidateTokenRequest, ValidateTokenResponse,
        auth_service_client::AuthServiceClient,
    },
    training::v1::{
        CreateRegistrationRequest, GetRegistrationRequest, ListRegistrationsRequest,
        RegistrationStatus, registration_service_client::RegistrationServiceClient,
    },
};
use service_kit::rejection::Rejection;
use tokio_stream::once;
use tonic::{Code, Request};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_reflection::pb::{v1, v1alpha};

use crate::{
    journey::{EMAIL, PASSWORD, log_in, register},
    program::{Home, channel},
};

/// A request in the name of whoever has the token.
pub(crate) fn by<T>(token: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let value = format!("Bearer {token}").parse().expect("a header value");
    request.metadata_mut().insert("authorization", value);
    request
}

/// `package.Service`, of each service of a package.
fn services_of(package: &str) -> Vec<String> {
    let set = FileDescriptorSet::decode(proto::FILE_DESCRIPTOR_SET).expect("descriptors");
    let files = set.file.iter().filter(|file| file.package() == package);
    let names = files.flat_map(|file| &file.service);
    names.map(|service| format!("{package}.{}", service.name())).collect()
}

#[tokio::test]
async fn one_can_register_sign_in_and_have_the_token_checked() {
    let home = Home::new();
    let pavilion = home.start(&[]).await;
    let mut auth = AuthServiceClient::new(channel(pavilion.auth));
    let account = RegisterRequest {
        username: "newuser".to_owned(),
        email: EMAIL.to_owned(),
        password: PASSWORD.to_owned(),
        ..RegisterRequest::default()
    };
    let made = auth.register(account.clone()).await.expect("made").into_inner();
    assert_eq!(made.user.expect("a user").id, 1);
    let refused = Rejection::from(&auth.register(account).await.expect_err("taken"));
    assert_eq!((refused.code, &*refused.reason), (Code::AlreadyExists, "USERNAME_TAKEN"));

    for identifier in ["newuser", EMAIL] {
        let (identifier, password) = (identifier.to_owned(), "wrong".to_owned());
        let refused =
            auth.login(LoginRequest { identifier, password, ..LoginRequest::default() }).await;
        let refused = Rejection::from(&refused.expect_err("wrong"));
        assert_eq!(
            (refused.code, &*refused.reason),
            (Code::Unauthenticated, "INVALID_CREDENTIALS")
        );
    }
    let (identifier, password) = ("newuser".to_owned(), PASSWORD.to_owned());
    let answer = auth
        .login(LoginRequest { identifier, password, ..LoginRequest::default() })
        .await
        .expect("signed in");
    let tokens = answer.into_inner().tokens.expect("tokens");
    assert_eq!((&*tokens.token_type, tokens.expires_in_seconds), ("Bearer", 900));

    let request = ValidateTokenRequest { access_token: tokens.access_token };
    let checked = auth.validate_token(request).await.expect("an answer").into_inner();
    assert!(checked.active);
    assert_eq!((checked.user_id, &*checked.username), (1, "newuser"));
    let request = ValidateTokenRequest { access_token: "made.up.token".to_owned() };
    let checked = auth.validate_token(request).await.expect("no error").into_inner();
    assert_eq!(checked, ValidateTokenResponse::default(), "inactive and nothing else");

    let keys = auth.get_jwks(GetJwksRequest {}).await.expect("keys").into_inner().keys;
    assert!(keys.iter().any(|key| key.r#use == "sig" && !key.kid.is_empty()), "{keys:?}");
}

#[tokio::test]
async fn one_can_register_for_training() {
    let home = Home::new();
    let pavilion = home.start(&[]).await;
    register(&pavilion.http()).await;
    let [token, _] = log_in(&pavilion.http()).await;
    let mut training = RegistrationServiceClient::new(channel(pavilion.training));

    let request = CreateRegistrationRequest {
        sport: "cricket".to_owned(),
        training_level: "beginner".to_owned(),
        ..CreateRegistrationRequest::default()
    };
    let refused = training.create_registration(request.clone()).await.expect_err("no token");
    let refused = Rejection::from(&refused);
    assert_eq!((refused.code, &*refused.reason), (Code::Unauthenticated, "TOKEN_MISSING"));

    let made = training.create_registration(by(&token, request)).await.expect("made");
    let made = made.into_inner().registration.expect("a registration");
    assert_eq!((made.id, made.user_id, made.status()), (1, 1, RegistrationStatus::Confirmed));
    let request = GetRegistrationRequest { registration_id: made.id };
    let shown = training.get_registration(by(&token, request)).await.expect("shown");
    assert_eq!(shown.into_inner().registration.as_ref(), Some(&made));
    let request = ListRegistrationsRequest::default();
    let list = training.list_registrations(by(&token, request)).await.expect("a list");
    assert_eq!(list.into_inner().registrations, [made]);
}

#[tokio::test]
async fn each_service_is_serving_by_name() {
    let home = Home::new();
    let pavilion = home.start(&[]).await;
    for (address, package) in [(pavilion.auth, "auth.v1"), (pavilion.training, "training.v1")] {
        let mut health = HealthClient::new(channel(address));
        let names = services_of(package);
        assert!(!names.is_empty(), "{package}");
        for service in names.into_iter().chain([String::new()]) {
            let request = HealthCheckRequest { service: service.clone() };
            let answer = health.check(request).await.unwrap_or_else(|e| panic!("{service}: {e}"));
            assert_eq!(answer.into_inner().status(), ServingStatus::Serving, "{service}");
        }
        let request = HealthCheckRequest { service: "made.v1.Up".to_owned() };
        assert_eq!(health.check(request).await.expect_err("unknown").code(), Code::NotFound);
    }
}

/// Lists the services at an address through one version of reflection: the protocol is the same,
/// the types are not.
macro_rules! list_services {
    ($version:ident, $address:expr) => {{
        use $version::{
            ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
            server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
        };
        let request = ServerReflectionRequest {
            message_request: Some(MessageRequest::ListServices(String::new())),
            ..ServerReflectionRequest::default()
        };
        let mut client = ServerReflectionClient::new(channel($address));
        let answers = client.server_reflection_info(once(request)).await.expect("a stream");
        let answer = answers.into_inner().message().await.expect("no error").expect("an answer");
        let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else {
            panic!("a list: {answer:?}")
        };
        list.service.into_iter().map(|service| service.name).collect::<Vec<_>>()
    }};
}

async fn listed(address: SocketAddr) -> [Vec<String>; 2] {
    let mut lists = [list_services!(v1, address), list_services!(v1alpha, address)];
    for list in &mut lists {
        list.sort();
    }
    lists
}

#[tokio::test]
async fn both_versions_of_reflection_list_what_is_served() {
    let home = Home::new();
    let pavilion = home.start(&[]).await;
    for (address, package) in [(pavilion.auth, "auth.v1"), (pavilion.training, "training.v1")] {
        let mut expected = services_of(package);
        expected.extend(
            [
                "grpc.health.v1.Health",
                "grpc.reflection.v1.ServerReflection",
                "grpc.reflection.v1alpha.ServerReflection",
            ]
            .map(str::to_owned),
        );
        expected.sort();
        assert_eq!(listed(address).await, [expected.clone(), expected]);
    }
}
