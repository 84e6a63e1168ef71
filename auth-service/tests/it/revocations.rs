//! WatchRevocations, and what a verifier that follows it refuses.

use std::time::Duration;

use auth_client::{Refusal, TokenRules, Verifier};
use proto::auth::v1::{
    LogoutRequest, Role, UpdateUserRequest, User, WatchRevocationsRequest,
    WatchRevocationsResponse, revocation::Target,
};
use service_kit::{
    channel::RpcChannel, on_each_database, settings::ServiceTokens, testing::ManualClock,
};
use tokio::{task::AbortHandle, time::timeout};
use tonic::{Code, Streaming};

use crate::service::{PASSWORD, SERVICE_TOKEN, Service, by, config, refusal};

/// Much longer than any news takes; reached only where none comes.
const PATIENCE: Duration = Duration::from_secs(10);

async fn watch(service: &Service, after_sequence: i64) -> Streaming<WatchRevocationsResponse> {
    let request = by(SERVICE_TOKEN, WatchRevocationsRequest { after_sequence });
    service.auth().watch_revocations(request).await.expect("a stream").into_inner()
}

async fn next(stream: &mut Streaming<WatchRevocationsResponse>) -> WatchRevocationsResponse {
    let message = timeout(PATIENCE, stream.message()).await.expect("a message in time");
    message.expect("no error").expect("no end")
}

/// The next message with news in it.
async fn news(stream: &mut Streaming<WatchRevocationsResponse>) -> WatchRevocationsResponse {
    loop {
        let message = next(stream).await;
        if !message.revocations.is_empty() {
            return message;
        }
    }
}

/// A verifier that asks auth-service only for keys and news.
fn verifier(services: &[&Service], clock: &ManualClock) -> (Verifier, AbortHandle) {
    let urls: Vec<_> = services.iter().map(|one| one.url.parse().expect("a URL")).collect();
    let rules = TokenRules { issuer: "pavilion".to_owned(), audience: "pavilion".to_owned() };
    let tokens: ServiceTokens = SERVICE_TOKEN.parse().expect("a service token");
    let verifier = Verifier::new(RpcChannel::balanced(&urls), rules, &tokens, clock.clock());
    let running = verifier.clone();
    let task = tokio::spawn(async move { running.run().await });
    (verifier, task.abort_handle())
}

async fn refused_by(verifier: &Verifier, token: &str) -> Refusal {
    let refused = async {
        loop {
            match verifier.verify(token).await {
                Ok(_) => tokio::task::yield_now().await,
                Err(refusal) => break refusal,
            }
        }
    };
    timeout(PATIENCE, refused).await.expect("the news arrive")
}

on_each_database! {
    async fn the_stream_tells_what_matters_then_changes_then_signs_of_life(database) {
        let service = Service::start(&database).await;
        service.register("ann", "").await.expect("registered");
        let logout = async || {
            let tokens = service.login("ann", PASSWORD).await.expect("signed in");
            let request = by(&tokens.access_token, LogoutRequest::default());
            service.auth().logout(request).await.expect("signed out");
        };
        logout().await;
        let mut stream = watch(&service, 0).await;
        let snapshot = news(&mut stream).await;
        assert!(snapshot.up_to_date);
        let [first] = &snapshot.revocations[..] else { panic!("one: {snapshot:?}") };
        assert!(matches!(first.target, Some(Target::SessionId(_))));
        logout().await;
        let change = news(&mut stream).await;
        assert_ne!(change.revocations[0].target, first.target);
        let alive = next(&mut stream).await;
        assert_eq!((alive.revocations.len(), alive.sequence), (0, change.sequence));
        assert!(alive.up_to_date && alive.server_time.is_some());

        let resumed = next(&mut watch(&service, snapshot.sequence).await).await;
        assert_eq!(resumed.revocations, change.revocations);
    }

    async fn a_revocation_leaves_when_the_last_token_has_expired(database) {
        let service = Service::start(&database).await;
        service.register("ann", "").await.expect("registered");
        let tokens = service.login("ann", PASSWORD).await.expect("signed in");
        let request = by(&tokens.access_token, LogoutRequest::default());
        service.auth().logout(request).await.expect("signed out");
        // Access tokens live 15 minutes; within the grace of 30 seconds another may be issued, and
        // a minute is left for clocks that disagree.
        service.clock.advance(Duration::from_mins(15));
        let kept = news(&mut watch(&service, 0).await).await;
        assert_eq!(kept.revocations.len(), 1);
        service.clock.advance(Duration::from_secs(90));
        let gone = next(&mut watch(&service, 0).await).await;
        assert_eq!(gone.revocations.len(), 0);
    }

    async fn only_services_may_watch(database) {
        let service = Service::start(&database).await;
        service.register("ann", "").await.expect("registered");
        let ann = service.login("ann", PASSWORD).await.expect("signed in").access_token;
        for token in [ann.as_str(), "service-token-of-the-test", ""] {
            let request = by(token, WatchRevocationsRequest::default());
            let watched = service.auth().watch_revocations(request).await.map(drop);
            let expected = (Code::PermissionDenied, "SERVICE_TOKEN_REQUIRED".to_owned());
            assert_eq!(refusal(watched), expected);
        }
    }

    async fn a_verifier_learns_of_a_logout_at_any_replica(database) {
        let clock = ManualClock::default();
        let one = Service::start_with(config(&database, &clock), clock.clone()).await;
        one.register("ann", "").await.expect("registered");
        let two = Service::start_with(config(&database, &clock), clock.clone()).await;
        two.login("ann", PASSWORD).await.expect("it is up");
        let (verifier, task) = verifier(&[&one], &clock);
        for replica in [&one, &two, &one, &two] {
            let token = replica.login("ann", PASSWORD).await.expect("signed in").access_token;
            verifier.verify(&token).await.expect("good");
            let request = by(&token, LogoutRequest::default());
            replica.auth().logout(request).await.expect("signed out");
            assert_eq!(refused_by(&verifier, &token).await, Refusal::Revoked);
        }
        task.abort();
    }

    async fn a_verifier_refuses_the_old_roles_and_accepts_the_new(database) {
        let service = Service::start(&database).await;
        for name in ["root", "ann"] {
            service.register(name, "").await.expect("registered");
        }
        service.make_admin(&database, 1).await;
        let root = service.login("root", PASSWORD).await.expect("signed in").access_token;
        let old = service.login("ann", PASSWORD).await.expect("signed in");
        let (verifier, task) = verifier(&[&service], &service.clock);
        verifier.verify(&old.access_token).await.expect("good");
        let roles = vec![Role::User.into(), Role::Coach.into()];
        let request = UpdateUserRequest {
            user: Some(User { id: 2, roles, ..Default::default() }),
            update_mask: Some(prost_types::FieldMask { paths: vec!["roles".to_owned()] }),
            ..Default::default()
        };
        service.users().update_user(by(&root, request)).await.expect("changed");
        assert_eq!(refused_by(&verifier, &old.access_token).await, Refusal::Revoked);
        let new = service.refresh(&old.refresh_token).await.expect("refreshed");
        verifier.verify(&new.access_token).await.expect("the new roles are good");
        task.abort();
    }

    async fn the_end_of_the_service_is_not_held_up_by_a_watcher(database) {
        let service = Service::start(&database).await;
        let mut stream = watch(&service, 0).await;
        next(&mut stream).await;
        service.shutdown.begin();
        let ended = timeout(Duration::from_secs(5), service.serving).await;
        ended.expect("well before the drain limit").expect("no panic").expect("a clean end");
    }
}
