//! Calendars: of a program, and of all that a user is registered for.

use std::time::Duration;

use icalendar::{Component, EventStatus};
use proto::{
    auth::v1::EventType,
    training::v1::{
        CreateCalendarKeyRequest, GetCalendarRequest, GetCalendarResponse,
        GetProgramCalendarRequest, GetProgramCalendarResponse, Program, RevokeCalendarKeyRequest,
    },
};
use service_kit::{on_each_database, rejection::Rejection, sql};
use tokio::time::sleep;
use tonic::Code;

use crate::{
    announcing::{at, program},
    service::{Service, User, reason, seat, training, violations},
};

impl User {
    async fn calendar_key(&self) -> String {
        self.try_calendar_key().await.expect("a key")
    }

    async fn try_calendar_key(&self) -> Result<String, Rejection> {
        let request = self.sign(CreateCalendarKeyRequest {});
        let answer = self.client.clone().create_calendar_key(request).await;
        Ok(answer.map_err(|status| Rejection::from(&status))?.into_inner().calendar_key)
    }

    async fn revoke_calendar_key(&self) {
        let request = self.sign(RevokeCalendarKeyRequest {});
        self.client.clone().revoke_calendar_key(request).await.expect("revoked");
    }
}

impl Service {
    /// As whoever has the key sees it: without a token.
    async fn calendar(&self, key: &str) -> Result<GetCalendarResponse, Rejection> {
        let request = GetCalendarRequest { calendar_key: key.to_owned() };
        let answer = self.client().get_calendar(request).await;
        Ok(answer.map_err(|status| Rejection::from(&status))?.into_inner())
    }

    async fn program_calendar(
        &self,
        program_id: i64,
    ) -> Result<GetProgramCalendarResponse, Rejection> {
        let request = GetProgramCalendarRequest { program_id };
        let answer = self.programs().get_program_calendar(request).await;
        Ok(answer.map_err(|status| Rejection::from(&status))?.into_inner())
    }

    /// What a reader that is not ours finds in the calendar: summary and status of each event.
    async fn events(&self, key: &str) -> Vec<(String, EventStatus)> {
        let text = self.calendar(key).await.expect("a calendar").calendar;
        let read: icalendar::Calendar = text.parse().expect("an iCalendar object");
        read.events()
            .map(|event| {
                let summary = event.get_summary().expect("a summary").to_owned();
                (summary, event.get_status().expect("a status"))
            })
            .collect()
    }

    async fn until_invalid(&self, key: &str) {
        for _ in 0..200 {
            if let Err(rejection) = self.calendar(key).await {
                assert_eq!(reason(&rejection), (Code::NotFound, "CALENDAR_KEY_INVALID"));
                return;
            }
            sleep(Duration::from_millis(50)).await;
        }
        panic!("the key is still good");
    }
}

fn named(title: &str, starts_at: i64) -> Program {
    Program {
        title: title.to_owned(),
        starts_at: at(starts_at),
        ends_at: at(starts_at + 3600),
        ..program(1)
    }
}

on_each_database! {
    async fn a_program_is_an_event_for_anyone(database) {
        let service = Service::start(&database).await;
        let coach = service.user_with(3, &["coach"]);
        let id = coach.announce(program(1)).await.expect("created").id;
        let first = service.program_calendar(id).await.expect("a calendar");
        assert_eq!(
            first.calendar.split("\r\n").collect::<Vec<_>>(),
            [
                "BEGIN:VCALENDAR",
                "VERSION:2.0",
                "PRODID:-//Pavilion//training-service//EN",
                "CALSCALE:GREGORIAN",
                "REFRESH-INTERVAL;VALUE=DURATION:PT1H",
                "X-PUBLISHED-TTL:PT1H",
                "BEGIN:VEVENT",
                "UID:program-1-1767225600000000@pavilion",
                "DTSTAMP:20260101T000000Z",
                "LAST-MODIFIED:20260101T000000Z",
                "CREATED:20260101T000000Z",
                "SEQUENCE:0",
                "DTSTART:20260102T000000Z",
                "DTEND:20260102T010000Z",
                "SUMMARY:Nets",
                "DESCRIPTION:Bring:\\n- pads",
                "LOCATION:Ground 2",
                "CATEGORIES:cricket,beginner",
                "STATUS:CONFIRMED",
                "TRANSP:OPAQUE",
                "END:VEVENT",
                "END:VCALENDAR",
                "",
            ]
        );

        // Time alone, and who registers, changes nothing.
        service.clock.advance(Duration::from_mins(1));
        service.user(11).create(seat(id)).await.expect("a seat");
        assert_eq!(service.program_calendar(id).await.expect("a calendar"), first);

        let coach = service.user_with(3, &["coach"]);
        coach.call_off(id, "").await.expect("cancelled");
        let cancelled = service.program_calendar(id).await.expect("a calendar");
        assert_ne!(cancelled.etag, first.etag);
        for line in [
            "UID:program-1-1767225600000000@pavilion",
            "LAST-MODIFIED:20260101T000100Z",
            "SEQUENCE:1",
            "SUMMARY:Cancelled: Nets",
            "STATUS:CANCELLED",
            "TRANSP:TRANSPARENT",
        ] {
            assert!(cancelled.calendar.split("\r\n").any(|found| found == line), "{line}");
        }
        let absent = service.program_calendar(id + 1).await.expect_err("absent");
        assert_eq!(reason(&absent), (Code::NotFound, "PROGRAM_NOT_FOUND"));
        let unnamed = service.program_calendar(0).await.expect_err("refused");
        assert_eq!(violations(&unnamed), [("program_id", "REQUIRED")]);
    }

    async fn a_calendar_has_the_programs_of_its_user(database) {
        let service = Service::start(&database).await;
        let coach = service.user_with(3, &["coach"]);
        let [mine, full, off, left, others] = [
            coach.announce(named("Mine", 100)).await.expect("created").id,
            coach.announce(named("Full", 300)).await.expect("created").id,
            coach.announce(named("Off", 200)).await.expect("created").id,
            coach.announce(named("Left", 400)).await.expect("created").id,
            coach.announce(named("Others'", 500)).await.expect("created").id,
        ];
        let (ann, bob, eve) = (service.user(11), service.user(12), service.user(13));
        let first = bob.create(seat(full)).await.expect("registered").id;
        eve.create(seat(full)).await.expect("registered");
        bob.create(seat(others)).await.expect("registered");
        for id in [mine, full, off] {
            ann.create(seat(id)).await.expect("registered");
        }
        ann.create(training("cricket", "beginner")).await.expect("registered");
        let given_up = ann.create(seat(left)).await.expect("registered").id;
        ann.cancel(given_up).await.expect("cancelled");
        coach.call_off(off, "").await.expect("cancelled");

        let key = ann.calendar_key().await;
        let event = |summary: &str, status| (summary.to_owned(), status);
        assert_eq!(
            service.events(&key).await,
            [
                event("Waitlist (2): Full", EventStatus::Tentative),
                event("Cancelled: Off", EventStatus::Cancelled),
                event("Mine", EventStatus::Confirmed),
            ]
        );
        bob.cancel(first).await.expect("cancelled");
        assert_eq!(service.events(&key).await[0].0, "Waitlist (1): Full");

        // The event of a program is the same one wherever it stands.
        let text = service.calendar(&key).await.expect("a calendar").calendar;
        let alone = service.program_calendar(mine).await.expect("a calendar").calendar;
        let uid = alone.lines().find(|line| line.starts_with("UID:")).expect("a UID");
        assert!(text.lines().any(|line| line == uid), "{text}");
    }

    async fn an_event_is_as_new_as_the_seat_or_the_place_of_its_user(database) {
        let service = Service::start(&database).await;
        let coach = service.user_with(3, &["coach"]);
        let id = coach.announce(program(1)).await.expect("created").id;
        let users = [service.user(11), service.user(12), service.user(13), service.user(14)];
        let mut made = Vec::new();
        for user in &users {
            service.clock.advance(Duration::from_secs(1));
            made.push(user.create(seat(id)).await.expect("registered").id);
        }
        let key = users[3].calendar_key().await;
        let shown = async || {
            let text = service.calendar(&key).await.expect("a calendar").calendar;
            ["SUMMARY:", "DTSTAMP:", "LAST-MODIFIED:", "SEQUENCE:"].map(|name| {
                let value = text.lines().find_map(|line| line.strip_prefix(name));
                value.expect("the property").to_owned()
            })
        };
        let event = |summary: &str, time: &str, sequence: &str| {
            [summary, time, time, sequence].map(str::to_owned)
        };
        assert_eq!(shown().await, event("Waitlist (3): Nets", "20260101T000004Z", "0"));
        for (user, summary, time) in [
            (1, "Waitlist (2): Nets", "20260101T000005Z"),
            (0, "Waitlist (1): Nets", "20260101T000006Z"),
            (2, "Nets", "20260101T000007Z"),
        ] {
            service.clock.advance(Duration::from_secs(1));
            users[user].cancel(made[user]).await.expect("cancelled");
            assert_eq!(shown().await, event(summary, time, "0"));
        }
        // Whoever has a seat does not care who comes and goes.
        service.clock.advance(Duration::from_secs(1));
        for user in &users[..2] {
            user.create(seat(id)).await.expect("registered");
        }
        let left = users[0].list_own().await[1].id;
        users[0].cancel(left).await.expect("cancelled");
        assert_eq!(shown().await, event("Nets", "20260101T000007Z", "0"));
        service.clock.advance(Duration::from_secs(1));
        coach.call_off(id, "").await.expect("cancelled");
        assert_eq!(shown().await, event("Cancelled: Nets", "20260101T000009Z", "1"));
    }

    async fn a_key_is_good_until_another_is_made_or_it_is_revoked(database) {
        let service = Service::start(&database).await;
        let (ann, bob) = (service.user(11), service.user(12));
        let first = ann.calendar_key().await;
        assert_eq!(first.len(), 43, "256 bits");
        assert_eq!(service.events(&first).await, []);
        let (second, bobs) = (ann.calendar_key().await, bob.calendar_key().await);
        service.until_invalid(&first).await;
        service.calendar(&second).await.expect("a calendar");
        ann.revoke_calendar_key().await;
        ann.revoke_calendar_key().await;
        service.until_invalid(&second).await;
        service.calendar(&bobs).await.expect("another user's");

        for wrong in [&bobs[1..], "x", &format!("{bobs}="), &"x".repeat(10_000)] {
            let refused = service.calendar(wrong).await.expect_err("refused");
            assert_eq!(reason(&refused), (Code::NotFound, "CALENDAR_KEY_INVALID"));
            assert!(!refused.message.contains(wrong), "{refused:?}");
        }
        let missing = service.calendar("").await.expect_err("refused");
        assert_eq!(violations(&missing), [("calendar_key", "REQUIRED")]);
        let refused = service.client().create_calendar_key(CreateCalendarKeyRequest {}).await;
        let refused = Rejection::from(&refused.expect_err("refused"));
        assert_eq!(reason(&refused), (Code::Unauthenticated, "TOKEN_MISSING"));
        let refused = service.client().revoke_calendar_key(RevokeCalendarKeyRequest {}).await;
        let refused = Rejection::from(&refused.expect_err("refused"));
        assert_eq!(reason(&refused), (Code::Unauthenticated, "TOKEN_MISSING"));
    }

    async fn of_keys_made_at_once_one_is_good(database) {
        let service = Service::start(&database).await;
        let replica = service.replica(&database).await;
        let users = [service.user(11), replica.user(11)];
        let making: Vec<_> = (0..8)
            .map(|number| {
                let user = users[number % 2].clone();
                tokio::spawn(async move { user.calendar_key().await })
            })
            .collect();
        let mut made = Vec::new();
        for making in making {
            made.push(making.await.expect("no panic"));
        }
        let mut good = 0;
        for key in made {
            good += usize::from(service.calendar(&key).await.is_ok());
        }
        assert_eq!(good, 1);
        let last = users[0].calendar_key().await;
        replica.calendar(&last).await.expect("a calendar");
        let db = database.connect().await;
        let rows = db.read(sql!("SELECT key_hash FROM calendar_keys")).fetch_all().await;
        let hashes = rows.expect("rows");
        assert_eq!(hashes.len(), 1);
        let hash: Vec<u8> = hashes[0].get("key_hash").expect("a hash");
        assert_eq!(hash.len(), 32);
        assert_ne!(hash, last.into_bytes());
    }

    async fn keys_of_deleted_and_disabled_users_are_gone(database) {
        let service = Service::start(&database).await;
        let mut keys = Vec::new();
        for user in [11, 12, 13] {
            keys.push(service.user(user).calendar_key().await);
        }
        service.auth.tell(EventType::UserUpdated, 13);
        service.auth.tell(EventType::UserDeleted, 11);
        service.auth.tell(EventType::UserDisabled, 12);
        service.until_invalid(&keys[0]).await;
        service.until_invalid(&keys[1]).await;
        service.calendar(&keys[2]).await.expect("a calendar");

        // The end of the token is not told: only the deletion is.
        let refused = service.user(11).try_calendar_key().await.expect_err("refused");
        assert_eq!(reason(&refused), (Code::Unauthenticated, "TOKEN_REVOKED"));
        service.user(12).calendar_key().await;
    }

    async fn keys_of_users_whose_deletion_is_no_longer_told_of_are_gone(database) {
        let service = Service::start(&database).await;
        let ann = service.user(11).calendar_key().await;
        let bob = service.user(12).calendar_key().await;
        let eve = service.user(13).calendar_key().await;
        // The cursor is behind the first event when the service goes down.
        service.auth.tell(EventType::UserDeleted, 13);
        service.until_invalid(&eve).await;
        let (auth, clock) = (service.auth.clone(), service.clock.clone());
        service.stop().await;
        auth.tell(EventType::UserDeleted, 11);
        auth.tell(EventType::UserUpdated, 12);
        auth.forget_events();
        let service = Service::start_with(&database, auth, clock).await;
        service.until_invalid(&ann).await;
        service.calendar(&bob).await.expect("a calendar");
    }

    async fn a_calendar_has_as_many_of_the_last_programs_as_fit(database) {
        let service = Service::start(&database).await;
        let coach = service.user_with(3, &["coach"]);
        let ann = service.user(11);
        // About 20 kB each.
        let long = Program { description: "\u{1f3cf}".repeat(5000), ..program(1) };
        for number in 0..60 {
            let program = Program { starts_at: at(100 + number), ..long.clone() };
            let id = coach.announce(program).await.expect("created").id;
            ann.create(seat(id)).await.expect("registered");
        }
        let text = service.calendar(&ann.calendar_key().await).await.expect("a calendar").calendar;
        assert!((900_000..1_100_000).contains(&text.len()), "{}", text.len());
        let read: icalendar::Calendar = text.parse().expect("an iCalendar object");
        let uids: Vec<_> = read.events().filter_map(Component::get_uid).collect();
        let expected: Vec<_> =
            (1..=60).rev().take(uids.len()).map(|id| format!("program-{id}-1767225600000000@pavilion")).collect();
        assert_eq!(uids, expected);
    }
}
