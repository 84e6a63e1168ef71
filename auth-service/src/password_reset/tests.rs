//! What the rules promise, on each of the three databases. Codes are drawn in order from 100000.

use std::sync::atomic::{AtomicU32, Ordering};

use service_kit::{
    on_each_database,
    secret::SecretKey,
    sql,
    testing::{ManualClock, TestDatabase},
};

use super::*;
use crate::{
    lockout,
    model::{EventType, Name, Role, Roles, Subject, UserId},
    passwords,
    store::{MIGRATIONS, Maker, NewUserRow},
};

const ANN: &str = "ann@example.com";

struct Harness {
    resets: PasswordResets,
    clock: ManualClock,
}

impl Harness {
    /// With Ann's account.
    async fn start(database: &TestDatabase) -> Self {
        let clock = ManualClock::default();
        let harness = Self::restart(database, &clock).await;
        harness.register(ANN).await;
        harness
    }

    async fn restart(database: &TestDatabase, clock: &ManualClock) -> Self {
        let db = database.open(MIGRATIONS).await;
        let secret = SecretKey::from_bytes([7; 32]);
        let codes = AtomicU32::new(0);
        let entropy = Entropy::from_fn(move |bytes| match bytes.len() {
            4 => bytes.copy_from_slice(&codes.fetch_add(1, Ordering::SeqCst).to_be_bytes()),
            _ => bytes.copy_from_slice(&Entropy::system().bytes::<64>()[..bytes.len()]),
        });
        let cheap = passwords::Settings {
            argon2_memory_kib: 8,
            argon2_iterations: 1,
            argon2_parallelism: 1,
        };
        let settings = Settings {
            otp_ttl: Duration::from_mins(10),
            otp_max_attempts: 5,
            reset_requests_max: 5,
        };
        let store = Store::new(db.clone());
        let lockout = lockout::Settings {
            lockout_threshold: 5,
            lockout_duration: Duration::from_mins(15),
            address_failures_max: 100,
        };
        let resets = PasswordResets {
            lockout: Lockout::new(
                &lockout,
                store.clone(),
                &secret,
                clock.clock(),
                Entropy::system(),
            ),
            store,
            passwords: Passwords::start(&cheap, &entropy).expect("started"),
            mails: MailQueue::new(db, secret.clone(), clock.clock(), entropy.clone()),
            settings,
            keys: Arc::new(Keys::new(&secret)),
            clock: clock.clock(),
            entropy,
        };
        Self { resets, clock: clock.clone() }
    }

    async fn register(&self, email: &str) -> User {
        let row = NewUserRow {
            username: None,
            email: Some(&address(email)),
            name: &Name::default(),
            password_hash: "$argon2id$...",
            maker: Maker::Owner,
            roles: Roles::from_iter([Role::User]),
            created_at: self.clock.clock().now(),
            client_address: "",
        };
        self.resets.store.insert_user(&row, None).await.expect("stored")
    }

    /// Ann, as she is stored.
    async fn ann(&self) -> User {
        self.resets.store.user(UserId(1)).await.expect("read").expect("there")
    }

    async fn ask(&self, email: &str) -> Result<(), Error> {
        self.ask_from(email, "").await
    }

    /// From a device that shows `device_token`.
    async fn ask_from(&self, email: &str, device_token: &str) -> Result<(), Error> {
        self.resets.request(&address(email), device_token, &client("192.0.2.1")).await
    }

    /// Does what the task does each second.
    async fn work(&self) {
        self.resets.work(&mut Timestamp::default()).await.expect("worked");
    }

    async fn ask_and_work(&self, email: &str) {
        self.ask(email).await.expect("taken");
        self.work().await;
    }

    async fn reset(&self, email: &str, otp: &str) -> Result<(), Error> {
        self.reset_from("192.0.2.1", email, otp).await
    }

    async fn reset_from(&self, from: &str, email: &str, otp: &str) -> Result<(), Error> {
        let password = Password::parse("new_password", "a new password").expect("a password");
        let otp = Otp::parse(otp).expect("a code");
        self.resets.reset(&address(email), &otp, password, &client(from)).await.map(drop)
    }

    /// The types of all events, and to whom they happened.
    async fn events(&self) -> Vec<(EventType, Option<UserId>)> {
        let events = self.resets.store.events_after(0, 100).await.expect("read");
        events.iter().map(|one| (one.details.event_type, one.details.user_id)).collect()
    }
}

fn address(text: &str) -> Email {
    Email::parse(text).expect("an address")
}

fn client(address: &str) -> ClientInfo {
    ClientInfo { address: address.to_owned(), user_agent: String::new() }
}

fn is_otp_invalid(result: &Result<(), Error>) -> bool {
    matches!(result, Err(Error::OtpInvalid))
}

fn wait(result: &Result<(), Error>) -> Option<Duration> {
    match result {
        Ok(()) => None,
        Err(Error::TooManyRequests(wait)) => Some(*wait),
        Err(error) => panic!("{error}"),
    }
}

on_each_database! {
    async fn no_more_requests_wait_than_there_is_room_for(database) {
        let harness = Harness::start(&database).await;
        let ask = async |email: &str| {
            harness.resets.request_behind(2, &address(email), "", &client("192.0.2.1")).await
        };
        ask(ANN).await.expect("taken");
        ask("nobody@example.com").await.expect("taken");
        for email in [ANN, "another@example.com"] {
            assert!(matches!(ask(email).await, Err(Error::TooManyWaiting)), "{email}");
        }
        harness.work().await;
        ask(ANN).await.expect("taken");
    }

    async fn a_code_works_once_and_leaves_events_without_it(database) {
        let harness = Harness::start(&database).await;
        harness.ask_and_work("Ann@Example.COM").await;
        harness.reset(ANN, " 100000\n").await.expect("reset");
        assert!(is_otp_invalid(&harness.reset(ANN, "100000").await), "used");
        let ann = Some(UserId(1));
        assert_eq!(
            harness.events().await,
            [
                (EventType::Registered, ann),
                (EventType::PasswordResetRequested, ann),
                (EventType::PasswordReset, ann),
            ]
        );
        let events = harness.resets.store.events_after(1, 9).await.expect("read");
        for event in events {
            assert_eq!(event.details.client_address, "192.0.2.1");
            let text = format!("{:?}", event.details);
            assert!(!text.contains("100000") && !text.contains("ann"), "{text}");
        }
    }

    async fn after_five_wrong_guesses_the_right_one_is_refused(database) {
        let harness = Harness::start(&database).await;
        harness.ask_and_work(ANN).await;
        for guess in ["999999", "0", "not a code", "100001"] {
            assert!(is_otp_invalid(&harness.reset(ANN, guess).await), "{guess}");
        }
        // Nobody can use up the guesses at another's code but by naming the address.
        harness.register("bob@example.com").await;
        assert!(is_otp_invalid(&harness.reset("bob@example.com", "100000").await));
        assert!(is_otp_invalid(&harness.reset(ANN, "999998").await), "the fifth");
        assert!(is_otp_invalid(&harness.reset(ANN, "100000").await), "right, but the sixth");
        harness.ask_and_work(ANN).await;
        harness.reset(ANN, "100001").await.expect("a new code, and new guesses");
    }

    async fn of_fifty_guesses_at_once_five_of_the_asker_and_five_of_others_are_compared(database) {
        let harness = Harness::start(&database).await;
        harness.ask_and_work(ANN).await;
        let keys = &harness.resets.keys;
        let guess = |client_key| NewGuess {
            account_key: keys.subject("account", ANN),
            client_key,
            attempts_max: 5,
            throttle: None,
            now: harness.clock.clock().now(),
        };
        let asker = guess(keys.client(ASKER, &client("192.0.2.1")));
        let stranger = guess(keys.client(ASKER, &client("192.0.2.2")));
        // From an address that is not known.
        let nobody = guess(None);
        let guesses = (0..50).map(|number| {
            let one = [&asker, &stranger, &nobody][number % 3];
            harness.resets.store.count_reset_guess(one)
        });
        let guesses = futures_util::future::join_all(guesses).await;
        let (mut of_asker, mut of_others) = (0, 0);
        for (number, guess) in guesses.into_iter().enumerate() {
            if matches!(guess.expect("counted"), Guess::Counted(Some(_))) {
                *(if number % 3 == 0 { &mut of_asker } else { &mut of_others }) += 1;
            }
        }
        assert_eq!((of_asker, of_others), (5, 5));
    }

    async fn strangers_cannot_use_up_the_guesses_of_whoever_asked(database) {
        let harness = Harness::start(&database).await;
        harness.ask_and_work(ANN).await;
        for number in 0..9 {
            let stranger = format!("203.0.113.{number}");
            assert!(is_otp_invalid(&harness.reset_from(&stranger, ANN, "999999").await));
        }
        let late = harness.reset_from("203.0.113.9", ANN, "100000").await;
        assert!(is_otp_invalid(&late), "right, but five strangers were before");
        for _ in 0..4 {
            assert!(is_otp_invalid(&harness.reset(ANN, "999999").await));
        }
        harness.reset(ANN, "100000").await.expect("the fifth of the asker");
    }

    async fn an_asker_on_another_network_is_one_of_all_others(database) {
        let harness = Harness::start(&database).await;
        harness.ask_and_work(ANN).await;
        harness.reset_from("203.0.113.1", ANN, "100000").await.expect("a code is not bound to it");
        harness.ask_and_work(ANN).await;
        for _ in 0..5 {
            assert!(is_otp_invalid(&harness.reset(ANN, "999999").await));
        }
        assert!(is_otp_invalid(&harness.reset(ANN, "100001").await), "the asker's are used up");
        harness.reset_from("203.0.113.1", ANN, "100001").await.expect("those of others are not");
    }

    async fn of_many_with_the_right_code_at_once_one_resets(database) {
        let harness = Harness::start(&database).await;
        harness.ask_and_work(ANN).await;
        let resets = (0..5).map(|_| harness.reset(ANN, "100000"));
        let results = futures_util::future::join_all(resets).await;
        assert_eq!(results.iter().filter(|one| one.is_ok()).count(), 1);
        assert_eq!(results.iter().filter(|one| is_otp_invalid(one)).count(), 4);
    }

    async fn a_reset_unlocks_every_name_of_the_account_and_no_other(database) {
        let harness = Harness::start(&database).await;
        let db = database.open(MIGRATIONS).await;
        let lockout = &harness.resets.lockout;
        let (client, now) = (client("192.0.2.1"), harness.clock.clock().now());
        let mut subjects = Vec::new();
        let ann = harness.ann().await;
        for name in [ANN, "ann", "old name of ann", "bob"] {
            let identifier = Identifier::parse(name).expect("an identifier");
            // Some were counted before the account had the name, some when it had another.
            let user = (name == "old name of ann").then_some(&ann);
            let subject = lockout.subject(&identifier, user, "");
            for _ in 0..5 {
                lockout.attempt(subject.clone(), &client).await.expect("let in").failed().await;
            }
            subjects.push(subject);
        }
        let rename = sql!("UPDATE users SET username = 'Ann', username_key = 'ann'");
        db.write(rename).execute().await.expect("renamed");
        harness.ask_and_work(ANN).await;
        harness.reset(ANN, "100000").await.expect("reset");
        let locks = harness.resets.store.locks(&subjects, now).await.expect("read");
        assert_eq!(locks.into_keys().collect::<Vec<_>>(), [subjects[3].key()], "bob's alone");
        let unlocked = (EventType::AccountUnlocked, Some(UserId(1)));
        assert_eq!(harness.events().await.last(), Some(&unlocked));
    }

    async fn a_reset_makes_strangers_of_all_devices(database) {
        let harness = Harness::start(&database).await;
        let lockout = &harness.resets.lockout;
        let identifier = Identifier::parse(ANN).expect("an identifier");
        let before = harness.ann().await;
        let token = lockout.device_token(&before, "");
        let subject = lockout.subject(&identifier, Some(&before), &token);
        assert!(matches!(subject, Subject::Device { .. }), "{subject:?}");
        harness.ask_and_work(ANN).await;
        harness.reset(ANN, "100000").await.expect("reset");
        let after = harness.ann().await;
        let subject = lockout.subject(&identifier, Some(&after), &token);
        assert!(matches!(subject, Subject::Identifier { .. }), "{subject:?}");
    }

    async fn a_new_code_replaces_the_old(database) {
        let harness = Harness::start(&database).await;
        harness.ask_and_work(ANN).await;
        harness.ask_and_work(ANN).await;
        assert!(is_otp_invalid(&harness.reset(ANN, "100000").await));
        harness.reset(ANN, "100001").await.expect("the newer one");
    }

    async fn a_code_expires_but_survives_a_restart(database) {
        let harness = Harness::start(&database).await;
        harness.ask_and_work(ANN).await;
        harness.clock.advance(Duration::from_mins(10) - Duration::from_micros(1));
        let harness = Harness::restart(&database, &harness.clock).await;
        harness.reset(ANN, "100000").await.expect("its last moment");

        harness.ask_and_work(ANN).await;
        harness.clock.advance(Duration::from_mins(10));
        assert!(is_otp_invalid(&harness.reset(ANN, "100000").await));
    }

    async fn nobody_gets_a_code_that_is_sent_to_nobody(database) {
        let harness = Harness::start(&database).await;
        harness.ask_and_work("nobody@example.com").await;
        assert!(is_otp_invalid(&harness.reset("nobody@example.com", "100000").await));
        // An account of that address, made later, is none that the code was sent to.
        harness.register("nobody@example.com").await;
        assert!(is_otp_invalid(&harness.reset("nobody@example.com", "100000").await));
        let events = harness.events().await;
        assert!(events.iter().all(|(event, _)| *event == EventType::Registered), "{events:?}");
        assert_eq!(harness.resets.store.reset_requests(9).await.expect("read"), []);
    }

    async fn a_barred_account_gets_no_code_and_an_old_one_helps_nobody(database) {
        let harness = Harness::start(&database).await;
        let db = database.open(MIGRATIONS).await;
        let disable = sql!("UPDATE users SET disabled = TRUE");
        harness.ask_and_work(ANN).await;
        db.write(disable).execute().await.expect("barred");
        assert!(is_otp_invalid(&harness.reset(ANN, "100000").await), "barred since");
        harness.ask_and_work(ANN).await;
        assert!(is_otp_invalid(&harness.reset(ANN, "100001").await), "barred before");
        let asked = (EventType::PasswordResetRequested, Some(UserId(1)));
        assert_eq!(harness.events().await.iter().filter(|one| **one == asked).count(), 1);
    }

    async fn a_code_is_worthless_when_the_account_has_another_address(database) {
        let harness = Harness::start(&database).await;
        let db = database.open(MIGRATIONS).await;
        harness.ask_and_work(ANN).await;
        let change = sql!("UPDATE users SET email_key = 'new@example.com'");
        db.write(change).execute().await.expect("changed");
        for email in [ANN, "new@example.com"] {
            assert!(is_otp_invalid(&harness.reset(email, "100000").await), "{email}");
        }
    }

    async fn one_address_gets_five_codes_an_hour_whether_it_is_known_or_not(database) {
        let harness = Harness::start(&database).await;
        for email in [ANN, "nobody@example.com"] {
            for _ in 0..5 {
                assert_eq!(wait(&harness.ask(email).await), None);
                harness.clock.advance(Duration::from_mins(1));
            }
            assert_eq!(wait(&harness.ask(email).await), Some(Duration::from_mins(55)));
        }
        harness.clock.advance(Duration::from_mins(49));
        assert_eq!(wait(&harness.ask(ANN).await), Some(Duration::from_mins(1)));
        harness.clock.advance(Duration::from_mins(1));
        assert_eq!(wait(&harness.ask(ANN).await), None);
    }

    async fn strangers_cannot_use_up_the_requests_of_known_devices(database) {
        let harness = Harness::start(&database).await;
        let ann = harness.ann().await;
        let devices = [0; 3].map(|_| harness.resets.lockout.device_token(&ann, ""));
        while wait(&harness.ask(ANN).await).is_none() {}
        for number in 0..5 {
            assert_eq!(wait(&harness.ask_from(ANN, &devices[number % 3]).await), None);
        }
        for device in &devices {
            let wait = wait(&harness.ask_from(ANN, device).await);
            assert_eq!(wait, Some(Duration::from_hours(1)), "no more, however many devices");
        }
    }

    async fn a_device_of_another_account_or_password_asks_as_a_stranger(database) {
        let harness = Harness::start(&database).await;
        let bob = harness.register("bob@example.com").await;
        let ann = harness.ann().await;
        let lockout = &harness.resets.lockout;
        let outdated = User { password_changes: ann.password_changes + 1, ..ann };
        let gone = User { id: UserId(9), ..bob.clone() };
        for email in [ANN, "nobody@example.com"] {
            while wait(&harness.ask(email).await).is_none() {}
            for user in [&outdated, &gone, &bob] {
                let token = lockout.device_token(user, "");
                assert!(wait(&harness.ask_from(email, &token).await).is_some(), "{user:?}");
            }
        }
    }

    async fn parallel_requests_are_all_counted(database) {
        let harness = Harness::start(&database).await;
        let asked = (0..20).map(|_| harness.ask(ANN));
        let asked = futures_util::future::join_all(asked).await;
        assert_eq!(asked.iter().filter(|one| wait(one).is_none()).count(), 5);
    }

    async fn a_client_that_guesses_at_many_accounts_is_stopped(database) {
        let harness = Harness::start(&database).await;
        for number in 0..100 {
            let email = format!("user{number}@example.com");
            assert!(is_otp_invalid(&harness.reset(&email, "123456").await));
        }
        let refused = harness.reset("another@example.com", "123456").await;
        assert_eq!(wait(&refused), Some(Duration::from_mins(10)));
        harness.clock.advance(Duration::from_mins(10));
        assert!(is_otp_invalid(&harness.reset(ANN, "123456").await));
    }

    async fn what_is_over_is_deleted(database) {
        let harness = Harness::start(&database).await;
        harness.ask_and_work(ANN).await;
        harness.ask("nobody@example.com").await.expect("taken, and left");
        let sweep = async || {
            let now = harness.clock.clock().now();
            let before = now - Duration::from_mins(10);
            harness.resets.store.delete_expired_resets(now, before, 9).await.expect("deleted")
        };
        assert_eq!(sweep().await, 0);
        harness.clock.advance(Duration::from_mins(10) + Duration::from_micros(1));
        assert_eq!(sweep().await, 2, "the code and the request");
        harness.clock.advance(Duration::from_hours(1));
        assert_eq!(sweep().await, 3, "the counts of two addresses and a client");
        assert_eq!(sweep().await, 0);
    }
}

#[test]
fn a_mail_tells_the_code_and_how_long_it_lives() {
    let text = mail_text(&123_456.into(), Duration::from_mins(10));
    assert_eq!(text.matches("123456").count(), 1);
    assert!(text.contains("within 10 min") && text.is_ascii());
    assert!(text.lines().all(|line| line.len() < 76), "{text}");
    assert!(mail_text(&123_456.into(), Duration::from_secs(90)).contains("within 90 s"));
}

#[test]
fn refuses_codes_that_live_for_more_than_a_day() {
    assert_eq!(otp_ttl("24h"), Ok(Duration::from_hours(24)));
    assert!(otp_ttl("25h").is_err() && otp_ttl("0s").is_err());
}
