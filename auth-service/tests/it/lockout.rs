//! Lockout: guessing is stopped, and its victims are not kept out.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::Duration,
};

use auth_service::Config;
use futures_util::future::join_all;
use proto::auth::v1::{
    ChangePasswordRequest, GetUserRequest, LoginRequest, LoginResponse, RegisterRequest,
    UnlockUserRequest, auth_service_client::AuthServiceClient,
};
use service_kit::{
    on_each_database,
    rejection::Rejection,
    testing::{DatabaseKind, ManualClock, TestDatabase},
};
use tonic::{Code, Request, Status};

use crate::service::{PASSWORD, Service, by, config, refusal};

const WRONG: &str = "wrong password";
const THRESHOLD: usize = 5;
const LOCK: Duration = Duration::from_mins(15);

async fn start(database: &TestDatabase, change: impl FnOnce(&mut Config)) -> Service {
    let clock = ManualClock::default();
    let mut config = config(database, &clock);
    change(&mut config);
    Service::start_with(config, clock).await
}

fn invalid() -> (Code, String) {
    (Code::Unauthenticated, "INVALID_CREDENTIALS".to_owned())
}

fn locked() -> (Code, String) {
    (Code::ResourceExhausted, "ACCOUNT_LOCKED".to_owned())
}

fn throttled() -> (Code, String) {
    (Code::ResourceExhausted, "TOO_MANY_FAILURES".to_owned())
}

async fn guess(service: &Service, identifier: &str) -> (Code, String) {
    refusal(service.login(identifier, WRONG).await)
}

/// Guesses until it is locked, but no more.
async fn lock(service: &Service, identifier: &str) {
    for _ in 0..THRESHOLD {
        assert_eq!(guess(service, identifier).await, invalid());
    }
}

/// How long a caller is told to wait.
fn retry_after<T: std::fmt::Debug>(result: Result<T, Status>) -> Duration {
    Rejection::from(&result.expect_err("a refusal")).retry_after.expect("RetryInfo")
}

async fn login_from_device(
    service: &Service,
    password: &str,
    device_token: &str,
) -> Result<LoginResponse, Status> {
    let request = LoginRequest {
        identifier: "ann".to_owned(),
        password: password.to_owned(),
        device_token: device_token.to_owned(),
    };
    Ok(service.auth().login(request).await?.into_inner())
}

/// Signs in behind a proxy that tells the client's address.
async fn login_from(
    service: &Service,
    address: &str,
    identifier: &str,
    password: &str,
) -> Result<LoginResponse, Status> {
    let mut request = Request::new(LoginRequest {
        identifier: identifier.to_owned(),
        password: password.to_owned(),
        ..LoginRequest::default()
    });
    request.metadata_mut().insert("x-forwarded-for", address.parse().expect("a header value"));
    Ok(service.auth().login(request).await?.into_inner())
}

on_each_database! {
    async fn the_failure_that_reaches_the_threshold_is_still_invalid_and_the_next_are_locked(database) {
        let service = Service::start(&database).await;
        service.register("ann", "").await.expect("registered");
        for identifier in ["ann", "nobody", "nobody@example.com", "\0"] {
            lock(&service, identifier).await;
            assert_eq!(guess(&service, identifier).await, locked(), "{identifier:?}");
            assert_eq!(refusal(service.login(identifier, PASSWORD).await), locked());
            assert_eq!(retry_after(service.login(identifier, PASSWORD).await), LOCK);
            service.clock.advance(Duration::from_mins(1));
            let left = retry_after(service.login(identifier, PASSWORD).await);
            assert_eq!(left, Duration::from_mins(14), "locked attempts do not prolong it");
        }
    }

    async fn blanks_around_a_name_give_no_further_guesses(database) {
        let service = Service::start(&database).await;
        service.register("ann", "ann@example.com").await.expect("registered");
        service.login(" ann\u{a0} ", PASSWORD).await.expect("a keyboard added them");
        let names = ["ann@example.com", "ann"];
        for name in names {
            for blanks in ["", " ", "  ", "\u{a0}", "\u{3000} "] {
                assert_eq!(guess(&service, &format!("{name}{blanks}")).await, invalid());
            }
            for padded in [format!("{name}   "), format!("\t{name}"), name.to_owned()] {
                assert_eq!(refusal(service.login(&padded, PASSWORD).await), locked(), "{padded:?}");
            }
        }
    }

    async fn a_lock_does_not_tell_which_identifiers_belong_to_one_account(database) {
        let service = Service::start(&database).await;
        service.register("ann", "ann@example.com").await.expect("registered");
        for identifier in ["ann", "ANN", "\u{ff41}nn", "Ann", "ann"] {
            assert_eq!(guess(&service, identifier).await, invalid());
        }
        assert_eq!(guess(&service, "ann").await, locked());
        for identifier in ["ann@example.com", "Ann@Example.COM", "nobody@example.com"] {
            assert_eq!(guess(&service, identifier).await, invalid(), "{identifier}");
        }
        service.login("ann@example.com", PASSWORD).await.expect("counted by itself");
        assert_eq!(guess(&service, "ann").await, locked(), "and unlocks nothing else");
        service.register("bob", "").await.expect("registered");
        service.login("bob", PASSWORD).await.expect("another account is not concerned");
    }

    async fn an_administrator_sees_and_lifts_the_locks_of_every_name(database) {
        let service = Service::start(&database).await;
        // Before there is such an account, too.
        lock(&service, "ann").await;
        let ann = service.register("ann", "ann@example.com").await.expect("registered").id;
        service.clock.advance(Duration::from_mins(1));
        lock(&service, "ann@example.com").await;
        let root = service.register("root", "").await.expect("registered").id;
        service.make_admin(&database, root).await;
        let token = service.login("root", PASSWORD).await.expect("signed in").access_token;
        let request = by(&token, GetUserRequest { user_id: ann });
        let shown = service.users().get_user(request).await.expect("shown").into_inner();
        let locked_until = shown.user.expect("a user").locked_until.expect("locked");
        let expected = (service.clock.clock().now() + LOCK).seconds();
        assert_eq!(locked_until.seconds, expected, "the later of the two");
        let request = by(&token, UnlockUserRequest { user_id: ann });
        let unlocked = service.users().unlock_user(request).await.expect("unlocked").into_inner();
        assert_eq!(unlocked.user.expect("a user").locked_until, None);
        for identifier in ["ann", "ann@example.com"] {
            service.login(identifier, PASSWORD).await.expect("unlocked");
        }
    }

    async fn a_success_clears_the_count(database) {
        let service = Service::start(&database).await;
        service.register("ann", "").await.expect("registered");
        for _ in 0..3 {
            for _ in 1..THRESHOLD {
                assert_eq!(guess(&service, "ann").await, invalid());
            }
            service.login("ann", PASSWORD).await.expect("signed in");
        }
    }

    async fn a_lock_ends_by_itself_and_the_next_one_is_longer(database) {
        let service = start(&database, |config| config.lockout.address_failures_max = 0).await;
        service.register("ann", "").await.expect("registered");
        let minutes = |minutes| Duration::from_mins(minutes);
        for expected in [15, 30, 60, 120, 240, 480, 960, 1440, 1440].map(minutes) {
            for identifier in ["ann", "nobody"] {
                lock(&service, identifier).await;
                assert_eq!(retry_after(service.login(identifier, PASSWORD).await), expected);
            }
            service.clock.advance(expected.saturating_sub(Duration::from_micros(1)));
            assert_eq!(guess(&service, "ann").await, locked());
            service.clock.advance(Duration::from_micros(1));
        }
        service.login("ann", PASSWORD).await.expect("the lock has ended");
        lock(&service, "ann").await;
        assert_eq!(retry_after(service.login("ann", PASSWORD).await), LOCK, "it starts anew");
    }

    async fn counts_and_locks_survive_a_restart(database) {
        let service = Service::start(&database).await;
        service.register("ann", "").await.expect("registered");
        for identifier in ["ann", "nobody"] {
            for _ in 1..THRESHOLD {
                assert_eq!(guess(&service, identifier).await, invalid());
            }
        }
        service.shutdown.begin();
        service.serving.await.expect("no panic").expect("a clean end");
        let service = Service::start(&database).await;
        for identifier in ["ann", "nobody"] {
            assert_eq!(guess(&service, identifier).await, invalid());
            assert_eq!(guess(&service, identifier).await, locked());
        }
        service.shutdown.begin();
        service.serving.await.expect("no panic").expect("a clean end");
        let service = Service::start(&database).await;
        assert_eq!(refusal(service.login("ann", PASSWORD).await), locked());
    }

    async fn two_replicas_share_counts_and_locks(database) {
        let (one, two) = (Service::start(&database).await, Service::start(&database).await);
        one.register("ann", "").await.expect("registered");
        for _ in 0..2 {
            assert_eq!(guess(&one, "ann").await, invalid());
            assert_eq!(guess(&two, "ann").await, invalid());
        }
        assert_eq!(guess(&one, "ann").await, invalid());
        assert_eq!(guess(&two, "ann").await, locked());
        assert_eq!(refusal(one.login("ann", PASSWORD).await), locked());
    }

    async fn fifty_guesses_at_once_at_two_replicas_are_no_more_than_one_after_another(database) {
        let replicas = [Service::start(&database).await, Service::start(&database).await];
        replicas[0].register("ann", "").await.expect("registered");
        for identifier in ["ann", "nobody"] {
            let guesses = (0..50).map(|number| guess(&replicas[number % 2], identifier));
            let answers = join_all(guesses).await;
            let hashed = answers.iter().filter(|answer| **answer == invalid()).count();
            assert_eq!(hashed, THRESHOLD, "{answers:?}");
            assert!(answers.iter().all(|answer| *answer == invalid() || *answer == locked()));
            assert_eq!(refusal(replicas[1].login(identifier, PASSWORD).await), locked());
        }
    }

    async fn the_right_password_among_guesses_counts_only_in_its_turn(database) {
        let service = Service::start(&database).await;
        service.register("ann", "").await.expect("registered");
        let attempts = (0..40).map(|number| {
            service.login("ann", if number % 8 == 7 { PASSWORD } else { WRONG })
        });
        let results = join_all(attempts).await;
        let (right, wrong): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
        let answers: Vec<_> = wrong.into_iter().map(refusal).collect();
        let hashed = answers.iter().filter(|answer| **answer == invalid()).count();
        // As if one after another: less than a lock's worth before each success, one after the last.
        assert!(hashed <= right.len() * (THRESHOLD - 1) + THRESHOLD, "{} {answers:?}", right.len());
        while guess(&service, "ann").await == invalid() {}
        for result in join_all((0..20).map(|_| service.login("ann", PASSWORD))).await {
            assert_eq!(refusal(result), locked(), "right or not");
        }
    }

    async fn an_owner_who_signs_in_many_times_at_once_is_not_locked_out(database) {
        let service = Service::start(&database).await;
        service.register("ann", "").await.expect("registered");
        for _ in 1..THRESHOLD {
            assert_eq!(guess(&service, "ann").await, invalid());
        }
        for result in join_all((0..120).map(|_| service.login("ann", PASSWORD))).await {
            result.expect("signed in");
        }
    }

    async fn what_could_not_be_hashed_is_no_failure(database) {
        let service = start(&database, |config| {
            // Slow enough that the queue fills, with one failure to a lock.
            config.passwords.argon2_iterations = 4000;
            config.lockout.lockout_threshold = 1;
            config.lockout.address_failures_max = 0;
        })
        .await;
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        // More at once than the queue holds, again and again, however slow the machine is.
        let fill = join_all((0..threads * 64 + 100).map(|number| {
            let service = &service;
            async move {
                for round in 0_u64.. {
                    // Whether it is registered does not matter.
                    let _ = service.register(&format!("new{number}x{round}"), "").await;
                }
            }
        }));
        let overloaded = (Code::ResourceExhausted, "OVERLOADED".to_owned());
        let refused = async {
            for number in 0..1000 {
                let name = format!("user{number}");
                if guess(&service, &name).await == overloaded {
                    return Some(name);
                }
            }
            None
        };
        let name = tokio::select! {
            name = refused => name.expect("a full queue"),
            _ = fill => unreachable!("it goes on and on"),
        };
        // What waits in the queue takes a moment yet.
        let answer = loop {
            let answer = guess(&service, &name).await;
            if answer != overloaded {
                break answer;
            }
        };
        assert_eq!(answer, invalid());
        assert_eq!(guess(&service, &name).await, locked());
    }

    async fn an_address_with_many_failures_is_throttled_for_the_rest_of_ten_minutes(database) {
        let service = start(&database, |config| {
            config.lockout.address_failures_max = 10;
            config.trusted_proxies = "127.0.0.1".parse().expect("a list");
        })
        .await;
        service.register("ann", "").await.expect("registered");
        let here = "2001:db8:0:1::1";
        for number in 0..10 {
            // Another address of the same /64, and another victim, each time.
            let address = format!("2001:db8:0:1::{number}");
            let name = format!("user{number}");
            assert_eq!(refusal(login_from(&service, &address, &name, WRONG).await), invalid());
            service.clock.advance(Duration::from_secs(30));
        }
        for (name, password) in [("user11", WRONG), ("ann", PASSWORD)] {
            assert_eq!(refusal(login_from(&service, here, name, password).await), throttled());
            let left = retry_after(login_from(&service, here, name, password).await);
            assert_eq!(left, Duration::from_mins(5), "from the first failure on");
        }
        login_from(&service, "2001:db8:0:2::1", "ann", PASSWORD).await.expect("another /64");
        login_from(&service, "192.0.2.1", "ann", PASSWORD).await.expect("another address");
        service.clock.advance(Duration::from_mins(5));
        login_from(&service, here, "ann", PASSWORD).await.expect("another window");
    }

    async fn taken_names_throttle_an_address_and_new_ones_do_not(database) {
        let service = start(&database, |config| config.lockout.address_failures_max = 3).await;
        for number in 0..10 {
            service.register(&format!("user{number}"), "").await.expect("a class may register");
        }
        let taken = (Code::AlreadyExists, "USERNAME_TAKEN".to_owned());
        for _ in 0..3 {
            assert_eq!(refusal(service.register("user1", "").await), taken);
        }
        for name in ["user1", "new"] {
            assert_eq!(refusal(service.register(name, "").await), throttled());
            let left = retry_after(service.register(name, "").await);
            assert_eq!(left, Duration::from_mins(10));
        }
        assert_eq!(guess(&service, "user1").await, invalid(), "sign-ins are counted apart");
        let incomplete = service.auth().register(RegisterRequest::default()).await;
        assert_eq!(refusal(incomplete).0, Code::InvalidArgument);
        service.clock.advance(Duration::from_mins(10));
        service.register("new", "").await.expect("another window");
    }

    async fn a_device_that_has_signed_in_is_not_kept_out_by_strangers(database) {
        let service = start(&database, |config| config.lockout.address_failures_max = 9).await;
        service.register("ann", "").await.expect("registered");
        let first = login_from_device(&service, PASSWORD, "").await.expect("signed in");
        lock(&service, "ann").await;
        assert_eq!(refusal(service.login("ann", PASSWORD).await), locked());
        let again = login_from_device(&service, PASSWORD, &first.device_token).await;
        let token = again.expect("the owner gets in").device_token;
        assert_eq!(guess(&service, "ann").await, locked(), "and the strangers stay out");
        for number in 0..4 {
            assert_eq!(guess(&service, &format!("user{number}")).await, invalid());
        }
        assert_eq!(guess(&service, "user").await, throttled());
        login_from_device(&service, PASSWORD, &token).await.expect("neighbours do not matter");
    }

    async fn a_stolen_device_token_gives_no_more_guesses_than_the_threshold(database) {
        let service = Service::start(&database).await;
        service.register("ann", "").await.expect("registered");
        let token = login_from_device(&service, PASSWORD, "").await.expect("ok").device_token;
        let other = login_from_device(&service, PASSWORD, "").await.expect("ok").device_token;
        let guesses = (0..20).map(|_| login_from_device(&service, WRONG, &token));
        let answers: Vec<_> = join_all(guesses).await.into_iter().map(refusal).collect();
        assert_eq!(answers.iter().filter(|answer| **answer == invalid()).count(), THRESHOLD);
        assert_eq!(retry_after(login_from_device(&service, PASSWORD, &token).await), LOCK);
        login_from_device(&service, PASSWORD, &other).await.expect("each device has its own count");
        service.login("ann", PASSWORD).await.expect("and so have strangers");
        service.clock.advance(LOCK);
        login_from_device(&service, PASSWORD, &token).await.expect("the lock has ended");
    }

    async fn a_new_password_makes_strangers_of_all_devices_but_the_one_that_set_it(database) {
        const NEW_PASSWORD: &str = "correct horse battery staple";
        let service = Service::start(&database).await;
        service.register("ann", "").await.expect("registered");
        let first = login_from_device(&service, PASSWORD, "").await.expect("signed in");
        let other = login_from_device(&service, PASSWORD, "").await.expect("signed in");
        lock(&service, "ann").await;
        for device in [&first, &other] {
            let again = login_from_device(&service, PASSWORD, &device.device_token).await;
            again.expect("known until now");
        }
        let request = ChangePasswordRequest {
            current_password: PASSWORD.to_owned(),
            new_password: NEW_PASSWORD.to_owned(),
        };
        let request = by(&first.tokens.expect("tokens").access_token, request);
        let changed = service.auth().change_password(request).await.expect("changed").into_inner();
        for token in [&first.device_token, &other.device_token] {
            let refused = login_from_device(&service, NEW_PASSWORD, token).await;
            assert_eq!(refusal(refused), locked());
        }
        let again = login_from_device(&service, NEW_PASSWORD, &changed.device_token).await;
        let token = again.expect("known").device_token;
        login_from_device(&service, NEW_PASSWORD, &token).await.expect("and stays so");
    }

    async fn a_device_token_that_is_not_good_is_none(database) {
        let service = start(&database, |config| config.lockout.address_failures_max = 0).await;
        service.register("ann", "").await.expect("registered");
        let token = login_from_device(&service, PASSWORD, "").await.expect("ok").device_token;
        let of_bob = {
            service.register("bob", "").await.expect("registered");
            let request = LoginRequest {
                identifier: "bob".to_owned(),
                password: PASSWORD.to_owned(),
                device_token: token.clone(),
            };
            service.auth().login(request).await.expect("signed in").into_inner().device_token
        };
        assert_ne!(of_bob.split('.').nth(1), token.split('.').nth(1), "no device spans accounts");
        lock(&service, "ann").await;
        let tampered = token.replacen('.', ".x", 1);
        let cut = &token[..token.len() - 1];
        let huge = "1.".repeat(10_000);
        for bad in ["", "\0", "☃", "1.1.1.1", &tampered, cut, &of_bob, &huge] {
            let refused = login_from_device(&service, PASSWORD, bad).await;
            assert_eq!(refusal(refused), locked(), "{bad:.99}");
        }
        service.clock.advance(Duration::from_hours(24 * 180));
        lock(&service, "ann").await;
        let refused = login_from_device(&service, PASSWORD, &token).await;
        assert_eq!(refusal(refused), locked(), "expired");
    }
}

/// Ends the program where a test fails before it does.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Fails only where the program has ended already.
        let _ = self.0.kill();
    }
}

#[tokio::test]
async fn no_log_holds_what_was_typed_at_any_level() {
    let database = TestDatabase::create(DatabaseKind::Sqlite).await;
    let mut command = Command::new(env!("CARGO_BIN_EXE_auth-service"));
    command.env_clear().current_dir(database.folder()).stderr(Stdio::piped());
    command.env("RUST_LOG", "trace").env("AUTH_ADDR", "127.0.0.1:0").env("LOCKOUT_THRESHOLD", "2");
    let mut running = Running(command.spawn().expect("it starts"));
    let mut log = BufReader::new(running.0.stderr.take().expect("its log")).lines();
    let address = log
        .by_ref()
        .map(|line| line.expect("text"))
        .find_map(|line| Some(line.split_once("address=")?.1.trim().to_owned()))
        .expect("a line that names the address");
    // Whatever it says from now on.
    let rest = std::thread::spawn(move || log.map_while(Result::ok).collect::<Vec<_>>());

    let mut auth = AuthServiceClient::connect(format!("http://{address}")).await.expect("it is up");
    let request = LoginRequest {
        identifier: "Typed-Into-The-Wrong-Field".to_owned(),
        password: "Typed-Into-The-Right-Field".to_owned(),
        device_token: "Typed-By-Nobody".to_owned(),
    };
    for expected in [invalid(), invalid(), locked()] {
        assert_eq!(refusal(auth.login(request.clone()).await), expected);
    }
    running.0.kill().expect("it ran until now");
    let rest = rest.join().expect("no panic");
    assert!(rest.iter().any(|line| line.contains("TRACE")), "it tells all it would tell");
    let typed = rest.iter().find(|line| line.to_lowercase().contains("typed-"));
    assert_eq!(typed, None);
}
