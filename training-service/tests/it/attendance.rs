//! Whether participants came.

use proto::training::v1::{
    Attendance, ListParticipantsRequest, Participant, Registration, RegistrationStatus,
    SetAttendanceRequest, SetAttendanceResponse,
};
use service_kit::{on_each_database, rejection::Rejection, sql, testing::TestDatabase};
use tonic::Code;

use crate::{
    seats::house,
    service::{User, reason, seat, training, violations},
};

impl User {
    async fn note(
        &self,
        registration_id: i64,
        attendance: impl Into<i32>,
    ) -> Result<SetAttendanceResponse, Rejection> {
        let attendance = attendance.into();
        let request = SetAttendanceRequest { registration_id, attendance };
        let answer = self.programs.clone().set_attendance(self.sign(request)).await;
        Ok(answer.map_err(|status| Rejection::from(&status))?.into_inner())
    }

    /// Who is on the list, and whether they came.
    async fn attendance(
        &self,
        program_id: i64,
        status: RegistrationStatus,
    ) -> Vec<(i64, Attendance)> {
        let status = status.into();
        let request = ListParticipantsRequest { program_id, status, ..Default::default() };
        let page = self.roster(request).await.expect("a page");
        let user_id = |registration: &Registration| registration.user_id;
        let attendance =
            |one: &Participant| (one.registration.as_ref().map_or(0, user_id), one.attendance());
        page.participants.iter().map(attendance).collect()
    }
}

/// Of whom and by whom it was noted, as the log of events has it.
async fn noted(database: &TestDatabase) -> Vec<(i64, i64)> {
    let db = database.connect().await;
    let select = sql!(
        "SELECT user_id, actor_id FROM training_events WHERE type = 'ATTENDANCE_SET' \
         ORDER BY sequence"
    );
    let rows = db.read(select).fetch_all().await.expect("the log");
    let id = |column: &str, row: &service_kit::db::Row| row.get(column).expect("an id");
    rows.iter().map(|row| (id("user_id", row), id("actor_id", row))).collect()
}

on_each_database! {
    async fn coaches_and_admins_note_who_came(database) {
        let (service, coach, program) = house(&database, 0).await;
        let admin = service.user_with(4, &["admin"]);
        let mut made = Vec::new();
        for user in [11, 12, 13, 14] {
            made.push(service.user(user).create(seat(program.id)).await.expect("registered"));
        }
        let answer = coach.note(made[0].id, Attendance::Present).await.expect("noted");
        let registration = Some(made[0].clone());
        let attendance = Attendance::Present.into();
        assert_eq!(answer, SetAttendanceResponse { registration, attendance });
        coach.note(made[1].id, Attendance::Absent).await.expect("noted");
        coach.note(made[2].id, Attendance::Absent).await.expect("noted");
        // Said again, it is no news; said otherwise, it is.
        coach.note(made[1].id, Attendance::Absent).await.expect("as it is");
        admin.note(made[1].id, Attendance::Excused).await.expect("noted");
        let cleared = admin.note(made[2].id, Attendance::Unspecified).await.expect("cleared");
        assert_eq!(cleared.attendance(), Attendance::Unspecified);
        assert_eq!(
            coach.attendance(program.id, RegistrationStatus::Unspecified).await,
            [
                (11, Attendance::Present),
                (12, Attendance::Excused),
                (13, Attendance::Unspecified),
                (14, Attendance::Unspecified),
            ]
        );
        assert_eq!(noted(&database).await, [(11, 3), (12, 3), (13, 3), (12, 4), (13, 4)]);

        // Whoever was absent cannot undo that by cancelling.
        service.user(12).cancel(made[1].id).await.expect("cancelled");
        assert_eq!(
            coach.attendance(program.id, RegistrationStatus::Cancelled).await,
            [(12, Attendance::Excused)]
        );
    }

    async fn only_who_has_a_seat_can_come(database) {
        let (service, coach, program) = house(&database, 1).await;
        let ended = service.user(11).create(seat(program.id)).await.expect("registered").id;
        service.user(11).cancel(ended).await.expect("cancelled");
        let seated = service.user(12).create(seat(program.id)).await.expect("registered").id;
        let waiting = service.user(13).create(seat(program.id)).await.expect("registered").id;
        let outside = service.user(13).create(training("cricket", "beginner")).await;
        let outside = outside.expect("registered").id;
        for id in [ended, waiting, outside] {
            let refused = coach.note(id, Attendance::Present).await.expect_err("refused");
            assert_eq!(reason(&refused), (Code::FailedPrecondition, "NO_SEAT"));
        }
        let absent = coach.note(outside + 1, Attendance::Present).await.expect_err("refused");
        assert_eq!(reason(&absent), (Code::NotFound, "REGISTRATION_NOT_FOUND"));
        coach.call_off(program.id, "").await.expect("cancelled");
        let refused = coach.note(seated, Attendance::Present).await.expect_err("refused");
        assert_eq!(reason(&refused), (Code::FailedPrecondition, "PROGRAM_CANCELLED"));
        assert_eq!(noted(&database).await, []);
    }

    async fn users_do_not_note_their_own_attendance(database) {
        let (service, _, program) = house(&database, 1).await;
        let user = service.user(11);
        let id = user.create(seat(program.id)).await.expect("registered").id;
        // Whether or not there is such a registration.
        for id in [id, id + 1] {
            let refused = user.note(id, Attendance::Present).await.expect_err("refused");
            assert_eq!(reason(&refused), (Code::PermissionDenied, "ROLE_REQUIRED"));
        }
    }

    async fn all_violations_of_a_note_are_told_at_once(database) {
        let (_service, coach, _) = house(&database, 1).await;
        let refused = coach.note(0, 4).await.expect_err("refused");
        assert_eq!(
            violations(&refused),
            [("registration_id", "REQUIRED"), ("attendance", "INVALID_VALUE")]
        );
    }
}
