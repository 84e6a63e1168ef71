//! Who is told by mail what has become of a registration.

use std::time::Duration;

use proto::training::v1::Program;
use service_kit::{
    on_each_database, sql,
    testing::{ManualClock, TestDatabase, smtp::MailServer},
};
use tokio::time::sleep;

use crate::{
    announcing::program,
    auth_peer::{AuthPeer, WITHOUT_ADDRESS},
    service::{Service, User, seat},
};

/// A service that mails, and a program with one seat, for which users 11 to 13 are registered.
async fn house(database: &TestDatabase, server: &MailServer) -> (Service, User, Program, i64) {
    let clock = ManualClock::default();
    let auth = AuthPeer::start(clock.clock()).await;
    let service = start(database, auth, clock, server).await;
    let coach = service.user_with(3, &["coach"]);
    let program = coach.announce(program(1)).await.expect("created");
    let first = service.user(11).create(seat(program.id)).await.expect("registered").id;
    for user in [12, 13] {
        service.user(user).create(seat(program.id)).await.expect("registered");
    }
    (service, coach, program, first)
}

async fn start(
    database: &TestDatabase,
    auth: AuthPeer,
    clock: ManualClock,
    server: &MailServer,
) -> Service {
    let smtp_url = Some(server.url("smtp", ""));
    Service::start_mailing_at(database, auth, clock, smtp_url).await
}

/// Waits until nobody has to be told anything, and no mail waits.
async fn until_told(database: &TestDatabase) {
    let db = database.connect().await;
    let select = sql!(
        "SELECT (SELECT COUNT(*) FROM notices) AS notices, (SELECT COUNT(*) FROM mails) AS mails"
    );
    for _ in 0..200 {
        let row = db.read(select).fetch_one().await.expect("two numbers");
        let count = |column: &str| row.get::<i64, _>(column).expect("a number");
        if (count("notices"), count("mails")) == (0, 0) {
            return;
        }
        sleep(Duration::from_millis(50)).await;
    }
    panic!("someone is still to be told something");
}

on_each_database! {
    async fn who_moves_up_is_told(database) {
        let mut server = MailServer::start().await;
        let (service, coach, program, first) = house(&database, &server).await;
        service.user(11).cancel(first).await.expect("cancelled");
        let mail = server.next().await;
        assert_eq!(mail.to, "user12@example.com");
        assert_eq!(mail.header("To"), "\"User 12\" <user12@example.com>");
        assert_eq!(mail.header("Subject"), "You have a seat now");
        for line in ["  Nets", "  Friday, 2 January 2026, 01:00 CET", "  Ground 2"] {
            assert!(mail.data.lines().any(|one| one == line), "{line} is not in {}", mail.data);
        }
        // So is who gets a seat that is added, and nobody else.
        coach.change(Program { capacity: 9, ..program }, &["capacity"]).await.expect("changed");
        assert_eq!(server.next().await.to, "user13@example.com");
        until_told(&database).await;
        assert!(server.next_within(Duration::ZERO).await.is_none());
    }

    async fn all_who_are_registered_are_told_that_a_program_is_cancelled(database) {
        let mut server = MailServer::start().await;
        let (service, coach, program, _) = house(&database, &server).await;
        let ended = service.user(14).create(seat(program.id)).await.expect("registered").id;
        service.user(14).cancel(ended).await.expect("cancelled");
        let unreachable = service.user(WITHOUT_ADDRESS);
        unreachable.create(seat(program.id)).await.expect("registered");
        for _ in 0..2 {
            coach.call_off(program.id, "").await.expect("cancelled");
        }
        let mut told = Vec::new();
        for _ in 0..3 {
            let mail = server.next().await;
            assert_eq!(mail.header("Subject"), "A training is cancelled");
            told.push(mail.to);
        }
        told.sort();
        assert_eq!(told, [11, 12, 13].map(|user| format!("user{user}@example.com")));
        until_told(&database).await;
        assert!(server.next_within(Duration::ZERO).await.is_none());
    }

    async fn an_outage_of_auth_service_loses_no_notice(database) {
        let mut server = MailServer::start().await;
        let (service, _, _, first) = house(&database, &server).await;
        service.auth.hide_users();
        service.user(11).cancel(first).await.expect("cancelled");
        let clock = service.clock.clone();
        service.stop().await;
        assert!(server.next_within(Duration::ZERO).await.is_none());
        let auth = AuthPeer::start(clock.clock()).await;
        let _service = start(&database, auth, clock, &server).await;
        assert_eq!(server.next().await.to, "user12@example.com");
    }

    async fn nobody_is_told_of_a_seat_that_is_gone_again(database) {
        let mut server = MailServer::start().await;
        let (service, coach, program, first) = house(&database, &server).await;
        service.auth.hide_users();
        let off = coach.announce(crate::announcing::program(1)).await.expect("created").id;
        let given_up = service.user(21).create(seat(off)).await.expect("registered").id;
        service.user(22).create(seat(off)).await.expect("registered");
        let waited = service.user(12).list_own().await[0].id;

        // One moves up and cancels, and another's program is cancelled.
        service.user(11).cancel(first).await.expect("cancelled");
        service.user(12).cancel(waited).await.expect("cancelled");
        service.user(21).cancel(given_up).await.expect("cancelled");
        coach.call_off(off, "").await.expect("cancelled");
        assert_eq!(service.program(program.id).await.expect("found").seats_taken, 1);
        let clock = service.clock.clone();
        service.stop().await;

        let auth = AuthPeer::start(clock.clock()).await;
        let _service = start(&database, auth, clock, &server).await;
        let mut told = Vec::new();
        for _ in 0..2 {
            let mail = server.next().await;
            told.push((mail.to.clone(), mail.header("Subject").to_owned()));
        }
        told.sort();
        let mail = |to: &str, subject: &str| (to.to_owned(), subject.to_owned());
        assert_eq!(
            told,
            [
                mail("user13@example.com", "You have a seat now"),
                mail("user22@example.com", "A training is cancelled"),
            ]
        );
        until_told(&database).await;
        assert!(server.next_within(Duration::ZERO).await.is_none());
    }

    async fn two_replicas_tell_everyone_once(database) {
        let mut server = MailServer::start().await;
        let (service, coach, program, _) = house(&database, &server).await;
        let replica = start(&database, service.auth.clone(), service.clock.clone(), &server).await;
        for user in 20..30 {
            replica.user(user).create(seat(program.id)).await.expect("registered");
        }
        coach.call_off(program.id, "").await.expect("cancelled");
        let mut told = Vec::new();
        for _ in 0..13 {
            told.push(server.next().await.to);
        }
        told.sort();
        told.dedup();
        assert_eq!(told.len(), 13);
        until_told(&database).await;
        assert!(server.next_within(Duration::ZERO).await.is_none());
    }

    async fn nobody_is_told_of_what_is_over(database) {
        let mut server = MailServer::start().await;
        let (service, coach, program, _) = house(&database, &server).await;
        service.auth.hide_users();
        coach.call_off(program.id, "").await.expect("cancelled");
        service.clock.advance(Duration::from_hours(48));
        until_told(&database).await;
        assert!(server.next_within(Duration::ZERO).await.is_none());
    }
}
