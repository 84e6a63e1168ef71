//! What the counts promise, on each of the three databases.

use std::{mem, time::Duration};

use service_kit::{
    Entropy, on_each_database,
    secret::SecretKey,
    testing::{ManualClock, TestDatabase},
};

use super::*;
use crate::{
    model::{AddressFailures, Count, Roles},
    store::MIGRATIONS,
};

const MINUTE: Duration = Duration::from_mins(1);

/// A replica on a database, with a clock of its own.
async fn replica(database: &TestDatabase, address_failures_max: u32) -> (Lockout, ManualClock) {
    let store = Store::new(database.open(MIGRATIONS).await);
    let clock = ManualClock::default();
    let settings = Settings {
        lockout_threshold: 5,
        lockout_duration: Duration::from_mins(15),
        address_failures_max,
    };
    let secret = SecretKey::from_bytes([7; 32]);
    (Lockout::new(&settings, store, &secret, clock.clock(), Entropy::system()), clock)
}

fn client(address: &str) -> ClientInfo {
    ClientInfo { address: address.to_owned(), user_agent: String::new() }
}

/// Strangers who type the name of user 1.
fn ann() -> Subject {
    Subject::Identifier { tag: "ann".to_owned(), user_id: Some(UserId(1)) }
}

fn unknown(number: usize) -> Subject {
    Subject::Identifier { tag: format!("number {number}"), user_id: None }
}

fn user(id: i64, username: Option<&str>, email: Option<&str>) -> User {
    User {
        id: UserId(id),
        username: username.map(str::to_owned),
        email: email.map(str::to_owned),
        name: String::new(),
        roles: Roles::default(),
        disabled: false,
        locked_until: None,
        password_changes: 0,
        created_at: Timestamp::default(),
        updated_at: Timestamp::default(),
    }
}

async fn attempt(lockout: &Lockout, subject: &Subject) -> Attempt {
    lockout.attempt(subject.clone(), &client("192.0.2.1")).await.expect("let in")
}

async fn fail(lockout: &Lockout, subject: &Subject, times: usize) {
    for _ in 0..times {
        let answer = attempt(lockout, subject).await.failed().await;
        assert!(matches!(answer, Error::InvalidCredentials), "{answer:?}");
    }
}

async fn failures(lockout: &Lockout, subject: &Subject) -> i64 {
    lockout.store.count(subject).await.expect("read").failures
}

async fn is_locked(lockout: &Lockout, subject: &Subject) -> bool {
    match lockout.attempt(subject.clone(), &client("192.0.2.1")).await {
        Ok(attempt) => {
            attempt.abandoned().await.expect("given back");
            false
        }
        Err(Error::AccountLocked(_)) => true,
        Err(error) => panic!("{error:?}"),
    }
}

async fn event_types(lockout: &Lockout) -> Vec<EventType> {
    let events = lockout.store.events_after(0, 1000).await.expect("read");
    events.into_iter().map(|event| event.details.event_type).collect()
}

on_each_database! {
    async fn nothing_is_remembered_after_a_success_or_an_attempt_given_back(database) {
        let (lockout, _) = replica(&database, 0).await;
        attempt(&lockout, &ann()).await.abandoned().await.expect("given back");
        assert_eq!(lockout.store.count(&ann()).await.expect("read"), Count::default());
        fail(&lockout, &ann(), 4).await;
        attempt(&lockout, &ann()).await.abandoned().await.expect("given back");
        assert_eq!(failures(&lockout, &ann()).await, 4);
        attempt(&lockout, &ann()).await.succeeded().await.expect("in time");
        assert_eq!(lockout.store.count(&ann()).await.expect("read"), Count::default());
        fail(&lockout, &ann(), 5).await;
        assert!(is_locked(&lockout, &ann()).await);
    }

    async fn of_guesses_at_two_replicas_at_once_no_more_are_let_in_than_the_threshold(database) {
        let replicas = [replica(&database, 0).await.0, replica(&database, 0).await.0];
        for subject in [&ann(), &unknown(1)] {
            let guesses = (0..40).map(|number| {
                let (lockout, subject) = (replicas[number % 2].clone(), subject.clone());
                tokio::spawn(async move {
                    match lockout.attempt(subject, &client("")).await {
                        Ok(attempt) => {
                            // As long as a hash takes, others come.
                            tokio::task::yield_now().await;
                            attempt.failed().await
                        }
                        Err(error) => error,
                    }
                })
            });
            let answers = futures_util::future::join_all(guesses).await;
            let (wrong, locked): (Vec<_>, Vec<_>) = answers
                .into_iter()
                .map(|answer| answer.expect("no panic"))
                .partition(|answer| matches!(answer, Error::InvalidCredentials));
            assert_eq!(wrong.len(), 5);
            assert!(locked.iter().all(|error| matches!(error, Error::AccountLocked(_))));
        }
    }

    async fn those_beyond_the_threshold_wait_for_how_the_others_end(database) {
        let (lockout, _) = replica(&database, 0).await;
        let mut in_flight = Vec::new();
        for _ in 0..5 {
            in_flight.push(attempt(&lockout, &ann()).await);
        }
        let waiting = tokio::spawn({
            let lockout = lockout.clone();
            async move { attempt(&lockout, &ann()).await.succeeded().await }
        });
        for _ in 0..4 {
            let answer = in_flight.pop().expect("five").failed().await;
            assert!(matches!(answer, Error::InvalidCredentials));
        }
        assert!(!waiting.is_finished(), "the fifth decides");
        in_flight.pop().expect("one").succeeded().await.expect("in time");
        waiting.await.expect("no panic").expect("let in");
        assert!(!is_locked(&lockout, &ann()).await);
    }

    async fn whoever_goes_away_before_the_answer_has_failed(database) {
        let (lockout, clock) = replica(&database, 0).await;
        drop(attempt(&lockout, &ann()).await);
        while failures(&lockout, &ann()).await == 0 {
            tokio::task::yield_now().await;
        }
        // A process that dies tells nothing of its attempts.
        for _ in 0..4 {
            mem::forget(attempt(&lockout, &ann()).await);
        }
        let (other, other_clock) = replica(&database, 0).await;
        other_clock.advance(MINUTE);
        assert!(is_locked(&other, &ann()).await);
        clock.advance(MINUTE);
        assert!(is_locked(&lockout, &ann()).await);
    }

    async fn events_tell_of_failures_and_locks_but_not_of_what_was_typed(database) {
        let (lockout, _) = replica(&database, 0).await;
        let typed = "My Secret Passphrase";
        let identifier = Identifier::parse(typed).expect("an identifier");
        let nobody = lockout.subject(&identifier, None, "");
        for subject in [&ann(), &nobody] {
            fail(&lockout, subject, 5).await;
            for _ in 0..9 {
                assert!(is_locked(&lockout, subject).await);
            }
        }
        let events = lockout.store.events_after(0, 1000).await.expect("read");
        let failed_then_locked = [EventType::LoginFailed; 5].into_iter().chain([EventType::AccountLocked]);
        let expected: Vec<_> = failed_then_locked.clone().chain(failed_then_locked).collect();
        assert_eq!(event_types(&lockout).await, expected, "a locked attempt writes none");
        assert!(events[..6].iter().all(|event| event.details.user_id == Some(UserId(1))));
        assert!(events[6..].iter().all(|event| event.details.user_id.is_none()));
        assert_eq!(events[5].details.detail, "for 900 s");
        assert!(events.iter().all(|event| event.details.client_address == "192.0.2.1"));
        let all = format!("{events:?} {nobody:?} {}", nobody.key()).to_lowercase();
        assert!(!all.contains("secret") && !all.contains("passphrase"), "{all}");
        assert!(nobody.key().len() <= 64);
    }

    async fn an_unlock_forgets_names_and_devices_and_tells_who_did_it(database) {
        let (lockout, clock) = replica(&database, 0).await;
        let admin = Some(UserId(2));
        let device = Subject::Device { user_id: UserId(1), device_id: "d".to_owned() };
        let others = Subject::OtherDevices(UserId(1));
        let mut user = [user(1, Some("Ann"), Some("ann@example.com"))];
        let [by_name, by_email] = &lockout.strangers(&user[0])[..] else { panic!("two names") };
        fail(&lockout, by_name, 4).await;
        assert!(!lockout.unlock(&user[0], admin, &client("")).await.expect("written"));
        assert_eq!(failures(&lockout, by_name).await, 0, "the count goes where there is no lock");
        // Counted before the account had the name.
        let Subject::Identifier { tag, .. } = by_name else { panic!("{by_name:?}") };
        fail(&lockout, &Subject::Identifier { tag: tag.clone(), user_id: None }, 5).await;
        clock.advance(MINUTE);
        for subject in [by_email, &device, &others] {
            fail(&lockout, subject, 5).await;
        }
        lockout.show_locks(&mut user).await.expect("read");
        let later = clock.clock().now() + Duration::from_mins(15);
        assert_eq!(user[0].locked_until, Some(later), "the later of its names'");
        assert!(lockout.unlock(&user[0], admin, &client("")).await.expect("written"));
        for subject in [by_name, by_email, &device, &others] {
            assert!(!is_locked(&lockout, subject).await, "{subject:?}");
        }
        lockout.show_locks(&mut user).await.expect("read");
        assert_eq!(user[0].locked_until, None);
        let events = lockout.store.events_after(0, 1000).await.expect("read");
        let unlocked: Vec<_> = events
            .iter()
            .filter(|event| event.details.event_type == EventType::AccountUnlocked)
            .map(|event| (event.details.user_id, event.details.actor_id))
            .collect();
        assert_eq!(unlocked, [(Some(UserId(1)), admin)]);
        let details: Vec<_> = events.iter().map(|event| event.details.detail.as_str()).collect();
        assert!(details.contains(&"one device, for 900 s"));
    }

    async fn the_locks_of_many_users_are_read_at_once(database) {
        let (lockout, clock) = replica(&database, 0).await;
        let mut users: Vec<_> = (1..=40)
            .map(|id| {
                let (username, email) = (format!("user{id}"), format!("user{id}@example.com"));
                user(id, Some(&username), (id % 2 == 0).then_some(&email))
            })
            .collect();
        for (id, name) in [(1, 0), (18, 1), (40, 0)] {
            fail(&lockout, &lockout.strangers(&users[id - 1])[name], 5).await;
        }
        fail(&lockout, &lockout.strangers(&users[1])[0], 4).await;
        let locked = async |users: &mut [User]| {
            lockout.show_locks(users).await.expect("read");
            let locked = users.iter().filter(|user| user.locked_until.is_some());
            locked.map(|user| user.id.0).collect::<Vec<_>>()
        };
        assert_eq!(locked(&mut users).await, [1, 18, 40]);
        clock.advance(Duration::from_mins(15));
        assert_eq!(locked(&mut users).await, [0_i64; 0]);
        assert_eq!(locked(&mut []).await, [0_i64; 0]);
    }

    async fn devices_beyond_the_most_that_are_counted_each_share_a_count(database) {
        let (lockout, _) = replica(&database, 0).await;
        let device = |number: i64| Subject::Device {
            user_id: UserId(1),
            device_id: format!("device {number}"),
        };
        for number in 0..DEVICES_MAX {
            fail(&lockout, &device(number), 1).await;
        }
        fail(&lockout, &device(DEVICES_MAX), 5).await;
        assert_eq!(failures(&lockout, &device(DEVICES_MAX)).await, 0);
        assert!(is_locked(&lockout, &device(DEVICES_MAX)).await);
        assert!(is_locked(&lockout, &device(DEVICES_MAX + 1)).await, "they share a count");
        assert!(!is_locked(&lockout, &device(0)).await && !is_locked(&lockout, &ann()).await);
        attempt(&lockout, &device(0)).await.succeeded().await.expect("in time");
        fail(&lockout, &device(DEVICES_MAX), 1).await;
        assert_eq!(failures(&lockout, &device(DEVICES_MAX)).await, 1, "there is room again");
    }

    async fn guesses_at_once_from_one_address_learn_no_more_than_its_limit(database) {
        let (lockout, clock) = replica(&database, 3).await;
        let mut in_flight = Vec::new();
        for number in 0..6 {
            in_flight.push(attempt(&lockout, &unknown(number)).await);
        }
        let right = attempt(&lockout, &ann()).await;
        let device = Subject::Device { user_id: UserId(1), device_id: "d".to_owned() };
        let mut reasons = Vec::new();
        for attempt in in_flight {
            reasons.push(matches!(attempt.failed().await, Error::InvalidCredentials));
        }
        assert_eq!(reasons, [true, true, true, false, false, false]);
        let throttled = right.succeeded().await.expect_err("not even whether it was right");
        let Error::TooManyFailures(remaining) = throttled else { panic!("{throttled:?}") };
        assert_eq!(remaining, Duration::from_mins(10));
        assert_eq!(lockout.store.count(&ann()).await.expect("read").in_flight, 0);
        attempt(&lockout, &device).await.succeeded().await.expect("its neighbours do not matter");
        lockout.attempt(ann(), &client("")).await.expect("no address").abandoned().await.expect("ok");
        clock.advance(Duration::from_mins(10));
        assert!(!is_locked(&lockout, &ann()).await, "another window");
    }

    async fn failures_at_once_from_one_address_are_all_counted(database) {
        let (lockout, clock) = replica(&database, 1000).await;
        let (addresses, now) = (&lockout.addresses, clock.clock().now());
        let client = client("2001:db8::1");
        let failing = (0..40).map(|_| {
            addresses.failed(AddressAction::SignIn, &client, Error::InvalidCredentials)
        });
        futures_util::future::join_all(failing).await;
        let read = async |action| {
            lockout.store.address_failures(action, "2001:db8::/64", now).await.expect("read")
        };
        let window_ends_at = now + Duration::from_mins(10);
        let all = AddressFailures { failures: 40, window_ends_at };
        assert_eq!(read(AddressAction::SignIn).await, all);
        assert_eq!(read(AddressAction::Registration).await, AddressFailures::default());
    }

    async fn what_no_longer_matters_is_swept_away_and_nothing_else(database) {
        let (lockout, clock) = replica(&database, 1000).await;
        fail(&lockout, &unknown(1), 1).await;
        fail(&lockout, &ann(), 5).await;
        clock.advance(Duration::from_mins(10));
        fail(&lockout, &unknown(2), 1).await;
        clock.advance(Duration::from_mins(24 * 60 - 10));
        lockout.sweep().await.expect("swept");
        assert_eq!(failures(&lockout, &unknown(1)).await, 0);
        assert_eq!(failures(&lockout, &unknown(2)).await, 1);
        assert_eq!(failures(&lockout, &ann()).await, 5, "a lock is remembered a day longer");
        clock.advance(Duration::from_mins(15));
        lockout.sweep().await.expect("swept");
        assert_eq!(lockout.store.count(&ann()).await.expect("read"), Count::default());
    }

    async fn the_oldest_that_are_not_locked_make_room(database) {
        let (lockout, clock) = replica(&database, 0).await;
        fail(&lockout, &unknown(0), 5).await;
        fail(&lockout, &ann(), 1).await;
        for number in 1..10 {
            clock.advance(Duration::from_secs(1));
            fail(&lockout, &unknown(number), 1).await;
        }
        lockout.sweep_down_to(3).await.expect("swept");
        let mut left = Vec::new();
        for number in 0..10 {
            if failures(&lockout, &unknown(number)).await > 0 {
                left.push(number);
            }
        }
        assert_eq!(left, [0, 8, 9]);
        assert_eq!(failures(&lockout, &ann()).await, 1, "an account is not made to go");
        lockout.sweep_down_to(0).await.expect("swept");
        assert_eq!(failures(&lockout, &unknown(0)).await, 0, "a bound is a bound");
    }

    async fn addresses_are_swept_with_their_window_and_bounded_within_it(database) {
        let (lockout, clock) = replica(&database, 1000).await;
        let fail = async |address: &str| {
            let action = AddressAction::Registration;
            lockout.addresses.failed(action, &client(address), Error::UsernameTaken).await;
        };
        let left = async || {
            let mut left = Vec::new();
            for address in ["192.0.2.1", "192.0.2.2", "192.0.2.3"] {
                let (action, at) = (AddressAction::Registration, Timestamp::default());
                if lockout.store.address_failures(action, address, at).await.expect("read").failures > 0 {
                    left.push(address);
                }
            }
            left
        };
        fail("192.0.2.1").await;
        clock.advance(Duration::from_mins(9));
        fail("192.0.2.2").await;
        fail("192.0.2.3").await;
        clock.advance(MINUTE);
        lockout.sweep().await.expect("swept");
        assert_eq!(left().await, ["192.0.2.2", "192.0.2.3"]);
        lockout.sweep_down_to(1).await.expect("swept");
        assert_eq!(left().await.len(), 1);
    }
}
