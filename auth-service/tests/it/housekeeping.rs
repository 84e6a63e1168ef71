//! What has expired is deleted; what still ends tokens is not, however short events are kept.

use std::time::Duration;

use auth_client::{Refusal, TokenRules, Verifier};
use auth_service::Config;
use proto::auth::v1::LogoutRequest;
use service_kit::{
    channel::RpcChannel,
    on_each_database,
    settings::ServiceTokens,
    sql,
    testing::{ManualClock, TestDatabase},
};

use crate::{
    service::{PASSWORD, SERVICE_TOKEN, Service, by, config},
    signing_keys::eventually,
};

/// A replica tidies up when it starts, and every minute of real time: each start is a round.
async fn tidy(config: &Config, clock: &ManualClock) -> Service {
    Service::start_with(config.clone(), clock.clone()).await
}

/// The numbers of the events that are left.
async fn events(database: &TestDatabase) -> Vec<i64> {
    let select = sql!("SELECT sequence FROM events ORDER BY sequence");
    let rows = database.connect().await.read(select).fetch_all().await.expect("read");
    rows.iter().map(|row| row.get("sequence").expect("a number")).collect()
}

async fn sessions(database: &TestDatabase) -> usize {
    let select = sql!("SELECT id FROM sessions");
    database.connect().await.read(select).fetch_all().await.expect("read").len()
}

on_each_database! {
    async fn a_session_is_deleted_when_it_can_no_longer_be_refreshed(database) {
        let clock = ManualClock::default();
        let config = Config {
            refresh_token_ttl: Duration::from_hours(2),
            session_ttl_max: Duration::from_hours(3),
            ..config(&database, &clock)
        };
        let service = tidy(&config, &clock).await;
        service.register("ann", "").await.expect("registered");
        let idle = service.login("ann", PASSWORD).await.expect("signed in");
        let mut used = service.login("ann", PASSWORD).await.expect("signed in");
        clock.advance(Duration::from_mins(119));
        tidy(&config, &clock).await.login("ann", PASSWORD).await.expect("the third");
        used = service.refresh(&used.refresh_token).await.expect("refreshed");
        clock.advance(Duration::from_mins(1));
        tidy(&config, &clock).await;
        eventually("the idle one is gone", async || sessions(&database).await == 2).await;
        service.refresh(&idle.refresh_token).await.expect_err("gone");
        used = service.refresh(&used.refresh_token).await.expect("it lives on");
        // Refreshed or not, it has an end.
        clock.advance(Duration::from_hours(1));
        tidy(&config, &clock).await;
        eventually("the third is left", async || sessions(&database).await == 1).await;
        service.refresh(&used.refresh_token).await.expect_err("gone");
    }

    async fn events_are_deleted_but_never_those_that_still_end_tokens(database) {
        let clock = ManualClock::default();
        let config = Config {
            event_retention: Duration::from_mins(5),
            ..config(&database, &clock)
        };
        let service = tidy(&config, &clock).await;
        service.register("ann", "").await.expect("registered");
        let token = service.login("ann", PASSWORD).await.expect("signed in").access_token;
        service.auth().logout(by(&token, LogoutRequest::default())).await.expect("signed out");
        assert_eq!(events(&database).await, [1, 2, 3]);

        clock.advance(Duration::from_mins(5));
        let replica = tidy(&config, &clock).await;
        replica.register("bob", "").await.expect("registered");
        // Nothing is older than five minutes yet, and the next round takes what is.
        clock.advance(Duration::from_secs(1));
        let replica = tidy(&config, &clock).await;
        eventually("the old ones are gone", async || events(&database).await == [3, 4]).await;
        let urls = [replica.url.parse().expect("a URL")];
        let rules = TokenRules { issuer: "pavilion".to_owned(), audience: "pavilion".to_owned() };
        let tokens: ServiceTokens = SERVICE_TOKEN.parse().expect("a service token");
        let verifier = Verifier::new(RpcChannel::balanced(&urls), rules, &tokens, clock.clock());
        let running = verifier.clone();
        let following = tokio::spawn(async move { running.run().await });
        let judged = verifier.verify(&token).await.map(drop);
        assert_eq!(judged, Err(Refusal::Revoked), "by a replica that has begun since");
        following.abort();

        clock.advance(Duration::from_mins(12));
        tidy(&config, &clock).await;
        eventually("no token is left to end", async || events(&database).await.is_empty()).await;
        service.register("eve", "").await.expect("registered");
        assert_eq!(events(&database).await, [5], "numbers go on");
    }
}
