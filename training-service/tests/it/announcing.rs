//! ProgramService: announcing, finding, changing and cancelling programs.

use std::time::Duration;

use proto::training::v1::{
    CancelProgramRequest, CreateProgramRequest, GetProgramRequest, ListProgramsRequest, Program,
    ProgramStatus, UpdateProgramRequest,
};
use service_kit::{on_each_database, rejection::Rejection};
use tonic::Code;

use crate::service::{Service, User, reason, seat, violations};

/// When the manual clock starts.
const NOW: i64 = 1_767_225_600;

#[expect(clippy::unnecessary_wraps, reason = "as messages hold it")]
pub(crate) fn at(seconds: i64) -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp { seconds: NOW + seconds, nanos: 0 })
}

/// A program of tomorrow, open for registration.
pub(crate) fn program(capacity: i64) -> Program {
    Program {
        title: "Nets".to_owned(),
        description: "Bring:\n- pads".to_owned(),
        sport: "cricket".to_owned(),
        training_level: "beginner".to_owned(),
        location: "Ground 2".to_owned(),
        coach_id: 3,
        starts_at: at(86_400),
        ends_at: at(90_000),
        time_zone: "Europe/Berlin".to_owned(),
        capacity,
        ..Program::default()
    }
}

impl User {
    pub(crate) async fn announce(&self, program: Program) -> Result<Program, Rejection> {
        self.announce_as(program, "").await
    }

    pub(crate) async fn announce_as(
        &self,
        program: Program,
        request_id: &str,
    ) -> Result<Program, Rejection> {
        let request =
            CreateProgramRequest { program: Some(program), request_id: request_id.to_owned() };
        let answer = self.programs.clone().create_program(self.sign(request)).await;
        let answer = answer.map_err(|status| Rejection::from(&status))?;
        Ok(answer.into_inner().program.expect("a program"))
    }

    pub(crate) async fn change(
        &self,
        program: Program,
        paths: &[&str],
    ) -> Result<Program, Rejection> {
        let paths = paths.iter().map(|&path| path.to_owned()).collect();
        let update_mask = Some(prost_types::FieldMask { paths });
        let request = UpdateProgramRequest { program: Some(program), update_mask };
        let answer = self.programs.clone().update_program(self.sign(request)).await;
        let answer = answer.map_err(|status| Rejection::from(&status))?;
        Ok(answer.into_inner().program.expect("a program"))
    }

    pub(crate) async fn call_off(&self, id: i64, etag: &str) -> Result<Program, Rejection> {
        let request = CancelProgramRequest { program_id: id, etag: etag.to_owned() };
        let answer = self.programs.clone().cancel_program(self.sign(request)).await;
        let answer = answer.map_err(|status| Rejection::from(&status))?;
        Ok(answer.into_inner().program.expect("a program"))
    }
}

impl Service {
    /// As anyone sees it: without a token.
    pub(crate) async fn program(&self, program_id: i64) -> Result<Program, Rejection> {
        let answer = self.programs().get_program(GetProgramRequest { program_id }).await;
        let answer = answer.map_err(|status| Rejection::from(&status))?;
        Ok(answer.into_inner().program.expect("a program"))
    }

    async fn found(&self, request: ListProgramsRequest) -> Vec<i64> {
        let answer = self.programs().list_programs(request).await.expect("a list").into_inner();
        answer.programs.iter().map(|program| program.id).collect()
    }
}

on_each_database! {
    async fn a_program_is_answered_as_stored_and_shown_to_anyone(database) {
        let service = Service::start(&database).await;
        let coach = service.user_with(3, &["coach"]);
        let created = coach.announce(program(12)).await.expect("created");
        let expected = Program {
            id: 1,
            status: ProgramStatus::Active.into(),
            etag: created.etag.clone(),
            created_at: at(0),
            updated_at: at(0),
            ..program(12)
        };
        assert_eq!(created, expected);
        assert_eq!(service.program(1).await.expect("found"), expected);
        assert_eq!(service.found(ListProgramsRequest::default()).await, [1]);
        let absent = service.program(2).await.expect_err("absent");
        assert_eq!(reason(&absent), (Code::NotFound, "PROGRAM_NOT_FOUND"));
        assert_eq!(violations(&service.program(0).await.expect_err("refused")), [("program_id", "REQUIRED")]);
    }

    async fn users_may_not_write(database) {
        let service = Service::start(&database).await;
        let id = service.user_with(3, &["admin"]).announce(program(1)).await.expect("made").id;
        let user = service.user(7);
        let refused = [
            user.announce(program(1)).await.expect_err("refused"),
            user.change(Program { id, ..program(2) }, &["capacity"]).await.expect_err("refused"),
            user.call_off(id, "").await.expect_err("refused"),
            user.participants(id).await.expect_err("refused"),
        ];
        for rejection in refused {
            assert_eq!(reason(&rejection), (Code::PermissionDenied, "ROLE_REQUIRED"));
        }
        let request = CancelProgramRequest { program_id: id, etag: String::new() };
        let refused = service.programs().cancel_program(request).await.expect_err("refused");
        assert_eq!(reason(&Rejection::from(&refused)), (Code::Unauthenticated, "TOKEN_MISSING"));
    }

    async fn all_violations_of_a_program_are_told_at_once(database) {
        let service = Service::start(&database).await;
        let coach = service.user_with(3, &["coach"]);
        let empty = coach.announce(Program::default()).await.expect_err("refused");
        assert_eq!(
            violations(&empty),
            ["title", "sport", "training_level", "starts_at", "ends_at"].map(|field| (field, "REQUIRED"))
        );
        let bad = Program {
            title: "two\nlines".to_owned(),
            description: "\0".to_owned(),
            location: "x".repeat(201),
            coach_id: -1,
            ends_at: at(0),
            time_zone: "Mars/Olympus".to_owned(),
            registration_opens_at: Some(prost_types::Timestamp { seconds: 0, nanos: -1 }),
            ..program(-1)
        };
        let rejection = coach.announce_as(bad, "é").await.expect_err("refused");
        let fields: Vec<_> = violations(&rejection).into_iter().map(|(field, _)| field).collect();
        assert_eq!(
            fields,
            ["title", "description", "location", "coach_id", "registration_opens_at", "time_zone",
             "capacity", "ends_at", "request_id"]
        );
        let backwards = Program { ends_at: at(86_400), ..program(1) };
        let rejection = coach.announce(backwards).await.expect_err("refused");
        assert_eq!(violations(&rejection), [("ends_at", "OUT_OF_RANGE")]);
        let unread = Some(prost_types::Timestamp { seconds: 0, nanos: -1 });
        for (times, fields) in [
            (
                Program { starts_at: unread, registration_closes_at: at(90_001), ..program(1) },
                vec!["starts_at", "registration_closes_at"],
            ),
            (
                Program { ends_at: None, registration_opens_at: at(86_400), ..program(1) },
                vec!["ends_at", "registration_opens_at"],
            ),
            (
                // It closes at a time that is not known, not at the start.
                Program {
                    registration_opens_at: at(86_400),
                    registration_closes_at: unread,
                    ..program(1)
                },
                vec!["registration_closes_at"],
            ),
        ] {
            let rejection = coach.announce(times).await.expect_err("refused");
            let found: Vec<_> = violations(&rejection).into_iter().map(|(field, _)| field).collect();
            assert_eq!(found, fields);
        }
        for (title, reason) in [
            ("\u{200b}", "REQUIRED"),
            (" \u{feff}\u{2060} ", "REQUIRED"),
            ("two\u{2028}lines", "INVALID_FORMAT"),
            ("two\u{2029}paragraphs", "INVALID_FORMAT"),
            ("\u{202e}steN", "INVALID_FORMAT"),
            ("Nets\u{2066}", "INVALID_FORMAT"),
        ] {
            let named = Program { title: title.to_owned(), ..program(1) };
            let rejection = coach.announce(named).await.expect_err("refused");
            assert_eq!(violations(&rejection), [("title", reason)], "{title:?}");
        }
        assert_eq!(service.found(ListProgramsRequest::default()).await, [0_i64; 0]);
    }

    async fn the_same_request_id_gives_the_same_program(database) {
        let service = Service::start(&database).await;
        let coach = service.user_with(3, &["coach"]);
        let first = coach.announce_as(program(5), "r").await.expect("created");
        assert_eq!(coach.announce_as(program(5), "r").await.expect("the same"), first);
        let other = coach.announce_as(program(6), "r").await.expect_err("another body");
        assert_eq!(violations(&other), [("request_id", "REUSED")]);
        service.clock.advance(Duration::from_hours(24));
        let coach = service.user_with(3, &["coach"]);
        assert_ne!(coach.announce_as(program(5), "r").await.expect("anew").id, first.id);
    }

    async fn a_mask_says_what_changes_and_an_etag_that_nobody_else_did(database) {
        let service = Service::start(&database).await;
        let coach = service.user_with(3, &["coach"]);
        let created = coach.announce(program(5)).await.expect("created");
        let wish = Program { title: "Bowling".to_owned(), capacity: 99, ..created.clone() };
        let changed = coach.change(wish.clone(), &["title"]).await.expect("changed");
        let expected =
            Program { title: "Bowling".to_owned(), etag: changed.etag.clone(), ..created.clone() };
        assert_eq!(changed, expected);
        assert_ne!(changed.etag, created.etag);

        let late = coach.change(wish, &["capacity"]).await.expect_err("changed meanwhile");
        assert_eq!(reason(&late), (Code::Aborted, "ETAG_MISMATCH"));
        let late = coach.call_off(created.id, &created.etag).await.expect_err("changed meanwhile");
        assert_eq!(reason(&late), (Code::Aborted, "ETAG_MISMATCH"));
        // Registrations do not change what organisers set.
        service.user(7).create(seat(created.id)).await.expect("a seat");
        coach.change(Program { capacity: 9, ..changed }, &["capacity"]).await.expect("changed");
    }

    async fn what_a_change_breaks_is_told_at_once(database) {
        let service = Service::start(&database).await;
        let coach = service.user_with(3, &["coach"]);
        let created = coach.announce(program(5)).await.expect("created");
        for user in 10..13 {
            service.user(user).create(seat(created.id)).await.expect("a seat");
        }
        let wish = Program { capacity: 2, ends_at: at(1), ..created.clone() };
        let rejection = coach.change(wish, &["capacity", "ends_at"]).await.expect_err("refused");
        assert_eq!(violations(&rejection), [("ends_at", "OUT_OF_RANGE"), ("capacity", "OUT_OF_RANGE")]);
        assert!(rejection.message.contains("3 seats"), "{}", rejection.message);
        let wish = Program { title: String::new(), ..created.clone() };
        let rejection = coach.change(wish, &["title", "status"]).await.expect_err("refused");
        assert_eq!(violations(&rejection), [("title", "REQUIRED"), ("update_mask", "UNKNOWN_PATH")]);
        let rejection = coach.change(Program::default(), &[]).await.expect_err("refused");
        assert_eq!(violations(&rejection), [("id", "REQUIRED"), ("update_mask", "REQUIRED")]);
        let absent = coach.change(Program { id: 99, ..created }, &["title"]).await;
        let absent = absent.expect_err("absent");
        assert_eq!(reason(&absent), (Code::NotFound, "PROGRAM_NOT_FOUND"));
    }

    async fn a_cancelled_program_stays_as_it_is(database) {
        let service = Service::start(&database).await;
        let coach = service.user_with(3, &["coach"]);
        let created = coach.announce(program(5)).await.expect("created");
        let cancelled = coach.call_off(created.id, &created.etag).await.expect("cancelled");
        assert_eq!(cancelled.status(), ProgramStatus::Cancelled);
        let again = coach.call_off(created.id, &created.etag).await.expect("as it is");
        assert_eq!(again, cancelled);
        let refused = coach.change(cancelled, &["title"]).await.expect_err("refused");
        assert_eq!(reason(&refused), (Code::FailedPrecondition, "PROGRAM_CANCELLED"));
    }

    async fn a_filter_finds_exactly_that_text(database) {
        let service = Service::start(&database).await;
        let coach = service.user_with(3, &["coach"]);
        let texts = ["cricket", "cricket ", "cricket  ", " cricket", "Cricket", "cricke\u{301}t"];
        for text in texts {
            let sport = Program { sport: text.to_owned(), ..program(1) };
            coach.announce(sport).await.expect("created");
        }
        for text in texts {
            let sport = "football".to_owned();
            let level = Program { sport, training_level: text.to_owned(), ..program(1) };
            coach.announce(level).await.expect("created");
        }
        for (at, text) in (1..).zip(texts) {
            let sport = ListProgramsRequest { sport: text.to_owned(), ..Default::default() };
            assert_eq!(service.found(sport).await, [at], "{text:?}");
            let level = ListProgramsRequest { training_level: text.to_owned(), ..Default::default() };
            assert_eq!(service.found(level).await, [at + 6], "{text:?}");
        }
    }

    async fn filters_and_pages_lead_through_the_programs(database) {
        let service = Service::start(&database).await;
        let coach = service.user_with(3, &["coach"]);
        let programs = [
            program(1),
            Program { sport: "football".to_owned(), ..program(1) },
            Program { training_level: "expert".to_owned(), ..program(1) },
            Program { registration_opens_at: at(1), ..program(1) },
            Program { registration_opens_at: at(-9), registration_closes_at: at(0), ..program(1) },
            program(1),
            Program { registration_closes_at: at(90_000), ..program(1) },
        ];
        for program in programs {
            coach.announce(program).await.expect("created");
        }
        coach.call_off(6, "").await.expect("cancelled");
        service.user(7).create(seat(1)).await.expect("the last seat");
        let filtered = |sport: &str, level: &str, open_only| ListProgramsRequest {
            sport: sport.to_owned(),
            training_level: level.to_owned(),
            open_only,
            ..ListProgramsRequest::default()
        };
        assert_eq!(service.found(filtered("football", "", false)).await, [2]);
        assert_eq!(service.found(filtered("cricket", "expert", false)).await, [3]);
        assert_eq!(service.found(filtered("Cricket", "", false)).await, [0_i64; 0]);
        assert_eq!(service.found(filtered("", "", true)).await, [1, 2, 3, 7], "a full one is open");
        service.clock.advance(Duration::from_secs(1));
        assert_eq!(service.found(filtered("", "", true)).await, [1, 2, 3, 4, 7]);
        assert_eq!(service.found(filtered("", "expert", true)).await, [3]);

        let page = |page_token| ListProgramsRequest { page_size: 4, page_token, ..Default::default() };
        for (open_only, rest) in [(false, vec![5, 6, 7]), (true, vec![7])] {
            let page = |page_token| ListProgramsRequest { open_only, ..page(page_token) };
            let first = service.programs().list_programs(page(String::new())).await.expect("a page");
            let token = first.into_inner().next_page_token;
            assert_eq!(service.found(page(token)).await, rest);
        }
        let bad = ListProgramsRequest { sport: "\n".to_owned(), ..page("?".into()) };
        let bad = ListProgramsRequest { page_size: -1, ..bad };
        let refused = service.programs().list_programs(bad).await.expect_err("refused");
        let refused = Rejection::from(&refused);
        let fields: Vec<_> = violations(&refused).into_iter().map(|(field, _)| field).collect();
        assert_eq!(fields, ["page_size", "page_token", "sport"]);

        service.clock.advance(Duration::from_hours(24));
        assert_eq!(service.found(filtered("", "", true)).await, [7], "until it is over");
        service.clock.advance(Duration::from_hours(1));
        assert_eq!(service.found(filtered("", "", true)).await, [0_i64; 0]);
    }
}
