//! Registering for programs: seats, the waitlist, and who moves up.

use std::time::Duration;

use proto::training::v1::{
    CreateRegistrationRequest, ListParticipantsRequest, Program, Registration, RegistrationStatus,
};
use service_kit::{on_each_database, rejection::Rejection, sql};
use tokio::task::JoinSet;
use tonic::Code;

use crate::{
    announcing::{at, program},
    histories::{check, replicas},
    service::{Service, User, reason, seat, violations},
};

impl User {
    /// Those who have a seat or wait for one.
    pub(crate) async fn participants(&self, id: i64) -> Result<Vec<Registration>, Rejection> {
        self.participants_with(id, RegistrationStatus::Unspecified).await
    }

    async fn participants_with(
        &self,
        program_id: i64,
        status: RegistrationStatus,
    ) -> Result<Vec<Registration>, Rejection> {
        let request = ListParticipantsRequest {
            program_id,
            status: status.into(),
            page_size: 1000,
            ..Default::default()
        };
        let answer = self.programs.clone().list_participants(self.sign(request)).await;
        let answer = answer.map_err(|status| Rejection::from(&status))?.into_inner();
        let registrations = answer.participants.into_iter().map(|one| one.registration);
        Ok(registrations.map(|one| one.expect("a registration")).collect())
    }
}

/// Whose registration it is, and the place in the queue.
fn places(registrations: &[Registration]) -> Vec<(i64, i64)> {
    let place = |one: &Registration| (one.user_id, one.waitlist_position);
    registrations.iter().map(place).collect()
}

/// A service with a program, and its coach.
pub(crate) async fn house(
    database: &service_kit::testing::TestDatabase,
    capacity: i64,
) -> (Service, User, Program) {
    let service = Service::start(database).await;
    let coach = service.user_with(3, &["coach"]);
    let program = coach.announce(program(capacity)).await.expect("created");
    (service, coach, program)
}

on_each_database! {
    async fn who_comes_too_late_for_a_seat_waits_in_order(database) {
        let (service, coach, program) = house(&database, 1).await;
        let first = service.user(11).create(seat(program.id)).await.expect("a seat");
        assert_eq!(first.status(), RegistrationStatus::Confirmed);
        assert_eq!((&*first.sport, &*first.training_level), ("cricket", "beginner"));
        for (user, position) in [(12, 1), (13, 2), (14, 3)] {
            let waiting = service.user(user).create(seat(program.id)).await.expect("a place");
            assert_eq!(waiting.status(), RegistrationStatus::Waitlisted);
            assert_eq!(waiting.waitlist_position, position);
            assert_eq!(service.user(user).list_own().await, [waiting]);
        }
        let listed = coach.participants(program.id).await.expect("participants");
        assert_eq!(places(&listed), [(11, 0), (12, 1), (13, 2), (14, 3)]);
        let shown = service.program(program.id).await.expect("found");
        assert_eq!((shown.seats_taken, shown.waitlist_length), (1, 3));
    }

    async fn a_seat_that_is_given_back_goes_to_the_head_of_the_queue(database) {
        let (service, coach, program) = house(&database, 1).await;
        let mut made = Vec::new();
        for user in 11..16 {
            made.push(service.user(user).create(seat(program.id)).await.expect("registered").id);
        }
        // One who waits in the middle gives up, and then who has the seat.
        service.user(13).cancel(made[2]).await.expect("cancelled");
        let cancelled = service.user(11).cancel(made[0]).await.expect("cancelled");
        assert_eq!(cancelled.status(), RegistrationStatus::Cancelled);
        assert_eq!(service.user(11).cancel(made[0]).await.expect("as it is"), cancelled);
        let listed = coach.participants(program.id).await.expect("participants");
        assert_eq!(places(&listed), [(12, 0), (14, 1), (15, 2)]);
        let gone = coach.participants_with(program.id, RegistrationStatus::Cancelled).await;
        assert_eq!(places(&gone.expect("participants")), [(11, 0), (13, 0)]);

        // Whoever comes again, comes last.
        let again = service.user(11).create(seat(program.id)).await.expect("a new one");
        assert_eq!((again.waitlist_position, made.contains(&again.id)), (3, false));
        let shown = service.program(program.id).await.expect("found");
        assert_eq!((shown.seats_taken, shown.waitlist_length), (1, 3));

        let db = database.connect().await;
        let events = db.read(sql!("SELECT type, registration_id FROM training_events ORDER BY sequence"));
        let events = events.fetch_all().await.expect("events");
        let types: Vec<String> = events.iter().map(|row| row.get("type").expect("text")).collect();
        assert_eq!(
            types,
            ["PROGRAM_CREATED", "REGISTERED", "WAITLISTED", "WAITLISTED", "WAITLISTED", "WAITLISTED",
             "REGISTRATION_CANCELLED", "REGISTRATION_CANCELLED", "PROMOTED", "WAITLISTED"]
        );
        assert_eq!(events[8].get::<i64, _>("registration_id").expect("an id"), made[1]);
    }

    async fn nobody_moves_up_in_a_program_that_is_over(database) {
        let (service, _, program) = house(&database, 1).await;
        let mut made = Vec::new();
        for user in 11..16 {
            made.push(service.user(user).create(seat(program.id)).await.expect("registered").id);
        }
        let shown = async || {
            let shown = service.program(program.id).await.expect("found");
            (shown.seats_taken, shown.waitlist_length)
        };
        // It begins a day after it is announced, and takes an hour.
        service.clock.advance(Duration::from_hours(25) - Duration::from_micros(1));
        service.user(11).cancel(made[0]).await.expect("cancelled");
        assert_eq!(shown().await, (1, 3), "it has begun");
        service.clock.advance(Duration::from_micros(1));
        service.user(12).cancel(made[1]).await.expect("cancelled");
        assert_eq!(shown().await, (0, 3), "it has ended");
        let coach = service.user_with(3, &["coach"]);
        let larger = Program { capacity: 2, ..program.clone() };
        coach.change(larger, &["capacity"]).await.expect("changed");
        assert_eq!(shown().await, (0, 3), "it has ended");

        // Put off, it has seats to give again.
        let later = Program { ends_at: at(100_000), etag: String::new(), ..program };
        coach.change(later, &["ends_at"]).await.expect("changed");
        assert_eq!(shown().await, (2, 1));
    }

    async fn new_seats_go_to_the_head_of_the_queue(database) {
        let (service, coach, program) = house(&database, 1).await;
        for user in 11..17 {
            service.user(user).create(seat(program.id)).await.expect("registered");
        }
        let larger = Program { capacity: 3, ..program.clone() };
        let larger = coach.change(larger, &["capacity"]);
        let larger = larger.await.expect("changed");
        assert_eq!((larger.seats_taken, larger.waitlist_length), (3, 3));
        let listed = coach.participants(program.id).await.expect("participants");
        assert_eq!(places(&listed), [(11, 0), (12, 0), (13, 0), (14, 1), (15, 2), (16, 3)]);
        let unlimited = Program { capacity: 0, etag: String::new(), ..program.clone() };
        let unlimited = coach.change(unlimited, &["capacity"]).await.expect("changed");
        assert_eq!((unlimited.seats_taken, unlimited.waitlist_length), (6, 0));
    }

    async fn a_long_queue_moves_up_at_once(database) {
        let (service, coach, program) = house(&database, 1).await;
        service.user(11).create(seat(program.id)).await.expect("a seat");
        let db = database.connect().await;
        let mut tx = db.begin().await.expect("a transaction");
        let length = 10_000;
        for number in 1..=length {
            let waiting = sql!(
                "INSERT INTO registrations (user_id, sport, training_level, registered_at, status, \
                 program_id, waitlist_ticket) VALUES (?, 'cricket', 'beginner', 0, 'waitlisted', 1, ?)"
            );
            tx.query(waiting).bind(100 + number).bind(number).insert().await.expect("stored");
        }
        let counted = sql!("UPDATE programs SET waitlist_length = ?, tickets_given = ?");
        tx.query(counted).bind(length).bind(length).execute().await.expect("stored");
        tx.commit().await.expect("committed");

        let listed = coach.participants(program.id).await.expect("participants");
        assert_eq!(places(&listed)[999], (1_099, 999));
        let larger = Program { capacity: 9_001, ..program };
        let larger = coach.change(larger, &["capacity"]);
        let larger = larger.await.expect("changed");
        assert_eq!((larger.seats_taken, larger.waitlist_length), (9_001, 1_000));
        assert_eq!(service.user(100 + 9_001).list_own().await[0].waitlist_position, 1);
        assert_eq!(service.user(100 + 9_000).list_own().await[0].waitlist_position, 0);
    }

    async fn a_user_has_one_live_registration_for_a_program(database) {
        let (service, _, program) = house(&database, 1).await;
        let user = service.user(11);
        user.create(seat(program.id)).await.expect("a seat");
        let again = user.create(seat(program.id)).await.expect_err("refused");
        assert_eq!(reason(&again), (Code::AlreadyExists, "ALREADY_REGISTERED"));
        let with_id = CreateRegistrationRequest { request_id: "r".to_owned(), ..seat(program.id) };
        let again = user.create(with_id).await.expect_err("refused");
        assert_eq!(reason(&again), (Code::AlreadyExists, "ALREADY_REGISTERED"));
        assert_eq!(service.program(program.id).await.expect("found").seats_taken, 1);
    }

    async fn of_many_calls_of_a_user_at_once_one_has_a_seat(database) {
        let services = replicas(&database).await;
        let coach = services[0].user_with(3, &["coach"]);
        let id = coach.announce(program(3)).await.expect("created").id;
        let mut calls = JoinSet::new();
        for call in 0..20 {
            let user = services[call % services.len()].user(11);
            calls.spawn(async move { user.create(seat(id)).await });
        }
        let (made, refused): (Vec<_>, Vec<_>) =
            calls.join_all().await.into_iter().partition(Result::is_ok);
        assert_eq!(made.len(), 1);
        for answer in refused {
            let refused = answer.expect_err("refused");
            assert_eq!(reason(&refused), (Code::AlreadyExists, "ALREADY_REGISTERED"));
        }
        check(&database.connect().await).await;
        let shown = services[0].program(id).await.expect("found");
        assert_eq!((shown.seats_taken, shown.waitlist_length), (1, 0));
    }

    async fn a_repeated_call_has_the_answer_of_the_first_one(database) {
        let (service, coach, program) = house(&database, 1).await;
        let with_id = CreateRegistrationRequest { request_id: "r".to_owned(), ..seat(program.id) };
        let calls = (0..10).map(|_| {
            let (user, with_id) = (service.user(11), with_id.clone());
            tokio::spawn(async move { user.create(with_id).await.expect("registered") })
        });
        let mut made = Vec::new();
        for call in calls.collect::<Vec<_>>() {
            made.push(call.await.expect("no panic"));
        }
        coach.call_off(program.id, "").await.expect("cancelled");
        made.push(service.user(11).create(with_id).await.expect("the same"));
        assert!(made.iter().all(|one| *one == made[0]), "{made:?}");
    }

    async fn one_registers_within_the_window_alone(database) {
        let service = Service::start(&database).await;
        let coach = service.user_with(3, &["coach"]);
        let window = Program {
            registration_opens_at: at(60),
            registration_closes_at: at(120),
            ..program(5)
        };
        let id = coach.announce(window).await.expect("created").id;
        let closed = (Code::FailedPrecondition, "REGISTRATION_CLOSED");
        let early = service.user(11).create(seat(id)).await.expect_err("too early");
        assert_eq!(reason(&early), closed);
        service.clock.advance(Duration::from_mins(1));
        let made = service.user(11).create(seat(id)).await.expect("in time");
        service.clock.advance(Duration::from_mins(1));
        let late = service.user(12).create(seat(id)).await.expect_err("too late");
        assert_eq!(reason(&late), closed);
        service.user(11).cancel(made.id).await.expect("at any time");
    }

    async fn nobody_registers_for_or_moves_up_in_a_cancelled_program(database) {
        let (service, coach, program) = house(&database, 1).await;
        let first = service.user(11).create(seat(program.id)).await.expect("a seat");
        service.user(12).create(seat(program.id)).await.expect("a place");
        coach.call_off(program.id, "").await.expect("cancelled");
        let refused = service.user(13).create(seat(program.id)).await.expect_err("refused");
        assert_eq!(reason(&refused), (Code::FailedPrecondition, "PROGRAM_CANCELLED"));
        coach.cancel(first.id).await.expect("cancelled");
        let listed = coach.participants(program.id).await.expect("participants");
        assert_eq!(places(&listed), [(12, 1)]);
    }

    async fn another_users_registration_cannot_be_cancelled(database) {
        let (service, coach, program) = house(&database, 1).await;
        let made = service.user(11).create(seat(program.id)).await.expect("a seat");
        let hidden = service.user(12).cancel(made.id).await.expect_err("hidden");
        assert_eq!(reason(&hidden), (Code::NotFound, "REGISTRATION_NOT_FOUND"));
        let invalid = coach.cancel(0).await.expect_err("refused");
        assert_eq!(violations(&invalid), [("registration_id", "REQUIRED")]);
        coach.cancel(made.id).await.expect("a coach may");
    }
}
