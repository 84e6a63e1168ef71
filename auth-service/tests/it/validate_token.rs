//! ValidateToken and GetJwks.

use std::time::Duration;

use auth_client::{TokenRules, Verifier};
use proto::auth::v1::{GetJwksRequest, ValidateTokenRequest, ValidateTokenResponse};
use service_kit::{channel::RpcChannel, on_each_database, settings::ServiceTokens};

use crate::service::{PASSWORD, Service};

async fn validate(service: &Service, access_token: &str) -> ValidateTokenResponse {
    let request = ValidateTokenRequest { access_token: access_token.to_owned() };
    service.auth().validate_token(request).await.expect("never an error").into_inner()
}

on_each_database! {
    async fn a_fresh_token_is_active_and_tells_whose_it_is(database) {
        let service = Service::start(&database).await;
        let user = service.register("ann", "").await.expect("registered");
        let tokens = service.login("ann", PASSWORD).await.expect("signed in");
        let answer = validate(&service, &tokens.access_token).await;
        assert!(answer.active);
        assert_eq!((answer.user_id, &*answer.username), (user.id, "ann"));
        assert_eq!(answer.roles, user.roles);
        assert!(!answer.session_id.is_empty() && !answer.token_id.is_empty());
        let now = service.clock.clock().now().seconds();
        assert_eq!(answer.expires_at.expect("a time").seconds, now + 900);
    }

    async fn a_bad_token_is_inactive_and_nothing_else(database) {
        let service = Service::start(&database).await;
        service.register("ann", "").await.expect("registered");
        let token = service.login("ann", PASSWORD).await.expect("signed in").access_token;
        let (message, signature) = token.rsplit_once('.').expect("three segments");
        let changed = format!("{message}.{}", signature.chars().rev().collect::<String>());
        for bad in ["", "x", "a.b.c", &changed, message, &"x".repeat(100_000)] {
            assert_eq!(validate(&service, bad).await, ValidateTokenResponse::default());
        }
    }

    async fn a_token_is_active_until_the_second_it_expires(database) {
        let service = Service::start(&database).await;
        service.register("ann", "").await.expect("registered");
        let token = service.login("ann", PASSWORD).await.expect("signed in").access_token;
        service.clock.advance(Duration::from_secs(899));
        assert!(validate(&service, &token).await.active);
        service.clock.advance(Duration::from_secs(1));
        assert!(!validate(&service, &token).await.active);
    }

    async fn anyone_can_verify_a_token_with_the_published_keys(database) {
        let service = Service::start(&database).await;
        service.register("ann", "").await.expect("registered");
        let token = service.login("ann", PASSWORD).await.expect("signed in").access_token;
        let keys = service.auth().get_jwks(GetJwksRequest {}).await.expect("keys").into_inner();
        let [key, _next] = &keys.keys[..] else { panic!("two keys") };
        assert_eq!(
            (&*key.kty, &*key.crv, &*key.alg, &*key.r#use),
            ("OKP", "Ed25519", "EdDSA", "sig")
        );
        let rules = TokenRules { issuer: "pavilion".to_owned(), audience: "pavilion".to_owned() };
        let channel = RpcChannel::balanced(&[service.url.parse().expect("a URL")]);
        let verifier = Verifier::new(channel, rules, &ServiceTokens::default(), service.clock.clock());
        let caller = verifier.verify(&token).await.expect("verified");
        assert_eq!(caller.user_id, 1);
    }
}
