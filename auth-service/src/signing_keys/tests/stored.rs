//! What is stored of the keys: nothing in clear, and what comes of damage and of older rows.

use auth_client::Algorithm;
use service_kit::{on_each_database, secret::SecretKey, sql, testing::ManualClock};

use super::{POLICY, Replica, SECRET, TOKEN_TTL, keeper, open, rules};
use crate::{
    model::KeyState,
    signing_keys::{KeyPolicy, KeyRing, PURPOSE, SigningKeys, pair::KeyPair},
    store::{MIGRATIONS, Store},
};

on_each_database! {
    async fn no_private_key_is_stored_in_clear(database) {
        let (db, clock) = open(&database).await;
        for algorithm in [Algorithm::EdDsa, Algorithm::Es256, Algorithm::Rs256] {
            let replica = Replica::start(&db, &clock, KeyPolicy { algorithm, ..POLICY }).await;
            replica.keeper.rotate(true).await.expect("an answer").expect("rotated");
        }
        let rows = Store::new(db.clone()).signing_keys().await.expect("read");
        let mut stored: Vec<Vec<u8>> = rows.iter().map(|row| row.private_key.clone()).collect();
        db.close().await;
        if database.kind == DatabaseKind::Sqlite {
            let files = std::fs::read_dir(database.folder()).expect("a folder");
            stored.extend(files.map(|file| {
                std::fs::read(file.expect("a file").path()).expect("its bytes")
            }));
        }
        assert!(rows.len() >= 5);
        for row in &rows {
            let secret = SecretKey::from_bytes(SECRET);
            let clear = secret.open(PURPOSE, &row.kid, &row.private_key).expect("opened");
            // Any eight bytes of what is secret would give it away; the head is the same for all.
            for part in clear.get(32..).expect("longer than its head").windows(8).step_by(3) {
                for bytes in &stored {
                    assert!(!bytes.windows(8).any(|window| window == part), "{}", row.kid);
                }
            }
        }
    }

    async fn a_damaged_key_is_named_and_can_be_taken_away(database) {
        let (db, clock) = open(&database).await;
        let replica = Replica::start(&db, &clock, POLICY).await;
        let (active, next) = (replica.one(KeyState::Active).await, replica.one(KeyState::Next).await);
        let damage = sql!("UPDATE signing_keys SET private_key = ? WHERE kid = ?");
        let damage = db.write(damage).bind(&[0_u8; 60][..]).bind(active.clone());
        assert_eq!(damage.execute().await.expect("written"), 1);
        let keeper = keeper(&db, clock.clock(), POLICY);
        let error = SigningKeys::start(keeper.clone(), rules()).await.expect_err("refused");
        let expected = format!("signing key {active} is damaged");
        assert!(error.to_string().starts_with(&expected), "{error}");
        keeper.require_fit().await.expect("the secret key is the right one");
        keeper.revoke(&active).await.expect("an answer").expect("revoked");
        let replica = Replica::start(&db, &clock, POLICY).await;
        assert_eq!(replica.one(KeyState::Active).await, next);
    }

    async fn a_key_of_another_algorithm_than_it_says_is_damaged(database) {
        let (db, clock) = open(&database).await;
        let replica = Replica::start(&db, &clock, POLICY).await;
        let lie = sql!("UPDATE signing_keys SET algorithm = 'ES256' WHERE slot = 'active'");
        assert_eq!(db.write(lie).execute().await.expect("written"), 1);
        let rows = replica.rows().await;
        let ring = KeyRing::open(1, rows, &replica.keeper.secret, &rules());
        assert!(ring.expect_err("refused").to_string().contains("is damaged"));
    }

    async fn keys_of_before_there_were_states_live_on(database) {
        let states = MIGRATIONS.iter().position(|file| file.name == "0005_signing_key_states");
        let (before, _) = MIGRATIONS.split_at(states.expect("a migration"));
        let old = database.open(before).await;
        let secret = SecretKey::from_bytes(SECRET);
        let pkcs8 = KeyPair::generate(Algorithm::EdDsa).expect("a key");
        let insert = sql!(
            "INSERT INTO signing_keys (kid, algorithm, slot, private_key, created_at) \
             VALUES ('old', 'EdDSA', 'active', ?, ?)"
        );
        let clock = ManualClock::default();
        let made = clock.clock().now();
        let sealed = secret.seal(PURPOSE, "old", &pkcs8).expect("sealed");
        let insert = old.write(insert).bind(sealed).bind(made.micros());
        insert.execute().await.expect("written");
        old.close().await;
        let db = database.open(MIGRATIONS).await;
        let replica = Replica::start(&db, &clock, POLICY).await;
        assert_eq!(replica.keys.active().key_id, "old");
        let row = replica.rows().await.into_iter().find(|row| row.kid == "old").expect("a row");
        assert_eq!((row.active_since, row.token_ttl), (Some(made), TOKEN_TTL));
        replica.one(KeyState::Next).await;
    }
}
