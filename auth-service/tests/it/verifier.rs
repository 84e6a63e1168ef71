//! A verifier in another process: what ends a token here ends it there, by the stream alone, and
//! what it cannot know it does not allow.

use std::time::Duration;

use auth_client::{Refusal, Verifier};
use auth_service::KeysCommand;
use proto::auth::v1::{
    ChangePasswordRequest, DeleteUserRequest, GetJwksRequest, ListSessionsRequest,
    LogoutAllRequest, LogoutRequest, RevokeSessionRequest, Role, UpdateUserRequest, User,
};
use service_kit::{
    on_each_database,
    testing::{ManualClock, TestDatabase, smtp::MailServer},
};
use tokio::task::JoinSet;

use crate::{
    relay::Relay,
    service::{PASSWORD, Service, by, config},
    signing_keys::{eventually, in_state},
};

/// Longer than a verifier trusts what it knows.
const STALE: Duration = Duration::from_millis(600);

/// A service with an administrator (1) and two users (2: Ann, 3: Bob), and a verifier elsewhere
/// that can ask about no token: whatever it knows, it knows from the stream.
struct House {
    service: Service,
    relay: Relay,
    verifier: Verifier,
    /// Ended with the test.
    tasks: JoinSet<()>,
}

impl House {
    async fn new(database: &TestDatabase) -> Self {
        let clock = ManualClock::default();
        Self::of(Service::start_with(config(database, &clock), clock).await, database).await
    }

    async fn of(service: Service, database: &TestDatabase) -> Self {
        for name in ["root", "ann", "bob"] {
            let email = format!("{name}@example.com");
            service.register(name, &email).await.expect("registered");
        }
        service.make_admin(database, 1).await;
        let mut tasks = JoinSet::new();
        let relay = Relay::start(&service, &mut tasks).await;
        let verifier = relay.verifier(&service.clock, &mut tasks);
        Self { service, relay, verifier, tasks }
    }

    async fn sign_in(&self, name: &str) -> String {
        let token = self.service.login(name, PASSWORD).await.expect("signed in").access_token;
        self.becomes(&token, Ok(())).await;
        token
    }

    async fn judge(&self, token: &str) -> Result<(), Refusal> {
        self.verifier.verify(token).await.map(drop)
    }

    async fn becomes(&self, token: &str, expected: Result<(), Refusal>) {
        eventually("the verifier knows", async || self.judge(token).await == expected).await;
    }

    async fn update(&self, root: &str, user: User, path: &str) {
        let update_mask = Some(prost_types::FieldMask { paths: vec![path.to_owned()] });
        let request =
            by(root, UpdateUserRequest { user: Some(user), update_mask, ..Default::default() });
        self.service.users().update_user(request).await.expect("changed");
    }

    /// These tokens end there, and those do not.
    async fn ends(&self, ended: &[&str], good: &[&str]) {
        for token in ended {
            self.becomes(token, Err(Refusal::Revoked)).await;
        }
        for token in good {
            assert_eq!(self.judge(token).await, Ok(()));
        }
    }
}

on_each_database! {
    async fn what_a_user_ends_is_refused_there_and_nothing_else_is(database) {
        let house = House::new(&database).await;
        let (mut auth, mut users) = (house.service.auth(), house.service.users());
        let bob = house.sign_in("bob").await;

        let (one, two) = (house.sign_in("ann").await, house.sign_in("ann").await);
        auth.logout(by(&one, LogoutRequest::default())).await.expect("signed out");
        house.ends(&[&one], &[&two, &bob]).await;

        let three = house.sign_in("ann").await;
        let own = by(&three, ListSessionsRequest::default());
        let sessions = users.list_sessions(own).await.expect("a list").into_inner().sessions;
        let other = sessions.into_iter().find(|session| !session.current).expect("the second");
        let revoke = by(&three, RevokeSessionRequest { session_id: other.session_id });
        users.revoke_session(revoke).await.expect("ended");
        house.ends(&[&two], &[&three, &bob]).await;

        let four = house.sign_in("ann").await;
        auth.logout_all(by(&four, LogoutAllRequest {})).await.expect("ended");
        house.ends(&[&three, &four], &[&bob]).await;

        let (five, six) = (house.sign_in("ann").await, house.sign_in("ann").await);
        let request = ChangePasswordRequest {
            current_password: PASSWORD.to_owned(),
            new_password: "another password".to_owned(),
        };
        auth.change_password(by(&six, request)).await.expect("changed");
        house.ends(&[&five], &[&six, &bob]).await;

        users.delete_user(by(&six, DeleteUserRequest { user_id: 2, ..Default::default() })).await.expect("deleted");
        house.ends(&[&six], &[&bob]).await;
    }

    async fn what_an_administrator_ends_is_refused_there_and_nothing_else_is(database) {
        let house = House::new(&database).await;
        let root = house.sign_in("root").await;
        let bob = house.sign_in("bob").await;
        let coach = vec![Role::User.into(), Role::Coach.into()];
        house.update(&root, User { id: 2, roles: coach, ..User::default() }, "roles").await;

        // Demotion: the session lives on, with a token that says less.
        let request = house.service.login("ann", PASSWORD).await.expect("signed in");
        house.becomes(&request.access_token, Ok(())).await;
        let user = User { id: 2, roles: vec![Role::User.into()], ..User::default() };
        house.update(&root, user, "roles").await;
        house.ends(&[&request.access_token], &[&root, &bob]).await;
        let demoted = house.service.refresh(&request.refresh_token).await.expect("refreshed");
        house.becomes(&demoted.access_token, Ok(())).await;

        let ann = house.sign_in("ann").await;
        let disabled = User { id: 2, disabled: true, ..User::default() };
        house.update(&root, disabled, "disabled").await;
        house.ends(&[&ann, &demoted.access_token], &[&root, &bob]).await;

        let delete = by(&root, DeleteUserRequest { user_id: 3, ..Default::default() });
        house.service.users().delete_user(delete).await.expect("deleted");
        house.ends(&[&bob], &[&root]).await;
    }

    async fn a_reset_of_a_password_ends_all_tokens_there(database) {
        let mut mail = MailServer::start().await;
        let house = House::of(Service::start_mailing(&database, &mail).await, &database).await;
        let (one, two) = (house.sign_in("ann").await, house.sign_in("ann").await);
        let bob = house.sign_in("bob").await;
        house.service.ask_for_code("ann@example.com").await.expect("taken");
        let code = mail.next().await.code();
        house.service.reset_password("ann@example.com", &code).await.expect("reset");
        house.ends(&[&one, &two], &[&bob]).await;
    }

    async fn a_verifier_that_hears_nothing_asks_and_else_refuses(database) {
        let house = House::new(&database).await;
        let (ann, bob) = (house.sign_in("ann").await, house.sign_in("bob").await);
        let questions = house.relay.asked();
        assert_eq!(house.judge(&ann).await, Ok(()));
        assert_eq!(house.relay.asked(), questions, "it knows by itself");

        house.relay.pass_streams(false);
        // Once it opens the next stream, it has read all of the last one.
        let refused = house.relay.streams_refused();
        eventually("it opens another", async || house.relay.streams_refused() > refused).await;
        house.service.clock.advance(STALE);
        assert_eq!(house.judge(&ann).await, Err(Refusal::Unavailable));
        house.relay.pass_questions(true);
        let questions = house.relay.asked();
        assert_eq!(house.judge(&ann).await, Ok(()));
        assert_eq!(house.relay.asked(), questions + 1);
        let logout = by(&ann, LogoutRequest::default());
        house.service.auth().logout(logout).await.expect("signed out");
        assert_eq!(house.judge(&ann).await, Err(Refusal::Revoked));
        assert_eq!(house.judge(&bob).await, Ok(()));
        house.relay.pass_questions(false);
        for token in [&ann, &bob] {
            assert_eq!(house.judge(token).await, Err(Refusal::Unavailable));
        }

        house.relay.pass_streams(true);
        house.becomes(&bob, Ok(())).await;
        assert_eq!(house.judge(&ann).await, Err(Refusal::Revoked), "it was told what it missed");
    }

    async fn when_auth_service_is_gone_only_what_is_revoked_is_known(database) {
        let house = House::new(&database).await;
        let (ann, bob) = (house.sign_in("ann").await, house.sign_in("bob").await);
        let logout = by(&ann, LogoutRequest::default());
        house.service.auth().logout(logout).await.expect("signed out");
        house.ends(&[&ann], &[&bob]).await;
        house.relay.pass_questions(true);
        house.service.shutdown.begin();
        house.service.serving.await.expect("no panic").expect("a clean end");
        let (relay, verifier, clock) = (house.relay, house.verifier, house.service.clock);
        // Streams end with the service; the next is refused by nobody, so that one looks on.
        eventually("it has read what was under way", async || {
            clock.advance(STALE);
            verifier.verify(&bob).await.map(drop) == Err(Refusal::Unavailable)
        })
        .await;
        assert!(relay.asked() > 0, "it has asked");
        let judged = verifier.verify(&ann).await.map(drop);
        assert_eq!(judged, Err(Refusal::Revoked), "what was ended stays ended");
        drop(house.tasks);
    }

    async fn a_revoked_key_ends_its_tokens_there_whatever_a_replica_behind_says(database) {
        let clock = ManualClock::default();
        let settings = config(&database, &clock);
        let service = Service::start_with(settings.clone(), clock.clone()).await;
        let mut house = House::of(service, &database).await;
        let (old, bob) = (house.sign_in("ann").await, house.sign_in("bob").await);
        let jwks = house.service.auth().get_jwks(GetJwksRequest {}).await.expect("keys");
        let before = jwks.into_inner();
        let kid = in_state(&settings, "active").await;

        // The stream tells of the change; the first replicas that are asked do not know it yet.
        house.relay.give_keys(Some(before.clone()));
        let given = house.relay.keys_given();
        KeysCommand::Revoke { kid }.execute(&settings).await.expect("revoked");
        eventually("it asks until it is told", async || house.relay.keys_given() > given + 2).await;
        assert_ne!(house.judge(&old).await, Ok(()), "it knows that it knows too little");
        house.relay.give_keys(None);
        house.becomes(&old, Err(Refusal::Signature)).await;
        house.becomes(&bob, Err(Refusal::Signature)).await;
        let new = house.sign_in("ann").await;

        // What it has, it does not give back for older ones.
        house.relay.give_keys(Some(before));
        let given = house.relay.keys_given();
        eventually("it asks again", async || {
            clock.advance(Duration::from_secs(1));
            assert_ne!(house.judge(&old).await, Ok(()));
            house.relay.keys_given() > given + 2
        })
        .await;
        assert_ne!(house.judge(&old).await, Ok(()));
        house.becomes(&new, Ok(())).await;

        // Nor does one that has just begun, once it has heard of the change.
        let begun = house.relay.verifier(&clock, &mut house.tasks);
        let given = house.relay.keys_given();
        eventually("it asks", async || house.relay.keys_given() > given + 2).await;
        assert_ne!(begun.verify(&old).await.map(drop), Ok(()));
    }
}
