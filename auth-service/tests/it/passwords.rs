//! What a new password must be like, and what becomes of older hashes.

use proto::auth::v1::RegisterRequest;
use service_kit::{on_each_database, testing::ManualClock};

use crate::service::{PASSWORD, Service, config, violations};

fn request(username: &str, password: &str) -> RegisterRequest {
    RegisterRequest {
        username: username.to_owned(),
        email: format!("{username}@example.com"),
        password: password.to_owned(),
        ..RegisterRequest::default()
    }
}

on_each_database! {
    async fn a_listed_password_or_one_s_own_name_is_refused(database) {
        let clock = ManualClock::default();
        let list = database.folder().join("blocklist.txt");
        std::fs::write(&list, "letmein99\nPassword123\n").expect("written");
        let mut config = config(&database, &clock);
        config.password_blocklist = Some(list);
        let service = Service::start_with(config, clock).await;
        for password in ["letmein99", "LetMeIn99", "password123", "long-user", "LONG-USER@example.com"] {
            let refused = service.auth().register(request("long-user", password)).await;
            assert_eq!(violations(refused), ["password: BLOCKLISTED"], "{password}");
        }
        service.auth().register(request("long-user", "letmein999")).await.expect("registered");
    }

    async fn nothing_is_listed_by_default(database) {
        let service = Service::start(&database).await;
        for (number, password) in
            ["password123", "testpassword", "newpassword", "securepassword"].iter().enumerate()
        {
            let request = request(&format!("user{number}"), password);
            service.auth().register(request).await.expect("registered");
        }
    }

    async fn a_list_that_cannot_be_read_is_named(database) {
        let clock = ManualClock::default();
        let mut config = config(&database, &clock);
        config.password_blocklist = Some(database.folder().join("not-there"));
        let service = Service::start_with(config, clock).await;
        let error = service.serving.await.expect("no panic").expect_err("refused");
        assert!(error.to_string().starts_with("PASSWORD_BLOCKLIST: "), "{error}");
        assert!(!error.to_string().contains('\n'), "{error}");
    }

    async fn a_password_is_the_same_however_it_was_composed(database) {
        let service = Service::start(&database).await;
        let decomposed = request("ann", "Cafe\u{301} au lait ☕");
        service.auth().register(decomposed).await.expect("registered");
        for typed in ["Caf\u{e9} au lait ☕", "Cafe\u{301} au lait ☕"] {
            service.login("ann", typed).await.expect("signed in");
        }
    }

    async fn a_password_is_never_cut_short(database) {
        let service = Service::start(&database).await;
        let long = "x".repeat(1024);
        service.auth().register(request("ann", &long)).await.expect("registered");
        service.login("ann", &long).await.expect("signed in");
        service.login("ann", &long[1..]).await.expect_err("another password");
    }

    async fn another_cost_of_hashes_does_not_lock_anyone_out(database) {
        let service = Service::start(&database).await;
        service.register("ann", "").await.expect("registered");
        service.shutdown.begin();
        service.serving.await.expect("no panic").expect("a clean end");

        let clock = ManualClock::default();
        let mut config = config(&database, &clock);
        config.passwords.argon2_iterations = 3;
        let service = Service::start_with(config, clock).await;
        for _ in 0..2 {
            service.login("ann", PASSWORD).await.expect("signed in");
        }
    }
}
