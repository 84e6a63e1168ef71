//! RefreshToken.

use std::time::Duration;

use proto::auth::v1::{LogoutRequest, RefreshTokenRequest};
use service_kit::{on_each_database, sql, testing::ManualClock};
use tonic::Code;

use crate::service::{PASSWORD, Service, by, config, refusal, violations};

const GRACE: Duration = Duration::from_secs(30);

fn reason(reason: &str) -> (Code, String) {
    (Code::Unauthenticated, reason.to_owned())
}

on_each_database! {
    async fn a_refresh_token_gives_the_next_pair(database) {
        let service = Service::start(&database).await;
        service.register("ann", "").await.expect("registered");
        let first = service.login("ann", PASSWORD).await.expect("signed in");
        let second = service.refresh(&first.refresh_token).await.expect("refreshed");
        assert_ne!(second.refresh_token, first.refresh_token);
        assert_ne!(second.access_token, first.access_token);
        // A refresh ends no access token: it is the session that lives on.
        assert!(service.is_active(&first.access_token).await);
        assert!(service.is_active(&second.access_token).await);
        service.refresh(&second.refresh_token).await.expect("refreshed again");
    }

    async fn a_session_that_ends_takes_tokens_of_a_longer_life_along(database) {
        let clock = ManualClock::default();
        let with_ttl = |minutes| {
            let mut config = config(&database, &clock);
            config.access_token_ttl = Duration::from_mins(minutes);
            Service::start_with(config, clock.clone())
        };
        let (long, short) = (with_ttl(60).await, with_ttl(15).await);
        long.register("ann", "").await.expect("registered");
        let first = long.login("ann", PASSWORD).await.expect("signed in");
        let second = short.refresh(&first.refresh_token).await.expect("refreshed");
        let logout = by(&second.access_token, LogoutRequest::default());
        short.auth().logout(logout).await.expect("signed out");
        let db = database.connect().await;
        let select = sql!("SELECT revokes_until FROM events WHERE type = 'SESSION_REVOKED'");
        let row = db.read(select).fetch_one().await.expect("an event");
        let until: i64 = row.get("revokes_until").expect("a time");
        let expiry = clock.clock().now() + Duration::from_hours(1);
        assert!(until >= expiry.micros(), "the first token would be good again before it expires");
    }

    async fn within_the_grace_fifty_tabs_get_the_same_successor(database) {
        let service = Service::start(&database).await;
        service.register("ann", "").await.expect("registered");
        let first = service.login("ann", PASSWORD).await.expect("signed in");
        let tabs = (0..50).map(|_| service.refresh(&first.refresh_token));
        let answers = futures_util::future::join_all(tabs).await;
        let answers: Vec<_> = answers.into_iter().map(|one| one.expect("refreshed")).collect();
        assert!(answers.iter().all(|one| one.refresh_token == answers[0].refresh_token));
        service.clock.advance(GRACE.saturating_sub(Duration::from_secs(1)));
        let late = service.refresh(&first.refresh_token).await.expect("still within the grace");
        assert_eq!(late.refresh_token, answers[0].refresh_token);
    }

    async fn after_the_grace_a_used_token_ends_the_session(database) {
        let service = Service::start(&database).await;
        service.register("ann", "").await.expect("registered");
        let other = service.login("ann", PASSWORD).await.expect("another session");
        let first = service.login("ann", PASSWORD).await.expect("signed in");
        let second = service.refresh(&first.refresh_token).await.expect("refreshed");
        service.clock.advance(GRACE);
        let replayed = service.refresh(&first.refresh_token).await;
        assert_eq!(refusal(replayed), reason("REFRESH_TOKEN_REUSED"));
        let successor = service.refresh(&second.refresh_token).await;
        assert_eq!(refusal(successor), reason("REFRESH_TOKEN_INVALID"));
        assert!(!service.is_active(&second.access_token).await);
        assert!(service.is_active(&other.access_token).await, "the other session lives on");
    }

    async fn an_older_token_is_a_replay_at_once(database) {
        let service = Service::start(&database).await;
        service.register("ann", "").await.expect("registered");
        let first = service.login("ann", PASSWORD).await.expect("signed in");
        let second = service.refresh(&first.refresh_token).await.expect("refreshed");
        let third = service.refresh(&second.refresh_token).await.expect("refreshed");
        let replayed = service.refresh(&first.refresh_token).await;
        assert_eq!(refusal(replayed), reason("REFRESH_TOKEN_REUSED"));
        assert!(!service.is_active(&third.access_token).await);
    }

    async fn a_session_ends_when_it_is_idle_and_in_any_case(database) {
        let clock = ManualClock::default();
        let mut config = config(&database, &clock);
        config.refresh_token_ttl = Duration::from_hours(2);
        config.session_ttl_max = Duration::from_hours(5);
        let service = Service::start_with(config, clock).await;
        service.register("ann", "").await.expect("registered");
        let idle = service.login("ann", PASSWORD).await.expect("signed in");
        let mut used = service.login("ann", PASSWORD).await.expect("signed in");
        for _ in 0..3 {
            service.clock.advance(Duration::from_mins(90));
            used = service.refresh(&used.refresh_token).await.expect("in use");
        }
        let expired = reason("REFRESH_TOKEN_EXPIRED");
        assert_eq!(refusal(service.refresh(&idle.refresh_token).await), expired);
        service.clock.advance(Duration::from_mins(30));
        assert_eq!(refusal(service.refresh(&used.refresh_token).await), expired);
    }

    async fn a_token_that_was_not_made_here_is_refused(database) {
        let service = Service::start(&database).await;
        service.register("ann", "").await.expect("registered");
        let tokens = service.login("ann", PASSWORD).await.expect("signed in");
        let next = tokens.refresh_token.replacen(".0.", ".1.", 1);
        let huge = "x".repeat(100_000);
        for bad in ["x", "a.0.b", &next, &tokens.access_token, &huge] {
            assert_eq!(refusal(service.refresh(bad).await), reason("REFRESH_TOKEN_INVALID"));
        }
        let nothing = service.auth().refresh_token(RefreshTokenRequest::default()).await;
        assert_eq!(violations(nothing), ["refresh_token: REQUIRED"]);
    }

    async fn two_replicas_rotate_one_session_together(database) {
        let clock = ManualClock::default();
        let one = Service::start_with(config(&database, &clock), clock.clone()).await;
        one.register("ann", "").await.expect("registered");
        let two = Service::start_with(config(&database, &clock), clock).await;
        let mut tokens = one.login("ann", PASSWORD).await.expect("signed in");
        for _ in 0..5 {
            let (here, there) = tokio::join!(
                one.refresh(&tokens.refresh_token),
                two.refresh(&tokens.refresh_token)
            );
            let (here, there) = (here.expect("refreshed"), there.expect("refreshed"));
            assert_eq!(here.refresh_token, there.refresh_token);
            tokens = here;
        }
    }
}
