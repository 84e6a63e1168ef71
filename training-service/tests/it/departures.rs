//! What becomes of the registrations of deleted users.

use proto::{
    auth::v1::EventType,
    training::v1::{Registration, RegistrationStatus},
};
use service_kit::{db::Db, on_each_database, sql, testing::ManualClock};
use tonic::Code;

use crate::{
    announcing::program,
    auth_peer::AuthPeer,
    service::{Service, reason, seat, training, until},
};

/// An auth-service without the event that tells of user 11's end, but with a later one.
async fn forgetful_auth(clock: &ManualClock) -> AuthPeer {
    let auth = AuthPeer::start(clock.clock()).await;
    auth.tell(EventType::UserDeleted, 11);
    auth.forget_events();
    auth.tell(EventType::UserUpdated, 12);
    auth
}

on_each_database! {
    async fn a_deleted_user_gives_back_every_seat(database) {
        let service = Service::start(&database).await;
        let coach = service.user_with(3, &["coach"]);
        for _ in 0..2 {
            let id = coach.announce(program(1)).await.expect("created").id;
            for user in [11, 12, 13] {
                service.user(user).create(seat(id)).await.expect("registered");
            }
        }
        service.user(11).create(training("cricket", "beginner")).await.expect("registered");

        service.auth.tell(EventType::UserUpdated, 12);
        service.auth.tell(EventType::UserDeleted, 11);
        let statuses = async |user| -> Vec<_> {
            service.user(user).list_own().await.iter().map(Registration::status).collect()
        };
        until(async || statuses(11).await == [RegistrationStatus::Cancelled; 3]).await;
        assert_eq!(statuses(12).await, [RegistrationStatus::Confirmed; 2]);
        assert_eq!(statuses(13).await, [RegistrationStatus::Waitlisted; 2]);

        // What happened twice, or was told twice, changes nothing.
        service.auth.tell(EventType::UserDeleted, 11);

        // A replica goes on where this one was.
        let replica = service.replica(&database).await;
        service.auth.tell(EventType::UserDeleted, 12);
        service.stop().await;
        until_confirmed(&replica, 13).await;
    }

    async fn whose_account_is_deleted_registers_for_nothing_more(database) {
        let service = Service::start(&database).await;
        let coach = service.user_with(3, &["coach"]);
        let id = coach.announce(program(2)).await.expect("created").id;
        for user in [11, 12] {
            service.user(user).create(seat(id)).await.expect("registered");
        }
        service.auth.tell(EventType::UserDeleted, 11);
        service.user(13).create(seat(id)).await.expect("registered");
        until_confirmed(&service, 13).await;

        // The end of the token is not told: only the deletion is.
        let late = service.user(11);
        for request in [seat(id), training("cricket", "beginner")] {
            let refused = late.create(request).await.expect_err("refused");
            assert_eq!(reason(&refused), (Code::Unauthenticated, "TOKEN_REVOKED"));
        }
        assert_eq!(late.list_own().await.len(), 1, "what has ended");
        let shown = service.program(id).await.expect("found");
        assert_eq!((shown.seats_taken, shown.waitlist_length), (2, 0));
    }

    async fn what_a_crash_interrupts_is_finished_and_nothing_is_done_twice(database) {
        let service = Service::start(&database).await;
        let coach = service.user_with(3, &["coach"]);
        for _ in 0..2 {
            let id = coach.announce(program(1)).await.expect("created").id;
            for user in [11, 12] {
                service.user(user).create(seat(id)).await.expect("registered");
            }
        }
        let (auth, clock) = (service.auth.clone(), service.clock.clone());
        let db = database.connect().await;
        let set_seats = async |taken: i64| {
            let update = sql!("UPDATE programs SET seats_taken = ? WHERE id = 2");
            db.write(update).bind(taken).execute().await.expect("stored");
        };
        // Giving back a seat that is not taken fails: it comes no further than the first program.
        set_seats(0).await;
        auth.tell(EventType::UserDeleted, 11);
        until(async || of_type(&db, "PROMOTED").await == [2]).await;
        service.stop().await;
        assert_eq!(cursor(&db).await, 0);

        set_seats(1).await;
        let service = Service::start_with(&database, auth.clone(), clock.clone()).await;
        until(async || cursor(&db).await == 1).await;
        assert_eq!(of_type(&db, "REGISTRATION_CANCELLED").await, [1, 3]);
        assert_eq!(of_type(&db, "PROMOTED").await, [2, 4]);
        service.stop().await;

        // As a crash leaves it that comes after all is done, and before that is noted.
        let forget = sql!("UPDATE auth_events_cursor SET sequence = 0");
        db.write(forget).execute().await.expect("stored");
        let service = Service::start_with(&database, auth, clock).await;
        until(async || cursor(&db).await == 1).await;
        assert_eq!(of_type(&db, "REGISTRATION_CANCELLED").await, [1, 3]);
        assert_eq!(of_type(&db, "PROMOTED").await, [2, 4]);
        for id in [1, 2] {
            let shown = service.program(id).await.expect("found");
            assert_eq!((shown.seats_taken, shown.waitlist_length), (1, 0));
        }
    }

    async fn deletions_that_are_no_longer_told_of_are_found_out(database) {
        let service = Service::start(&database).await;
        let coach = service.user_with(3, &["coach"]);
        let id = coach.announce(program(1)).await.expect("created").id;
        for user in [11, 12, 13, 14] {
            service.user(user).create(seat(id)).await.expect("registered");
        }
        // The cursor is behind the first event when the service goes down.
        service.auth.tell(EventType::UserDeleted, 11);
        until_confirmed(&service, 12).await;
        let (auth, clock) = (service.auth.clone(), service.clock.clone());
        service.stop().await;

        auth.tell(EventType::UserDeleted, 12);
        auth.tell(EventType::UserUpdated, 13);
        auth.forget_events();
        let service = Service::start_with(&database, auth, clock).await;
        until_confirmed(&service, 13).await;
        assert_eq!(service.user(12).list_own().await[0].status(), RegistrationStatus::Cancelled);
        // And from there on as ever.
        service.auth.tell(EventType::UserDeleted, 13);
        until_confirmed(&service, 14).await;
    }

    async fn deletions_from_before_it_followed_are_found_out(database) {
        let service = Service::start(&database).await;
        let coach = service.user_with(3, &["coach"]);
        let id = coach.announce(program(1)).await.expect("created").id;
        for user in [11, 12] {
            service.user(user).create(seat(id)).await.expect("registered");
        }
        let clock = service.clock.clone();
        service.stop().await;

        // It has dealt with none, and the first that it could see is the second.
        let auth = forgetful_auth(&clock).await;
        let service = Service::start_with(&database, auth, clock).await;
        until_confirmed(&service, 12).await;
        assert_eq!(service.user(11).list_own().await[0].status(), RegistrationStatus::Cancelled);

        // No event told of it here: the id may be another user's by now.
        let other = service.user(11).create(seat(id)).await.expect("registered");
        assert_eq!(other.waitlist_position, 1);
    }

    async fn where_all_are_gone_it_takes_someone_who_is_not_to_find_them_out(database) {
        let service = Service::start(&database).await;
        let coach = service.user_with(3, &["coach"]);
        let id = coach.announce(program(1)).await.expect("created").id;
        service.user(11).create(seat(id)).await.expect("registered");
        let clock = service.clock.clone();
        service.stop().await;

        let auth = forgetful_auth(&clock).await;
        let service = Service::start_with(&database, auth, clock).await;
        until_asked_for_users(&service.auth, 2).await;
        assert_eq!(service.user(11).list_own().await[0].status(), RegistrationStatus::Confirmed);
        service.user(12).create(seat(id)).await.expect("registered");
        until_confirmed(&service, 12).await;
    }

    async fn an_auth_service_that_knows_nobody_ends_no_registration(database) {
        let service = Service::start(&database).await;
        let coach = service.user_with(3, &["coach"]);
        let id = coach.announce(program(1)).await.expect("created").id;
        for user in [11, 12, 13] {
            service.user(user).create(seat(id)).await.expect("registered");
        }
        service.auth.tell(EventType::UserDeleted, 11);
        until_confirmed(&service, 12).await;
        let clock = service.clock.clone();
        service.stop().await;

        // Another one, with another log, from which the cursor's place is gone.
        let auth = AuthPeer::start(clock.clock()).await;
        auth.set_without_users(true);
        auth.tell(EventType::UserUpdated, 1);
        auth.tell(EventType::UserDeleted, 12);
        auth.forget_events();
        auth.tell(EventType::UserUpdated, 1);
        let service = Service::start_with(&database, auth, clock).await;
        until_asked_for_users(&service.auth, 2).await;
        let status = async |user| service.user(user).list_own().await[0].status();
        assert_eq!(status(12).await, RegistrationStatus::Confirmed);
        assert_eq!(status(13).await, RegistrationStatus::Waitlisted);

        // It asks again, until it is the right one.
        service.auth.set_without_users(false);
        until_confirmed(&service, 13).await;
        assert_eq!(status(12).await, RegistrationStatus::Cancelled);
    }
}

/// Waits until it was asked so often whose accounts there are.
async fn until_asked_for_users(auth: &AuthPeer, times: usize) {
    until(async || auth.times_asked_for_users() >= times).await;
}

/// Waits until the only registration of a user has a seat.
async fn until_confirmed(service: &Service, user: i64) {
    let is_confirmed = |one: &Registration| one.status() == RegistrationStatus::Confirmed;
    until(async || service.user(user).list_own().await.iter().all(is_confirmed)).await;
}

/// The number of the last event that was dealt with.
pub(crate) async fn cursor(db: &Db) -> i64 {
    let select = db.read(sql!("SELECT sequence FROM auth_events_cursor"));
    select.fetch_one().await.expect("a row").get(0).expect("a number")
}

/// The registrations of which the log tells this, in order.
async fn of_type(db: &Db, event_type: &str) -> Vec<i64> {
    let select =
        sql!("SELECT registration_id FROM training_events WHERE type = ? ORDER BY sequence");
    let rows = db.read(select).bind(event_type.to_owned()).fetch_all().await.expect("events");
    rows.iter().map(|row| row.get(0).expect("an id")).collect()
}
