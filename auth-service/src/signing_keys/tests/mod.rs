//! The life of keys, on each of the three databases, with a clock that the tests move.

mod stored;

use std::{sync::Arc, time::Duration};

use auth_client::{Algorithm, TokenRules};
use service_kit::{
    Clock, Entropy, Timestamp,
    db::Db,
    on_each_database,
    secret::SecretKey,
    testing::{ManualClock, TestDatabase},
};

use super::{
    KeyKeeper, KeyPolicy, Refused, SigningKeys,
    plan::{KEYS_MAX, PUBLISH_LEAD, RETIRED_SLACK, rotation_age, upkeep},
};
use crate::{
    error::Error,
    model::{ClientInfo, EventType, KeyState, Roles, Session, User, UserId},
    store::{MIGRATIONS, SigningKeyRow, Store},
    tokens::TokenIssuer,
};

const MINUTE: Duration = Duration::from_mins(1);
const DAY: Duration = Duration::from_hours(24);
const TOKEN_TTL: Duration = Duration::from_mins(15);
const POLICY: KeyPolicy =
    KeyPolicy { algorithm: Algorithm::EdDsa, rotation: DAY, token_ttl: TOKEN_TTL };
const SECRET: [u8; 32] = [7; 32];

/// A replica, but for its RPCs.
struct Replica {
    keeper: KeyKeeper,
    keys: Arc<SigningKeys>,
}

fn keeper(db: &Db, clock: Clock, policy: KeyPolicy) -> KeyKeeper {
    KeyKeeper {
        store: Store::new(db.clone()),
        secret: SecretKey::from_bytes(SECRET),
        clock,
        entropy: Entropy::system(),
        policy,
    }
}

fn rules() -> TokenRules {
    TokenRules { issuer: "pavilion".to_owned(), audience: "pavilion".to_owned() }
}

impl Replica {
    async fn start(db: &Db, clock: &ManualClock, policy: KeyPolicy) -> Self {
        let keeper = keeper(db, clock.clock(), policy);
        let keys = SigningKeys::start(keeper.clone(), rules()).await.expect("it starts");
        Self { keeper, keys: Arc::new(keys) }
    }

    async fn tend(&self) {
        self.keys.tend().await.expect("tended");
    }

    async fn rows(&self) -> Vec<SigningKeyRow> {
        self.keeper.list().await.expect("read")
    }

    /// Ids of the keys in a state, oldest first.
    async fn in_state(&self, state: KeyState) -> Vec<String> {
        let rows = self.rows().await;
        rows.into_iter().filter(|row| row.state == state).map(|row| row.kid).collect()
    }

    /// The one key in a state.
    async fn one(&self, state: KeyState) -> String {
        let keys = self.in_state(state).await;
        assert_eq!(keys.len(), 1, "exactly one key is {}: {keys:?}", state.as_str());
        keys.into_iter().next().expect("one")
    }

    /// A token, signed with the key that this replica takes for the active one.
    fn token(&self) -> String {
        let now = self.keeper.clock.now();
        let issuer = TokenIssuer::new(
            rules(),
            self.keeper.policy.token_ttl,
            &self.keeper.secret,
            self.keeper.clock.clone(),
            Entropy::system(),
        );
        let user = User {
            id: UserId(1),
            username: Some("ann".to_owned()),
            email: None,
            name: String::new(),
            roles: Roles::default(),
            disabled: false,
            locked_until: None,
            password_changes: 0,
            created_at: now,
            updated_at: now,
        };
        let session = Session {
            id: "session".to_owned(),
            user_id: user.id,
            counter: 0,
            created_at: now,
            last_used_at: now,
            idle_expires_at: now + DAY,
            expires_at: now + 30 * DAY,
            access_expires_at: now + 30 * DAY,
            client: ClientInfo::default(),
        };
        issuer.issue(&user, &session, &self.keys.active()).expect("issued").access_token
    }

    async fn accepts(&self, token: &str) -> bool {
        self.keys.verify(token, self.keeper.clock.now()).await.is_ok()
    }

    fn publishes(&self, kid: &str) -> bool {
        self.keys.ring().public().iter().any(|key| key.key_id == kid)
    }

    async fn events(&self) -> Vec<(EventType, String)> {
        let events = self.keeper.store.events_after(0, 1000).await.expect("read");
        events.into_iter().map(|event| (event.details.event_type, event.details.detail)).collect()
    }
}

async fn open(database: &TestDatabase) -> (Db, ManualClock) {
    (database.open(MIGRATIONS).await, ManualClock::default())
}

on_each_database! {
    async fn the_first_start_makes_a_key_that_signs_and_one_that_will(database) {
        let (db, clock) = open(&database).await;
        let replica = Replica::start(&db, &clock, POLICY).await;
        let (active, next) = (replica.one(KeyState::Active).await, replica.one(KeyState::Next).await);
        assert_eq!(replica.keys.active().key_id, active);
        assert!(replica.publishes(&active) && replica.publishes(&next));
        assert!(replica.accepts(&replica.token()).await);
        assert_eq!(replica.events().await, [], "nothing was rotated");
        let again = Replica::start(&db, &clock, POLICY).await;
        assert_eq!(again.rows().await, replica.rows().await, "a restart changes nothing");
    }

    async fn of_ten_first_starts_at_once_one_makes_the_keys(database) {
        let (db, clock) = open(&database).await;
        let starts = (0..10).map(|_| Replica::start(&db, &clock, POLICY));
        let replicas = futures_util::future::join_all(starts).await;
        let active = replicas[0].one(KeyState::Active).await;
        replicas[0].one(KeyState::Next).await;
        assert!(replicas.iter().all(|replica| replica.keys.active().key_id == active));
    }

    async fn a_key_is_published_before_it_signs(database) {
        let (db, clock) = open(&database).await;
        let replica = Replica::start(&db, &clock, POLICY).await;
        let (first, second) = (replica.one(KeyState::Active).await, replica.one(KeyState::Next).await);
        let early = replica.keeper.rotate(false).await.expect("an answer");
        assert_eq!(early, Err(Refused::TooEarly(PUBLISH_LEAD)));
        clock.advance(PUBLISH_LEAD);
        assert!(replica.publishes(&second));
        replica.keeper.rotate(false).await.expect("an answer").expect("rotated");
        assert_eq!(replica.one(KeyState::Active).await, second);
        assert_eq!(replica.one(KeyState::Retired).await, first);
        let third = replica.one(KeyState::Next).await;
        replica.tend().await;
        assert_eq!(replica.keys.active().key_id, second);
        assert!([&first, &second, &third].into_iter().all(|kid| replica.publishes(kid)));
        assert_eq!(replica.events().await, [(EventType::KeyRotated, second)]);
    }

    async fn a_rotation_by_age_happens_once_over_two_replicas(database) {
        let (db, clock) = open(&database).await;
        let (one, two) = tokio::join!(
            Replica::start(&db, &clock, POLICY),
            Replica::start(&db, &clock, POLICY)
        );
        let (first, second) = (one.one(KeyState::Active).await, one.one(KeyState::Next).await);
        clock.advance(DAY.saturating_sub(Duration::from_micros(1)));
        tokio::join!(one.tend(), two.tend());
        assert_eq!(one.one(KeyState::Active).await, first, "not a microsecond too early");
        clock.advance(Duration::from_micros(1));
        for _ in 0..3 {
            tokio::join!(one.tend(), two.tend());
        }
        assert_eq!(one.one(KeyState::Active).await, second);
        assert_eq!(one.one(KeyState::Retired).await, first);
        one.one(KeyState::Next).await;
        assert_eq!(one.keys.active().key_id, second);
        assert_eq!(two.keys.active().key_id, second);
        assert_eq!(one.keys.ring().version(), two.keys.ring().version());
        assert_eq!(one.events().await.len(), 1);
    }

    async fn a_retired_key_is_trusted_until_its_last_token_has_expired(database) {
        let (db, clock) = open(&database).await;
        let replica = Replica::start(&db, &clock, POLICY).await;
        let first = replica.one(KeyState::Active).await;
        clock.advance(DAY.saturating_sub(MINUTE));
        let token = replica.token();
        clock.advance(MINUTE);
        replica.tend().await;
        assert_eq!(replica.one(KeyState::Retired).await, first);
        clock.advance(TOKEN_TTL.saturating_sub(MINUTE + Duration::from_secs(1)));
        replica.tend().await;
        assert!(replica.accepts(&token).await, "good until its last second");
        clock.advance(MINUTE + RETIRED_SLACK);
        replica.tend().await;
        assert!(replica.publishes(&first), "one second left");
        clock.advance(Duration::from_secs(1));
        replica.tend().await;
        assert!(!replica.publishes(&first));
        assert_eq!(replica.in_state(KeyState::Retired).await, [""; 0]);
    }

    async fn tokens_that_lived_longer_under_other_settings_keep_their_key(database) {
        let (db, clock) = open(&database).await;
        let _short = Replica::start(&db, &clock, POLICY).await;
        let long_lived = KeyPolicy { token_ttl: 2 * DAY, ..POLICY };
        let token = Replica::start(&db, &clock, long_lived).await.token();
        let short = Replica::start(&db, &clock, POLICY).await;
        clock.advance(DAY);
        short.tend().await;
        short.one(KeyState::Retired).await;
        clock.advance(DAY.saturating_sub(Duration::from_secs(1)));
        short.tend().await;
        assert!(short.accepts(&token).await);
        clock.advance(DAY + RETIRED_SLACK + Duration::from_secs(1));
        short.tend().await;
        assert_eq!(short.in_state(KeyState::Retired).await.len(), 1, "a later one");
    }

    async fn a_token_of_another_replica_is_good_before_this_one_has_looked(database) {
        let (db, clock) = open(&database).await;
        let one = Replica::start(&db, &clock, POLICY).await;
        let two = Replica::start(&db, &clock, POLICY).await;
        for _ in 0..3 {
            one.keeper.rotate(true).await.expect("an answer").expect("rotated");
            one.keys.refresh().await.expect("looked");
        }
        let token = one.token();
        assert!(!two.publishes(&one.keys.active().key_id));
        assert!(two.accepts(&token).await);
        let unknown = token.replace(token.split('.').next().expect("a header"), "eyJ0eXAiOiJhdCtqd3QiLCJhbGciOiJFZERTQSIsImtpZCI6Im5vYm9keSJ9");
        let version = two.keys.ring().version();
        assert!(!two.accepts(&unknown).await);
        assert_eq!(two.keys.ring().version(), version);
    }

    async fn while_the_database_is_away_a_crowd_looks_once(database) {
        let (db, clock) = open(&database).await;
        let replica = Replica::start(&db, &clock, POLICY).await;
        db.close().await;
        let looks = futures_util::future::join_all((0..1000).map(|_| replica.keys.refresh())).await;
        // One for those who came before it began; the rest share what it found.
        let own = looks.iter().filter(|look| !matches!(look, Err(Error::KeysUnknown))).count();
        assert!(looks.iter().all(Result::is_err) && own <= 2, "{own} of {} looked", looks.len());
    }

    async fn another_algorithm_signs_once_it_is_known(database) {
        let (db, clock) = open(&database).await;
        let before = Replica::start(&db, &clock, POLICY).await;
        let unwanted = before.one(KeyState::Next).await;
        let token = before.token();
        clock.advance(MINUTE);
        let policy = KeyPolicy { algorithm: Algorithm::Es256, ..POLICY };
        let after = Replica::start(&db, &clock, policy).await;
        assert_eq!(after.keys.active().algorithm, Algorithm::EdDsa);
        let wanted = after.one(KeyState::Next).await;
        assert_ne!(wanted, unwanted);
        // The replica that still runs with the old setting leaves that alone.
        before.tend().await;
        assert_eq!(after.one(KeyState::Next).await, wanted);
        clock.advance(PUBLISH_LEAD.saturating_sub(Duration::from_micros(1)));
        after.tend().await;
        assert_eq!(after.keys.active().algorithm, Algorithm::EdDsa);
        clock.advance(Duration::from_micros(1));
        before.tend().await;
        assert_eq!(before.keys.active().algorithm, Algorithm::EdDsa, "not its wish");
        after.tend().await;
        assert_eq!((after.keys.active().key_id.clone(), after.keys.active().algorithm), (wanted, Algorithm::Es256));
        clock.advance(DAY);
        before.tend().await;
        assert!(before.accepts(&after.token()).await);
        assert!(!after.accepts(&token).await, "expired by now");
    }

    async fn another_algorithm_signs_at_once_where_that_is_asked_for(database) {
        let (db, clock) = open(&database).await;
        let before = Replica::start(&db, &clock, POLICY).await;
        let keeper = keeper(&db, clock.clock(), KeyPolicy { algorithm: Algorithm::Rs256, ..POLICY });
        keeper.rotate(true).await.expect("an answer").expect("rotated");
        let rows = before.rows().await;
        let states: Vec<_> = rows.iter().map(|row| (row.state, row.algorithm)).collect();
        assert!(states.contains(&(KeyState::Active, Algorithm::Rs256)), "{states:?}");
        assert!(states.contains(&(KeyState::Next, Algorithm::Rs256)), "{states:?}");
        assert!(states.contains(&(KeyState::Retired, Algorithm::EdDsa)), "{states:?}");
        assert_eq!(states.len(), 3, "the next key that is not wanted is gone");
    }

    async fn a_revoked_key_is_gone_at_once_and_the_next_one_signs(database) {
        let (db, clock) = open(&database).await;
        let replica = Replica::start(&db, &clock, POLICY).await;
        let (first, second) = (replica.one(KeyState::Active).await, replica.one(KeyState::Next).await);
        let token = replica.token();
        assert!(replica.accepts(&token).await);
        replica.keeper.revoke(&first).await.expect("an answer").expect("revoked");
        replica.keys.refresh().await.expect("looked");
        assert!(!replica.accepts(&token).await);
        assert!(!replica.publishes(&first));
        assert_eq!(replica.keys.active().key_id, second);
        assert!(replica.accepts(&replica.token()).await);
        let third = replica.one(KeyState::Next).await;
        let told = [(EventType::KeyRevoked, first.clone()), (EventType::KeyRotated, second.clone())];
        assert_eq!(replica.events().await, told);
        let again = replica.keeper.revoke(&first).await.expect("an answer");
        assert_eq!(again, Err(Refused::Unknown));

        replica.keeper.revoke(&third).await.expect("an answer").expect("revoked");
        assert_eq!(replica.one(KeyState::Active).await, second, "a next key signs nothing yet");
        assert_ne!(replica.one(KeyState::Next).await, third);
    }

    async fn of_twenty_rotations_at_once_each_leaves_one_active_and_one_next_key(database) {
        let (db, clock) = open(&database).await;
        let (one, two) = (
            Replica::start(&db, &clock, POLICY).await,
            Replica::start(&db, &clock, POLICY).await,
        );
        let rotations = (0..20).map(|number| {
            let keeper = if number % 2 == 0 { &one.keeper } else { &two.keeper };
            keeper.rotate(true)
        });
        let outcomes = futures_util::future::join_all(rotations).await;
        let outcomes: Vec<_> = outcomes.into_iter().map(|one| one.expect("an answer")).collect();
        let rotated = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        assert!(rotated >= 1);
        let lost = outcomes.iter().filter(|outcome| **outcome == Err(Refused::Raced)).count();
        assert_eq!(rotated + lost, 20);
        one.one(KeyState::Active).await;
        one.one(KeyState::Next).await;
        assert_eq!(one.in_state(KeyState::Retired).await.len(), rotated);
        assert_eq!(one.events().await.len(), rotated);
    }

    async fn keys_do_not_pile_up(database) {
        let (db, clock) = open(&database).await;
        let replica = Replica::start(&db, &clock, POLICY).await;
        for _ in 2..KEYS_MAX {
            replica.keeper.rotate(true).await.expect("an answer").expect("rotated");
        }
        let refused = replica.keeper.rotate(true).await.expect("an answer");
        assert_eq!(refused, Err(Refused::TooMany));
        assert_eq!(replica.rows().await.len(), KEYS_MAX);
        clock.advance(TOKEN_TTL + RETIRED_SLACK);
        replica.tend().await;
        assert_eq!(replica.rows().await.len(), 2);
    }
}

#[test]
fn a_rotation_age_is_at_least_an_hour() {
    assert_eq!(rotation_age("90d"), Ok(90 * DAY));
    for bad in ["59m", "0", "soon", ""] {
        assert!(rotation_age(bad).is_err(), "{bad}");
    }
}

#[test]
fn plans_depend_on_nothing_but_rows_and_time() {
    let plan = upkeep(&[], Timestamp::from_seconds(0), &POLICY);
    assert_eq!(plan.make, [KeyState::Active, KeyState::Next]);
    assert!(plan.delete.is_empty() && plan.retire.is_none() && plan.activate.is_none());
}
