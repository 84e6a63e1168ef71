//! Who takes part in a program, by name.

use proto::{
    auth::v1::EventType,
    training::v1::{
        ListParticipantsRequest, ListParticipantsResponse, Participant, RegistrationCounts,
        RegistrationStatus,
    },
};
use service_kit::{on_each_database, rejection::Rejection};
use tonic::Code;

use crate::{
    announcing::program,
    service::{Service, User, reason, seat},
};

impl User {
    pub(crate) async fn roster(
        &self,
        request: ListParticipantsRequest,
    ) -> Result<ListParticipantsResponse, Rejection> {
        let answer = self.programs.clone().list_participants(self.sign(request)).await;
        Ok(answer.map_err(|status| Rejection::from(&status))?.into_inner())
    }
}

fn names(participants: &[Participant]) -> Vec<[&str; 3]> {
    participants.iter().map(|one| [&*one.username, &*one.email, &*one.name]).collect()
}

const ANN: [&str; 3] = ["user11", "user11@example.com", "User 11"];
const BOB: [&str; 3] = ["user12", "user12@example.com", "User 12"];
const EVE: [&str; 3] = ["user13", "user13@example.com", "User 13"];

on_each_database! {
    async fn coaches_see_who_is_registered(database) {
        let service = Service::start(&database).await;
        let coach = service.user_with(3, &["coach"]);
        let program_id = coach.announce(program(1)).await.expect("created").id;
        let other = coach.announce(program(1)).await.expect("created").id;
        service.user(11).create(seat(other)).await.expect("registered");
        let mut made = Vec::new();
        for user in [11, 12, 13] {
            made.push(service.user(user).create(seat(program_id)).await.expect("registered").id);
        }
        service.user(12).cancel(made[1]).await.expect("cancelled");
        // Back again: one user, two registrations.
        service.user(12).create(seat(program_id)).await.expect("registered");

        let first = ListParticipantsRequest { program_id, page_size: 2, ..Default::default() };
        let page = coach.roster(first.clone()).await.expect("a page");
        assert_eq!(names(&page.participants), [ANN, EVE]);
        let counts = RegistrationCounts { confirmed: 1, waitlisted: 2, cancelled: 1 };
        assert_eq!(page.counts, Some(counts));
        let rest = ListParticipantsRequest { page_token: page.next_page_token, ..first };
        let rest = coach.roster(rest).await.expect("a page");
        assert_eq!(names(&rest.participants), [BOB]);
        assert_eq!(rest.counts, Some(counts), "of all, not of the page");

        let empty = coach.announce(program(1)).await.expect("created").id;
        let none = ListParticipantsRequest { program_id: empty, ..Default::default() };
        let none = coach.roster(none).await.expect("a page");
        assert_eq!((none.participants, none.counts), (vec![], Some(RegistrationCounts::default())));
    }

    async fn those_whose_accounts_are_deleted_have_no_names(database) {
        let service = Service::start(&database).await;
        let coach = service.user_with(3, &["coach"]);
        let program_id = coach.announce(program(1)).await.expect("created").id;
        let made = service.user(12).create(seat(program_id)).await.expect("registered").id;
        service.user(12).cancel(made).await.expect("cancelled");
        service.auth.tell(EventType::UserDeleted, 12);
        let status = RegistrationStatus::Cancelled.into();
        let gone = ListParticipantsRequest { program_id, status, ..Default::default() };
        let gone = coach.roster(gone).await.expect("a page");
        assert_eq!(names(&gone.participants), [["", "", ""]]);
    }

    async fn a_roster_without_names_is_none(database) {
        let service = Service::start(&database).await;
        let coach = service.user_with(3, &["coach"]);
        let program_id = coach.announce(program(1)).await.expect("created").id;
        service.user(11).create(seat(program_id)).await.expect("registered");
        service.auth.hide_users();
        let request = ListParticipantsRequest { program_id, ..Default::default() };
        let refused = coach.roster(request).await.expect_err("refused");
        assert_eq!(reason(&refused), (Code::Unavailable, "AUTH_UNAVAILABLE"));
        assert!(refused.retry_after.is_some() && refused.message.contains("auth-service"));
    }
}
